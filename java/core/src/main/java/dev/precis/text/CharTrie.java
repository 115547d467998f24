package dev.precis.text;

import java.util.Arrays;

/** A prefix tree over texts, each with a number that is not negative. */
final class CharTrie {
  /** The node of the empty text. */
  static final int ROOT = 0;

  private final LongIntMap children; // (node << 16 | char) -> node
  private final int[] firstChildren = new int[1 << 16]; // the root's, which are asked for most
  private int[] values; // by node: the text's number, or -1
  private int nodes = 1;

  CharTrie(int expectedTexts) {
    children = new LongIntMap(2 * expectedTexts);
    values = new int[Math.max(16, 3 * expectedTexts)];
    Arrays.fill(values, -1);
    Arrays.fill(firstChildren, -1);
  }

  /** Adds a text; if it is there already, the new number replaces the old one. */
  void put(String text, int value) {
    int node = ROOT;
    for (int i = 0; i < text.length(); i++) {
      int child = child(node, text.charAt(i));
      if (child < 0) {
        child = nodes++;
        if (child == values.length) {
          values = Arrays.copyOf(values, 2 * child);
          Arrays.fill(values, child, 2 * child, -1);
        }
        if (node == ROOT) {
          firstChildren[text.charAt(i)] = child;
        } else {
          children.put((long) node << 16 | text.charAt(i), child);
        }
      }
      node = child;
    }
    values[node] = value;
  }

  /** Returns the node that a character leads to, or -1. */
  int child(int node, char c) {
    return node == ROOT ? firstChildren[c] : children.get((long) node << 16 | c);
  }

  /** Returns the number of the text that ends at a node, or -1. */
  int value(int node) {
    return values[node];
  }
}
