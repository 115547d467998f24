package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import java.util.Set;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.InferenceMode;
import org.bytedeco.pytorch.global.torch;

/**
 * libtorch, in eager mode and as transformers 5 calls it, over the same memory: what a PyTorch
 * program runs, without Python's share.
 */
public final class TorchProvider implements Provider {
  private PointerScope everything;

  @Override
  public String name() {
    return "torch";
  }

  @Override
  public void open(int threads) {
    if (!"true".equalsIgnoreCase(System.getenv("OMP_PROC_BIND"))
        || System.getenv("OMP_PLACES") == null) {
      System.err.println(
          "libtorch's threads are not pinned and may share a core: use benchmarks/run, or set"
              + " OMP_PROC_BIND=true and OMP_PLACES.");
    }
    everything = new PointerScope();
    torch.set_num_threads(threads);
    // In force until it is closed, with everything else.
    new InferenceMode(true);
  }

  /** Not int8: its quantised products are not in libtorch's C++ interface. */
  @Override
  public Set<DType> dtypes() {
    return Set.of(DType.FLOAT32, DType.BFLOAT16);
  }

  @Override
  public void close() {
    if (everything != null) {
      everything.close();
      everything = null;
    }
  }

  @Override
  public Call prepare(Problem problem) {
    return switch (problem) {
      case ProductProblem p -> TorchProducts.prepare(p);
      case AttentionProblem p -> TorchAttention.prepare(p);
      case NormProblem p -> TorchNorms.prepare(p);
      case ElementwiseProblem p -> TorchElementwise.prepare(p);
      case SamplingProblem p -> TorchSampling.prepare(p);
      case LossProblem p -> TorchLosses.prepare(p);
      case OptimizerProblem p -> TorchOptimizers.prepare(p);
    };
  }
}
