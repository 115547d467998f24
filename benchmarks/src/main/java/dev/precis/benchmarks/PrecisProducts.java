package dev.precis.benchmarks;

import dev.precis.benchmarks.Provider.Call;
import dev.precis.ops.LoraWeights;
import dev.precis.ops.Ops;
import dev.precis.ops.PackedMatrix;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import java.lang.foreign.ValueLayout;
import java.util.List;

/** Matrix products by this project's kernels. */
final class PrecisProducts {
  private final PrecisProvider precis;
  private final Ops ops;

  PrecisProducts(PrecisProvider precis) {
    this.precis = precis;
    this.ops = precis.ops();
  }

  Call prepare(ProductProblem problem) {
    return switch (problem) {
      case ProductProblem.Matmul p -> {
        PackedMatrix w = precis.pack(p.weightType(), p.w());
        yield () -> ops.matmul(p.x(), w, p.y(), 1, false);
      }
      case ProductProblem.LoraMatmul p -> {
        PackedMatrix w = precis.pack(p.w().dtype(), p.w());
        PackedMatrix a = precis.pack(p.a().dtype(), p.a());
        PackedMatrix b = precis.pack(p.b().dtype(), p.b());
        LoraWeights lora = adapter(a, b, w.outputs(), a.outputs(), p.scaling());
        yield () -> ops.loraMatmul(p.x(), w, lora, p.y(), 1, false);
      }
      case ProductProblem.LoraBackward p -> loraBackward(p);
      case ProductProblem.MatmulPack p -> matmulPack(p);
      case ProductProblem.TransposePacked p -> transposePacked(p);
      case ProductProblem.WeightGradient p ->
          () -> ops.weightGradient(p.dy(), p.x(), p.dw(), 1, p.x().dtype(), false);
    };
  }

  private static LoraWeights adapter(
      PackedMatrix a, PackedMatrix b, long outputs, long rank, float scaling) {
    return new LoraWeights(a, b, List.of(new LoraWeights.Segment(0, outputs, 0, rank, scaling)));
  }

  /** Computes the gradients as {@code dev.precis.layers.LoraTraining} does. */
  private Call loraBackward(ProductProblem.LoraBackward p) {
    DType type = p.w().dtype();
    PackedMatrix w = precis.packTransposed(p.w());
    PackedMatrix b = precis.packTransposed(p.b());
    PackedMatrix a = precis.packTransposed(p.a());
    long rank = p.a().rows();
    LoraWeights lora = adapter(b, a, w.outputs(), rank, p.scaling());
    Tensor dt = precis.tensor(DType.FLOAT32, p.t().rows(), rank);
    return () -> {
      ops.loraMatmul(p.dy(), w, lora, null, dt, p.dx(), false);
      ops.weightGradient(dt, p.x(), p.da(), 1, type, false);
      ops.weightGradient(p.dy(), p.t(), p.db(), 1, type, false);
    };
  }

  private Call matmulPack(ProductProblem.MatmulPack p) {
    PackedMatrix packed = precis.pack(p.weightType(), p.w());
    // Without this, the result would be there before the first call.
    packed.memory().fill((byte) 0);
    List<Tensor> weights = List.of(p.w());
    return unpacked(() -> ops.repack(packed, weights), packed, p.unpacked());
  }

  private Call transposePacked(ProductProblem.TransposePacked p) {
    PackedMatrix w = precis.pack(p.w().dtype(), p.w());
    PackedMatrix out = precis.packTransposed(p.w());
    out.memory().fill((byte) 0);
    return unpacked(() -> ops.transpose(w, out), out, p.unpacked());
  }

  /** Returns a call that is verified by the product of the identity with the packed weight. */
  private Call unpacked(Runnable pack, PackedMatrix packed, Tensor unpacked) {
    return new Call() {
      @Override
      public void run() {
        pack.run();
      }

      @Override
      public void publish() {
        long n = packed.inputs();
        Tensor identity = precis.tensor(DType.FLOAT32, n, n);
        for (long i = 0; i < n; i++) {
          identity.memory().setAtIndex(ValueLayout.JAVA_FLOAT, i * n + i, 1);
        }
        ops.matmul(identity, packed, unpacked, 1, false);
        ops.synchronize();
      }
    };
  }
}
