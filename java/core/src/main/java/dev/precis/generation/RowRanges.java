package dev.precis.generation;

import java.util.ArrayList;
import java.util.List;

/**
 * Allocates contiguous ranges of the rows of a KV cache: first fit, and moved together if need be.
 */
final class RowRanges {
  /** A range of rows; {@link RowRanges#compact} moves it. */
  static final class Range {
    private int begin;
    private final int length;

    private Range(int begin, int length) {
      this.begin = begin;
      this.length = length;
    }

    /** Returns the first row. */
    int begin() {
      return begin;
    }

    /** Returns the number of rows. */
    int length() {
      return length;
    }
  }

  private final List<Range> ranges = new ArrayList<>(); // by their first rows
  private int capacity;
  private int used;

  /** Returns the number of rows that there are. */
  int capacity() {
    return capacity;
  }

  /** Returns the number of rows in use. */
  int used() {
    return used;
  }

  /** Returns the ranges in use, by their first rows. */
  List<Range> ranges() {
    return ranges;
  }

  /** Allocates a range; returns null if there is no gap of this length. */
  Range allocate(int length) {
    int begin = 0;
    for (int i = 0; i <= ranges.size(); i++) {
      int end = i < ranges.size() ? ranges.get(i).begin : capacity;
      if (end - begin >= length) {
        Range range = new Range(begin, length);
        ranges.add(i, range);
        used += length;
        return range;
      }
      if (i < ranges.size()) {
        begin = end + ranges.get(i).length;
      }
    }
    return null;
  }

  /** Frees a range. */
  void free(Range range) {
    ranges.remove(range);
    used -= range.length;
  }

  /**
   * Moves all ranges to the beginning of a new memory, in their order.
   *
   * @param capacity rows of the new memory, at least those in use
   */
  void compact(int capacity) {
    this.capacity = capacity;
    int begin = 0;
    for (Range range : ranges) {
      range.begin = begin;
      begin += range.length;
    }
  }
}
