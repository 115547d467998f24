package dev.precis.layers;

import dev.precis.checkpoint.PeftAdapter;
import dev.precis.ops.LoraWeights;
import dev.precis.ops.Ops;
import dev.precis.ops.PackedMatrix;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Packs adapters that sit on one product: the ranks of all adapters of a part become one segment,
 * so that any number of adapters fits, and on a GPU the sum of their ranks alone is limited.
 *
 * <p>A segment has one scaling. Where the adapters of a part have the same one, it is the
 * segment's; where they differ, each adapter's is multiplied into its B, and the segment's is 1.
 */
final class AdapterPacking {
  /** The adapters of a part. */
  private record Group(Part part, List<PeftAdapter.Module> modules) {
    boolean oneScaling() {
      return modules.stream().allMatch(m -> m.scaling() == modules.getFirst().scaling());
    }

    float scaling() {
      return oneScaling() ? (float) modules.getFirst().scaling() : 1;
    }

    int ranks() {
      return modules.stream().mapToInt(PeftAdapter.Module::rank).sum();
    }
  }

  private AdapterPacking() {}

  private static List<Group> groups(
      List<Part> parts, List<Map<String, PeftAdapter.Module>> adapters) {
    List<Group> groups = new ArrayList<>();
    for (Part part : parts) {
      List<PeftAdapter.Module> modules = new ArrayList<>();
      for (Map<String, PeftAdapter.Module> adapter : adapters) {
        PeftAdapter.Module module = adapter.get(part.name());
        if (module != null) {
          modules.add(module);
        }
      }
      if (!modules.isEmpty()) {
        groups.add(new Group(part, modules));
      }
    }
    return groups;
  }

  /** Returns the bytes that {@link #pack} takes, the gaps that alignment leaves included. */
  static long bytes(
      PackedMatrix w, List<Part> parts, List<Map<String, PeftAdapter.Module>> adapters, Ops ops) {
    int ranks = groups(parts, adapters).stream().mapToInt(Group::ranks).sum();
    if (ranks == 0) {
      return 0;
    }
    DType dtype = w.dtype().activations();
    return ops.packedBytes(dtype, ranks, w.inputs())
        + ops.packedBytes(dtype, w.outputs(), ranks)
        + 2 * 64;
  }

  /**
   * Packs the adapters that belong to a weight.
   *
   * @param w (N, K)
   * @param memory holds the packed matrices
   * @param adapters each by module name; several on one module add up
   * @return null when none of them belongs here
   */
  static LoraWeights pack(
      PackedMatrix w,
      List<Part> parts,
      List<Map<String, PeftAdapter.Module>> adapters,
      Ops ops,
      SegmentAllocator memory) {
    List<Group> groups = groups(parts, adapters);
    if (groups.isEmpty()) {
      return null;
    }
    int ranks = groups.stream().mapToInt(Group::ranks).sum();
    try (Arena call = Arena.ofConfined()) {
      MemorySegment a = call.allocate(ranks * w.inputs() * 4, 64);
      MemorySegment b = call.allocate(w.outputs() * ranks * 4, 64);
      List<LoraWeights.Segment> segments = new ArrayList<>();
      int rank = 0;
      for (Group group : groups) {
        Part part = group.part;
        int begin = rank;
        for (PeftAdapter.Module module : group.modules) {
          module.a().toFloat32(a.asSlice(rank * w.inputs() * 4, module.rank() * w.inputs() * 4));
          float factor = group.oneScaling() ? 1 : (float) module.scaling();
          copyUp(module, factor, b, ranks, part.outputBegin(), rank);
          rank += module.rank();
        }
        segments.add(
            new LoraWeights.Segment(
                part.outputBegin(), part.outputEnd(), begin, rank, group.scaling()));
      }
      // int8 and int4 are for frozen weights; the adapters keep the working precision.
      DType dtype = w.dtype().activations();
      return new LoraWeights(
          ops.packInto(memory, dtype, List.of(Tensor.of(a, DType.FLOAT32, ranks, w.inputs()))),
          ops.packInto(memory, dtype, List.of(Tensor.of(b, DType.FLOAT32, w.outputs(), ranks))),
          segments);
    }
  }

  /** Copies factor times a module's B (N of the part, rank) into all of B (N, ranks). */
  private static void copyUp(
      PeftAdapter.Module module,
      float factor,
      MemorySegment b,
      int ranks,
      long firstOutput,
      int firstRank) {
    float[] up = module.b().toFloat32();
    int rank = module.rank();
    for (int n = 0; n < module.out(); n++) {
      for (int r = 0; r < rank; r++) {
        b.setAtIndex(
            ValueLayout.JAVA_FLOAT,
            (firstOutput + n) * ranks + firstRank + r,
            factor * up[n * rank + r]);
      }
    }
  }
}
