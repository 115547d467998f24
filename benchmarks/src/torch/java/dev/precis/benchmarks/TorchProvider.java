package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import java.util.Set;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.InferenceMode;
import org.bytedeco.pytorch.global.torch;

/**
 * PyTorch in eager mode, as transformers 5 calls it, over the same memory: the work of a PyTorch
 * program without the overhead of Python. It runs the libraries of a PyTorch that is installed,
 * whose folder {@code PRECIS_TORCH} names.
 */
public class TorchProvider implements Provider {
  private PointerScope everything;
  private InferenceMode mode;

  @Override
  public String name() {
    return "torch";
  }

  /** Loads libtorch. */
  void load() {
    TorchLibrary.loadPyTorch(System.getenv(TorchLibrary.FOLDER));
  }

  @Override
  public final void open(int threads) {
    if (!"true".equalsIgnoreCase(System.getenv("OMP_PROC_BIND"))
        || System.getenv("OMP_PLACES") == null) {
      System.err.println(
          "libtorch's threads are not pinned and may share a core: use benchmarks/run, or set"
              + " OMP_PROC_BIND=true and OMP_PLACES.");
    }
    load();
    everything = new PointerScope();
    torch.set_num_threads(threads);
  }

  /** Returns no int8: libtorch's quantized products are not in its C++ interface. */
  @Override
  public final Set<DType> dtypes() {
    return Set.of(DType.FLOAT32, DType.BFLOAT16);
  }

  @Override
  public final void close() {
    if (mode != null) {
      mode.close();
      mode = null;
    }
    if (everything != null) {
      everything.close();
      everything = null;
    }
  }

  /**
   * Prepares a problem. The first decides, for all later ones, between inference mode, which is the
   * faster, and autograd: a benchmark's problems are all of one kind.
   */
  @Override
  public final Call prepare(Problem problem) {
    if (mode == null) {
      mode = new InferenceMode(!needsAutograd(problem));
    }
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

  private static boolean needsAutograd(Problem problem) {
    return switch (problem) {
      case AttentionProblem.AttentionBackward _,
          NormProblem.RmsNormBackward _,
          LossProblem.LinearCrossEntropy _,
          LossProblem.DistillationLoss _ ->
          true;
      case LossProblem.LogProbability p -> p.dx() != null;
      default -> false;
    };
  }
}
