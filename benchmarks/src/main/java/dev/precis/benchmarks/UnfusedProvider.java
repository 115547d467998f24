package dev.precis.benchmarks;

import dev.precis.ops.Ops;
import dev.precis.ops.PackedMatrix;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Set;

/** The LoRA product as three products: x W', then x A', then that times B' added to the first. */
final class UnfusedProvider implements Provider {
  private final PrecisProvider precis = new PrecisProvider();
  private final Arena arena = Arena.ofShared();

  @Override
  public String name() {
    return "unfused";
  }

  @Override
  public void open(int threads) {
    precis.open(threads);
  }

  @Override
  public void open(int threads, String device) {
    precis.open(threads, device);
  }

  @Override
  public Set<DType> dtypes() {
    return Set.of(DType.FLOAT32, DType.BFLOAT16);
  }

  @Override
  public MemorySegment allocate(Arena owner, long bytes) {
    return precis.allocate(owner, bytes);
  }

  @Override
  public MemorySegment allocateShared(Arena owner, long bytes) {
    return precis.allocateShared(owner, bytes);
  }

  @Override
  public Call prepare(Problem problem) {
    if (!(problem instanceof ProductProblem.LoraMatmul p)) {
      return precis.prepare(problem);
    }
    Ops ops = precis.ops();
    PackedMatrix w = precis.pack(p.w().dtype(), p.w());
    PackedMatrix a = precis.pack(p.a().dtype(), p.a());
    PackedMatrix b = precis.pack(p.b().dtype(), p.b());
    long rows = p.x().rows();
    long rank = a.outputs();
    DType type = p.x().dtype();
    Tensor low = Tensor.of(allocate(arena, rows * rank * type.bytes()), type, rows, rank);
    return precis.waited(
        () -> {
          ops.matmul(p.x(), w, p.y(), 1, false);
          ops.matmul(p.x(), a, low, 1, false);
          ops.matmul(low, b, p.y(), p.scaling(), true);
        });
  }

  @Override
  public void close() {
    arena.close();
    precis.close();
  }
}
