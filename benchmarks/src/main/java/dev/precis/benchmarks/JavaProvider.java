package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import java.util.Set;

/**
 * Plain loops over float arrays on one thread, as one would write them in Java: what the compiler
 * makes of them is the baseline. Inner loops run along contiguous memory, so that it may vectorize.
 */
final class JavaProvider implements Provider {
  private final JavaArrays arrays = new JavaArrays();

  @Override
  public String name() {
    return "java";
  }

  @Override
  public void open(int threads) {}

  /** Returns float32 alone: Java has neither bfloat16 nor a dot product of bytes. */
  @Override
  public Set<DType> dtypes() {
    return Set.of(DType.FLOAT32);
  }

  @Override
  public void close() {}

  @Override
  public Call prepare(Problem problem) {
    return switch (problem) {
      case ProductProblem p -> new JavaProducts(arrays).prepare(p);
      case AttentionProblem p -> new JavaAttention(arrays).prepare(p);
      case NormProblem p -> new JavaNorms(arrays).prepare(p);
      case ElementwiseProblem p -> new JavaElementwise(arrays).prepare(p);
      case SamplingProblem p -> new JavaSampling(arrays).prepare(p);
      case LossProblem p -> new JavaLosses(arrays).prepare(p);
      case OptimizerProblem p -> new JavaOptimizers(arrays).prepare(p);
    };
  }
}
