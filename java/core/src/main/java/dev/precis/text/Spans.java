package dev.precis.text;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.IntPredicate;

/** A text as spans without gaps, each a match of a pattern or what stands between two. */
final class Spans {
  /** Ways to split matches off, by the names of {@code tokenizer.json}. */
  enum Behavior {
    REMOVED,
    ISOLATED,
    MERGED_WITH_PREVIOUS,
    MERGED_WITH_NEXT,
    CONTIGUOUS;

    /** Returns the behavior's name in the file, such as {@code MergedWithNext}. */
    String published() {
      StringBuilder name = new StringBuilder();
      for (String word : name().split("_")) {
        name.append(word.charAt(0)).append(word.substring(1).toLowerCase(Locale.ROOT));
      }
      return name.toString();
    }
  }

  private int[] bounds = new int[16]; // start, end
  private boolean[] matches = new boolean[8];
  private int size;

  /** Appends the text before a match and the match; spans without length are left out. */
  void addMatch(int start, int end) {
    int from = size == 0 ? 0 : end(size - 1);
    add(from, start, false);
    add(start, end, true);
  }

  /** Appends what stands after the last match. */
  void finish(int length) {
    add(size == 0 ? 0 : end(size - 1), length, false);
  }

  private void add(int start, int end, boolean match) {
    if (start == end) {
      return;
    }
    if (size == matches.length) {
      bounds = Arrays.copyOf(bounds, 4 * size);
      matches = Arrays.copyOf(matches, 2 * size);
    }
    bounds[2 * size] = start;
    bounds[2 * size + 1] = end;
    matches[size++] = match;
  }

  int size() {
    return size;
  }

  int start(int index) {
    return bounds[2 * index];
  }

  int end(int index) {
    return bounds[2 * index + 1];
  }

  boolean isMatch(int index) {
    return matches[index];
  }

  /** Exchanges matches and the rest. */
  Spans inverted() {
    for (int i = 0; i < size; i++) {
      matches[i] = !matches[i];
    }
    return this;
  }

  /** Returns the spans of a text whose matches are the characters that satisfy a condition. */
  static Spans of(String text, IntPredicate condition) {
    Spans spans = new Spans();
    for (int i = 0; i < text.length(); ) {
      int c = text.codePointAt(i);
      int end = i + Character.charCount(c);
      if (condition.test(c)) {
        spans.addMatch(i, end);
      }
      i = end;
    }
    spans.finish(text.length());
    return spans;
  }

  /** Splits a piece. */
  void split(Piece piece, Behavior behavior, List<Piece> out) {
    int start = 0; // of the part that is not yet given out
    for (int i = 0; i < size; i++) {
      boolean cut =
          switch (behavior) {
            case REMOVED, ISOLATED -> true;
            case CONTIGUOUS -> i + 1 == size || matches[i] != matches[i + 1];
            // A match joins the rest before it; of several matches in a row only the first does.
            case MERGED_WITH_PREVIOUS -> i + 1 == size || matches[i] || !matches[i + 1];
            case MERGED_WITH_NEXT -> i + 1 == size || !matches[i] || matches[i + 1];
          };
      if (!cut) {
        continue;
      }
      if (behavior != Behavior.REMOVED || !matches[i]) {
        out.add(piece.part(behavior == Behavior.REMOVED ? start(i) : start, end(i)));
      }
      start = end(i);
    }
  }
}
