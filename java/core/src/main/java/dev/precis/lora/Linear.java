package dev.precis.lora;

import dev.precis.checkpoint.PeftAdapter;
import dev.precis.ops.Ops;
import dev.precis.ops.Ops.LoraSegment;
import dev.precis.ops.PackedMatrix;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * A frozen weight W (N, K), without bias, and the adapters that sit on it (Hu et al. 2021). Several
 * layers that read the same input are one product: their outputs lie side by side.
 */
public final class Linear {
  /**
   * One of the layers inside.
   *
   * @param name its module name, such as {@code encoder.block.0.layer.0.SelfAttention.q}
   */
  public record Part(String name, long outputBegin, long outputEnd) {}

  private final PackedMatrix w;
  private final List<Part> parts;
  private LoraWeights lora;

  public Linear(PackedMatrix w, List<Part> parts) {
    this.w = w;
    this.parts = List.copyOf(parts);
  }

  /** The layers inside, in the order of their outputs. */
  public List<Part> parts() {
    return parts;
  }

  /** N. */
  public long outputs() {
    return w.outputs();
  }

  /** K. */
  public long inputs() {
    return w.inputs();
  }

  /** Puts adapters on the weight, or takes them off with null. */
  public void use(LoraWeights adapters) {
    lora = adapters;
  }

  /** {@code y = alpha (x W' + adapters)}, or {@code y +=} that; x (M, K), y (M, N). */
  public void apply(Ops ops, Tensor x, Tensor y, float alpha, boolean accumulate) {
    if (lora == null) {
      ops.matmul(x, w, y, alpha, accumulate);
    } else {
      ops.loraMatmul(x, w, lora.a(), lora.b(), lora.segments(), y, alpha, accumulate);
    }
  }

  /** {@code y = x W' + adapters}. */
  public void apply(Ops ops, Tensor x, Tensor y) {
    apply(ops, x, y, 1, false);
  }

  /** {@code y += x W' + adapters}. */
  public void addTo(Ops ops, Tensor x, Tensor y) {
    apply(ops, x, y, 1, true);
  }

  /**
   * Packs the modules of adapters that belong to this weight.
   *
   * @param owner frees the packed matrices
   * @param adapters each by module name; several on one module add up
   * @return null when none of them belongs here
   */
  public LoraWeights pack(Ops ops, Arena owner, List<Map<String, PeftAdapter.Module>> adapters) {
    record Placed(Part part, PeftAdapter.Module module) {}
    List<Placed> placed = new ArrayList<>();
    int ranks = 0;
    for (Part part : parts) {
      for (Map<String, PeftAdapter.Module> adapter : adapters) {
        PeftAdapter.Module module = adapter.get(part.name);
        if (module != null) {
          placed.add(new Placed(part, module));
          ranks += module.rank();
        }
      }
    }
    if (placed.isEmpty()) {
      return null;
    }
    if (placed.size() > 4) {
      throw new IllegalArgumentException(
          "At most 4 adapted modules fit one product, not "
              + placed.size()
              + " on "
              + parts.getFirst().name
              + ": merge some of the adapters into the model first.");
    }
    try (Arena call = Arena.ofConfined()) {
      long k = inputs();
      MemorySegment a = call.allocate(ranks * k * 4, 64);
      MemorySegment b = call.allocate(outputs() * ranks * 4, 64);
      List<LoraSegment> segments = new ArrayList<>();
      int rank = 0;
      for (Placed p : placed) {
        int r = p.module.rank();
        p.module.a().toFloat32(a.asSlice(rank * k * 4, r * k * 4));
        MemorySegment up = call.allocate(p.module.out() * r * 4, 64);
        p.module.b().toFloat32(up);
        for (long n = 0; n < p.module.out(); n++) {
          MemorySegment.copy(
              up, n * r * 4, b, ((p.part.outputBegin + n) * ranks + rank) * 4, r * 4L);
        }
        segments.add(
            new LoraSegment(
                p.part.outputBegin, p.part.outputEnd, rank, rank + r, (float) p.module.scaling()));
        rank += r;
      }
      // int8 is for frozen weights; what is added to them keeps the working precision.
      DType dtype = w.dtype() == DType.FLOAT32 ? DType.FLOAT32 : DType.BFLOAT16;
      return new LoraWeights(
          ops.pack(owner, dtype, List.of(Tensor.of(a, DType.FLOAT32, ranks, k))),
          ops.pack(owner, dtype, List.of(Tensor.of(b, DType.FLOAT32, outputs(), ranks))),
          List.copyOf(segments));
    }
  }
}
