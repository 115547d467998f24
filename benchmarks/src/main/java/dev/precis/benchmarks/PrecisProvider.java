package dev.precis.benchmarks;

import dev.precis.device.DeviceOptions;
import dev.precis.device.GpuInfo;
import dev.precis.ops.Ops;
import dev.precis.ops.PackedMatrix;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.Set;

/**
 * This project's kernels, called as its models call them. A call ends when its result is complete:
 * on a GPU it launches the kernel and synchronizes. {@code cublaslt} is the same with plain
 * products left to cuBLASLt, as in training; it is refused where cuBLASLt is missing.
 */
final class PrecisProvider implements Provider {
  private Ops ops;
  private final Arena arena = Arena.ofShared();
  private final boolean cublaslt;

  PrecisProvider() {
    this(false);
  }

  PrecisProvider(boolean cublaslt) {
    this.cublaslt = cublaslt;
  }

  @Override
  public String name() {
    return cublaslt ? "cublaslt" : "precis";
  }

  @Override
  public void open(int threads) {
    open(threads, "cpu");
  }

  @Override
  public void open(int threads, String device) {
    ops = Ops.open(new DeviceOptions().device(device).threads(threads).manyRows(cublaslt));
    GpuInfo gpu = ops.device().info().gpu();
    if (cublaslt && (gpu == null || gpu.cublasltVersion().isEmpty())) {
      throw new IllegalArgumentException(
          "There is no cuBLASLt to compare with: "
              + (gpu == null ? "it needs -p device=cuda." : gpu.cublasltError()));
    }
  }

  /** Returns a call that ends when the device is done. */
  Call waited(Call call) {
    if (!ops.onGpu()) {
      return call;
    }
    return new Call() {
      @Override
      public void run() {
        call.run();
        ops.synchronize();
      }

      @Override
      public void publish() {
        call.publish();
      }
    };
  }

  @Override
  public Set<DType> dtypes() {
    return ops != null && ops.onGpu()
        ? Set.of(DType.FLOAT32, DType.BFLOAT16)
        : Set.of(DType.FLOAT32, DType.BFLOAT16, DType.INT8);
  }

  @Override
  public MemorySegment allocate(Arena owner, long bytes) {
    return ops.device().allocate(owner, bytes);
  }

  @Override
  public MemorySegment allocateShared(Arena owner, long bytes) {
    return ops.device().allocateShared(owner, bytes);
  }

  Ops ops() {
    return ops;
  }

  PackedMatrix pack(DType dtype, Tensor weights) {
    return ops.pack(arena, dtype, List.of(weights));
  }

  /** Packs the transpose of weights in the weights' type. */
  PackedMatrix packTransposed(Tensor weights) {
    return ops.packTransposed(arena, weights.dtype(), List.of(weights));
  }

  /** Returns zeros in memory that lives as long as this provider. */
  Tensor tensor(DType type, long... dims) {
    long bytes = Arrays.stream(dims).reduce(type.bytes(), (a, b) -> a * b);
    return Tensor.of(allocate(arena, bytes), type, dims);
  }

  Arena arena() {
    return arena;
  }

  @Override
  public Call prepare(Problem problem) {
    return waited(call(problem));
  }

  private Call call(Problem problem) {
    return switch (problem) {
      case ProductProblem p -> new PrecisProducts(this).prepare(p);
      case AttentionProblem p -> new PrecisAttention(this).prepare(p);
      case NormProblem p -> new PrecisRows(this).prepare(p);
      case ElementwiseProblem p -> new PrecisRows(this).prepare(p);
      case SamplingProblem p -> new PrecisSampling(this).prepare(p);
      case LossProblem p -> new PrecisLosses(this).prepare(p);
      case OptimizerProblem p -> new PrecisOptimizers(this).prepare(p);
    };
  }

  @Override
  public void close() {
    arena.close();
    if (ops != null) {
      ops.close();
    }
  }
}
