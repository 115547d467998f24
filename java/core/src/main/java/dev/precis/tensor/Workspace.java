package dev.precis.tensor;

import dev.precis.ffi.Context;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * Memory for the length of a step: tensors are handed out one behind the other and all taken back
 * at once by {@link #reset}. A step that needs more than there is gets more; the next reset makes
 * one piece of it all, so that from the second step of a shape on nothing is allocated.
 *
 * <p>Contents are undefined when handed out. Not for several threads.
 */
public final class Workspace implements AutoCloseable {
  private static final long ALIGNMENT = 64;
  private static final long SMALLEST = 1 << 20;

  private record Piece(Arena arena, MemorySegment memory) {}

  private final Context context;
  private final List<Piece> pieces = new ArrayList<>();
  private long used;
  private long before;
  private long peak;

  /** An empty workspace on a context, which must outlive it. */
  public Workspace(Context context) {
    this.context = context;
  }

  /** A contiguous tensor that is good until the next {@link #reset} or {@link #release}. */
  public Tensor tensor(DType dtype, long... dims) {
    long bytes = dtype.bytes();
    for (long dim : dims) {
      bytes = Math.multiplyExact(bytes, dim);
    }
    return Tensor.of(memory(bytes), dtype, dims);
  }

  private MemorySegment memory(long bytes) {
    long rounded = (Math.max(bytes, 1) + ALIGNMENT - 1) & -ALIGNMENT;
    if (pieces.isEmpty() || used + rounded > pieces.getLast().memory.byteSize()) {
      Arena arena = Arena.ofShared();
      long size = Math.max(rounded, Math.max(SMALLEST, total() / 2));
      before = total();
      pieces.add(new Piece(arena, context.allocate(arena, size)));
      used = 0;
    }
    peak = Math.max(peak, before + used + rounded);
    MemorySegment memory = pieces.getLast().memory.asSlice(used, bytes);
    used += rounded;
    return memory;
  }

  private long total() {
    long total = 0;
    for (Piece piece : pieces) {
      total += piece.memory.byteSize();
    }
    return total;
  }

  /** Where the workspace stands now, for {@link #release}. */
  public Mark mark() {
    return new Mark(pieces.size(), used);
  }

  /** A place in a workspace. */
  public record Mark(int pieces, long used) {}

  /** Takes back what was handed out since the mark; within one piece this costs nothing. */
  public void release(Mark mark) {
    if (mark.pieces == pieces.size()) {
      used = mark.used;
    }
  }

  /** Takes back everything. */
  public void reset() {
    if (pieces.size() > 1) {
      long total = total();
      close();
      Arena arena = Arena.ofShared();
      pieces.add(new Piece(arena, context.allocate(arena, total)));
    }
    used = 0;
    before = 0;
  }

  /** Makes the workspace one piece of at least so many bytes, and takes back everything. */
  public void reserve(long bytes) {
    if (pieces.size() != 1 || total() < bytes) {
      close();
      Arena arena = Arena.ofShared();
      pieces.add(new Piece(arena, context.allocate(arena, Math.max(bytes, SMALLEST))));
    }
    reset();
  }

  /** The most that was handed out at a time since the last {@link #resetPeak}, in bytes. */
  public long peak() {
    return peak;
  }

  /** Begins to measure {@link #peak} anew. */
  public void resetPeak() {
    peak = 0;
  }

  /** Bytes held. */
  public long bytes() {
    return total();
  }

  @Override
  public void close() {
    for (Piece piece : pieces) {
      piece.arena.close();
    }
    pieces.clear();
    used = 0;
    before = 0;
  }
}
