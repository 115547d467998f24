package dev.precis.text;

import java.util.Arrays;

/** A hash map from longs that are not negative to ints, without boxing. */
final class LongIntMap {
  private long[] keys; // key + 1; 0 is free
  private int[] values;
  private int size;

  LongIntMap(int expected) {
    int capacity = Integer.highestOneBit(Math.max(8, expected)) * 4;
    keys = new long[capacity];
    values = new int[capacity];
  }

  void put(long key, int value) {
    if (2 * size >= keys.length) {
      grow();
    }
    int slot = slot(key);
    if (keys[slot] == 0) {
      keys[slot] = key + 1;
      size++;
    }
    values[slot] = value;
  }

  /** Returns the key's value, or -1. */
  int get(long key) {
    int slot = slot(key);
    return keys[slot] == 0 ? -1 : values[slot];
  }

  int size() {
    return size;
  }

  private int slot(long key) {
    int mask = keys.length - 1;
    int slot = hash(key) & mask;
    while (keys[slot] != 0 && keys[slot] != key + 1) {
      slot = slot + 1 & mask;
    }
    return slot;
  }

  /** The finalizer of splitmix64 (Steele, Lea and Flood 2014): neighbours land far apart. */
  private static int hash(long key) {
    long mixed = (key ^ key >>> 30) * 0xBF58476D1CE4E5B9L;
    mixed = (mixed ^ mixed >>> 27) * 0x94D049BB133111EBL;
    return (int) (mixed ^ mixed >>> 31);
  }

  private void grow() {
    long[] oldKeys = keys;
    int[] oldValues = values;
    keys = new long[2 * oldKeys.length];
    values = Arrays.copyOf(values, 2 * oldKeys.length);
    for (int i = 0; i < oldKeys.length; i++) {
      if (oldKeys[i] != 0) {
        int slot = slot(oldKeys[i] - 1);
        keys[slot] = oldKeys[i];
        values[slot] = oldValues[i];
      }
    }
  }
}
