package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import java.util.Set;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.InferenceMode;
import org.bytedeco.pytorch.global.torch;

/**
 * libtorch in eager mode, as transformers 5 calls it, over the same memory: the work of a PyTorch
 * program without the overhead of Python.
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
    // Inference mode lasts until it is closed, with everything else.
    new InferenceMode(true);
  }

  /** Returns no int8: libtorch's quantized products are not in its C++ interface. */
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
