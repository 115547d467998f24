package dev.precis.generation;

import dev.precis.generation.RowRanges.Range;
import dev.precis.ops.Attention.KeyValue;
import dev.precis.t5.T5Model;
import dev.precis.t5.T5Model.DecoderCache;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import java.util.List;

/**
 * The KV cache of a batch whose sequences come and go: each sequence has a range of rows for its
 * own keys and values, each source one for its cross-attention's, which all of its sequences share.
 * Where a range does not fit, all of them move together into new memory, larger if need be.
 */
final class KeyValuePool implements AutoCloseable {
  private final T5Model model;
  private final RowRanges self = new RowRanges();
  private final RowRanges cross = new RowRanges();
  private Workspace memory;
  private DecoderCache cache;
  private int moves;

  KeyValuePool(T5Model model) {
    this.model = model;
  }

  /** Returns the memory as it is now; another one when {@link #moves} has changed. */
  DecoderCache cache() {
    return cache;
  }

  /** Returns how often the ranges have moved. */
  int moves() {
    return moves;
  }

  /** Returns the bytes held. */
  long bytes() {
    return memory == null ? 0 : memory.bytes();
  }

  /**
   * Makes room beside what is in use, for ranges of these rows together.
   *
   * @param most bytes that the memory may have; nothing happens where it would have more
   */
  void reserve(long selfRows, long crossRows, long most) {
    long selfWanted = Math.max(self.capacity(), self.used() + selfRows);
    long crossWanted = Math.max(cross.capacity(), cross.used() + crossRows);
    if (selfWanted == self.capacity() && crossWanted == cross.capacity()) {
      return;
    }
    if (bytes(selfWanted, crossWanted) <= most) {
      move(Math.toIntExact(selfWanted), Math.toIntExact(crossWanted));
    }
  }

  private long bytes(long selfRows, long crossRows) {
    return model.cacheBytes(crossRows, selfRows);
  }

  /**
   * Allocates rows for a sequence's own keys and values.
   *
   * @param most see {@link #reserve}
   * @return null if they do not fit
   */
  Range allocateSelf(int rows, long most) {
    return allocate(self, rows, rows, 0, most);
  }

  /** Allocates rows for a source's keys and values; see {@link #allocateSelf}. */
  Range allocateCross(int rows, long most) {
    return allocate(cross, rows, 0, rows, most);
  }

  private Range allocate(RowRanges ranges, int rows, int selfRows, int crossRows, long most) {
    Range found = ranges.allocate(rows);
    if (found != null) {
      return found;
    }
    if (ranges.used() + rows <= ranges.capacity()) {
      move(self.capacity(), cross.capacity()); // there is room, but in pieces
    } else {
      reserve(selfRows, crossRows, most);
    }
    return ranges.allocate(rows);
  }

  /** Frees a sequence's rows. */
  void freeSelf(Range range) {
    self.free(range);
  }

  /** Frees a source's rows. */
  void freeCross(Range range) {
    cross.free(range);
  }

  /** Moves all ranges into new memory of so many rows. */
  private void move(int selfRows, int crossRows) {
    Workspace newMemory = model.ops().newWorkspace();
    try {
      newMemory.reserve(bytes(selfRows, crossRows));
      DecoderCache from = cache;
      DecoderCache to = model.newCache(crossRows, selfRows, newMemory);
      int[] selfBegins = begins(self);
      int[] crossBegins = begins(cross);
      self.compact(selfRows);
      cross.compact(crossRows);
      if (from != null) {
        for (int layer = 0; layer < to.self().length; layer++) {
          copy(self, selfBegins, from.self()[layer], to.self()[layer]);
          copy(cross, crossBegins, from.cross()[layer], to.cross()[layer]);
        }
        model.ops().synchronize();
      }
      cache = to;
    } catch (RuntimeException | Error e) {
      newMemory.close();
      throw e;
    }
    if (memory != null) {
      memory.close();
    }
    memory = newMemory;
    moves++;
  }

  private static int[] begins(RowRanges ranges) {
    return ranges.ranges().stream().mapToInt(Range::begin).toArray();
  }

  private void copy(RowRanges ranges, int[] begins, KeyValue from, KeyValue to) {
    List<Range> all = ranges.ranges();
    for (int i = 0, end; i < begins.length; i = end) {
      int length = all.get(i).length();
      // Ranges without a gap between them move together.
      for (end = i + 1; end < begins.length && begins[end] == begins[i] + length; end++) {
        length += all.get(end).length();
      }
      copy(from.keys(), begins[i], to.keys(), all.get(i).begin(), length);
      copy(from.values(), begins[i], to.values(), all.get(i).begin(), length);
    }
  }

  private void copy(Tensor from, int fromBegin, Tensor to, int toBegin, int length) {
    model.ops().convert(from.rows(fromBegin, length), to.rows(toBegin, length));
  }

  /** Frees the memory; no range may be in use. */
  @Override
  public void close() {
    if (memory != null) {
      memory.close();
      memory = null;
      cache = null;
      self.compact(0);
      cross.compact(0);
    }
  }
}
