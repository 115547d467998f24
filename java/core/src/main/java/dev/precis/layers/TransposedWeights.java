package dev.precis.layers;

import dev.precis.ops.Ops;
import dev.precis.ops.PackedMatrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.Map;

/**
 * A model's weights, packed transposed for the backward step, {@code dx = dy W}.
 *
 * <p>Gradients are not rounded to integers: of int8 and int4 weights it is the values that they
 * stand for that are packed, as bfloat16.
 *
 * <p>On the CPU they are packed one at a time into memory that all of them share: the product reads
 * W once for thousands of rows of dy, so that packing it anew costs about a hundredth of the
 * product, and keeping it would take as much memory as the model. On a GPU, where packing anew is a
 * launch for each product, frozen weights are packed once and kept, if they take less than half of
 * the memory that is free when the first of them is packed.
 */
public final class TransposedWeights {
  private final Ops ops;
  private final Arena owner;
  private final Map<Long, PackedMatrix> kept = new HashMap<>();
  private MemorySegment memory;
  private long bytes;
  private long frozenBytes;
  private boolean decided;
  private boolean keeps;

  /**
   * Begins without memory.
   *
   * @param owner frees it
   */
  public TransposedWeights(Ops ops, Arena owner) {
    this.ops = ops;
    this.owner = owner;
  }

  /**
   * Makes room for a weight; must precede the first call of {@link #of}.
   *
   * @param frozen whether its values never change
   */
  public void makeRoomFor(PackedMatrix w, boolean frozen) {
    if (decided) {
      throw new IllegalStateException("The memory for transposed weights is in use already.");
    }
    long own = bytes(w);
    bytes = Math.max(bytes, own);
    frozenBytes += frozen ? own : 0;
  }

  /** Returns the bytes of the largest weight, which a backward step needs at least. */
  public long bytes() {
    return bytes;
  }

  /**
   * Packs W' (K, N) of W (N, K), valid until the next call.
   *
   * @param frozen as in {@link #makeRoomFor}
   */
  PackedMatrix of(PackedMatrix w, boolean frozen) {
    if (!decided) {
      decided = true;
      keeps = ops.onGpu() && frozenBytes <= ops.device().describe().gpu().freeBytes() / 2;
    }
    if (keeps && frozen) {
      return kept.computeIfAbsent(
          w.memory().address(), address -> transpose(w, ops.allocate(owner, bytes(w))));
    }
    if (memory == null) {
      memory = ops.allocate(owner, bytes);
    }
    return transpose(w, memory);
  }

  private long bytes(PackedMatrix w) {
    return ops.packedBytes(w.dtype().activations(), w.inputs(), w.outputs());
  }

  private PackedMatrix transpose(PackedMatrix w, MemorySegment to) {
    PackedMatrix transposed =
        new PackedMatrix(to, w.inputs(), w.outputs(), w.dtype().activations());
    ops.transpose(w, transposed);
    return transposed;
  }
}
