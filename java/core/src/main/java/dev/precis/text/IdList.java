package dev.precis.text;

import java.util.Arrays;

/** A list of token ids that grows. */
final class IdList {
  private int[] ids = new int[32];
  private int size;

  void add(int id) {
    if (size == ids.length) {
      ids = Arrays.copyOf(ids, 2 * size);
    }
    ids[size++] = id;
  }

  void addAll(int[] more) {
    if (size + more.length > ids.length) {
      ids = Arrays.copyOf(ids, Math.max(2 * size, size + more.length));
    }
    System.arraycopy(more, 0, ids, size, more.length);
    size += more.length;
  }

  int get(int index) {
    return ids[index];
  }

  int size() {
    return size;
  }

  int[] toArray() {
    return Arrays.copyOf(ids, size);
  }

  /** Reverses the ids from an index on. */
  void reverseFrom(int start) {
    for (int i = start, j = size - 1; i < j; i++, j--) {
      int id = ids[i];
      ids[i] = ids[j];
      ids[j] = id;
    }
  }
}
