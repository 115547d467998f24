package dev.precis.layers;

import dev.precis.ops.Ops;
import dev.precis.ops.PackedMatrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Memory in which a model's weights are packed transposed, one at a time, for the backward step:
 * {@code dx = dy W} reads W once for thousands of rows of dy, so that packing it anew costs about a
 * hundredth of the product, and keeping it would take as much memory as the model.
 */
public final class TransposedWeights {
  private final Ops ops;
  private final Arena owner;
  private MemorySegment memory;
  private long bytes;

  /**
   * Begins without memory.
   *
   * @param owner frees it
   */
  public TransposedWeights(Ops ops, Arena owner) {
    this.ops = ops;
    this.owner = owner;
  }

  /** Makes room for a weight; must precede the first call of {@link #of}. */
  public void makeRoomFor(PackedMatrix w) {
    if (memory != null) {
      throw new IllegalStateException("The memory for transposed weights is in use already.");
    }
    bytes = Math.max(bytes, ops.packedBytes(w.dtype(), w.inputs(), w.outputs()));
  }

  /** Returns the bytes of the largest weight. */
  public long bytes() {
    return bytes;
  }

  /** Packs W' (K, N) of W (N, K), valid until the next call. */
  PackedMatrix of(PackedMatrix w) {
    if (memory == null) {
      memory = ops.allocate(owner, bytes);
    }
    PackedMatrix transposed = new PackedMatrix(memory, w.inputs(), w.outputs(), w.dtype());
    ops.transpose(w, transposed);
    return transposed;
  }
}
