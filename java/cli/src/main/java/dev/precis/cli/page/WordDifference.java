package dev.precis.cli.page;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;

/**
 * Compares two texts word by word: the words of the longest common subsequence are kept, all others
 * are removed from the first text or added by the second. Texts whose differing parts have more
 * than {@value #MAX_CELLS} pairs of words count as different throughout, which bounds the memory.
 */
public final class WordDifference {
  private static final int MAX_CELLS = 1_000_000;

  /** A word with the signs that belong to it, a space, or another sign. */
  private static final Pattern PIECE = Pattern.compile("[\\p{L}\\p{M}\\p{N}_#'’-]+|\\s+|.");

  private final List<String> before;
  private final List<String> after;
  private final BitSet removed = new BitSet();
  private final BitSet added = new BitSet();

  private WordDifference(String before, String after) {
    this.before = pieces(before);
    this.after = pieces(after);
    List<Integer> old = words(this.before);
    List<Integer> now = words(this.after);
    old.forEach(removed::set);
    now.forEach(added::set);
    keepCommon(old, now);
    spaces(this.before, removed);
    spaces(this.after, added);
  }

  /** Compares two texts. */
  public static WordDifference of(String before, String after) {
    return new WordDifference(before, after);
  }

  private static List<String> pieces(String text) {
    return PIECE.matcher(text).results().map(MatchResult::group).toList();
  }

  private static List<Integer> words(List<String> pieces) {
    List<Integer> places = new ArrayList<>();
    for (int i = 0; i < pieces.size(); i++) {
      if (!pieces.get(i).isBlank()) {
        places.add(i);
      }
    }
    return places;
  }

  private boolean same(int old, int now) {
    return before.get(old).equals(after.get(now));
  }

  private void keep(int old, int now) {
    removed.clear(old);
    added.clear(now);
  }

  private void keepCommon(List<Integer> old, List<Integer> now) {
    int start = 0;
    int oldEnd = old.size();
    int nowEnd = now.size();
    while (start < Math.min(oldEnd, nowEnd) && same(old.get(start), now.get(start))) {
      keep(old.get(start), now.get(start));
      start++;
    }
    while (Math.min(oldEnd, nowEnd) > start && same(old.get(oldEnd - 1), now.get(nowEnd - 1))) {
      keep(old.get(--oldEnd), now.get(--nowEnd));
    }
    List<Integer> oldPart = old.subList(start, oldEnd);
    List<Integer> nowPart = now.subList(start, nowEnd);
    if ((long) oldPart.size() * nowPart.size() <= MAX_CELLS) {
      keepSubsequence(oldPart, nowPart);
    }
  }

  /**
   * Keeps the longest common subsequence. With L(i, j) the length of that of the words from i and
   * from j on,
   *
   * <pre>
   *   L(i, j) = 1 + L(i + 1, j + 1)                 where both words are the same
   *           = max(L(i + 1, j), L(i, j + 1))       elsewhere
   * </pre>
   */
  private void keepSubsequence(List<Integer> old, List<Integer> now) {
    int[][] lengths = new int[old.size() + 1][now.size() + 1];
    for (int i = old.size() - 1; i >= 0; i--) {
      for (int j = now.size() - 1; j >= 0; j--) {
        lengths[i][j] =
            same(old.get(i), now.get(j))
                ? 1 + lengths[i + 1][j + 1]
                : Math.max(lengths[i + 1][j], lengths[i][j + 1]);
      }
    }
    int i = 0;
    int j = 0;
    while (i < old.size() && j < now.size()) {
      if (same(old.get(i), now.get(j))) {
        keep(old.get(i++), now.get(j++));
      } else if (lengths[i + 1][j] >= lengths[i][j + 1]) {
        i++;
      } else {
        j++;
      }
    }
  }

  /** Marks the space between two words that are marked. */
  private static void spaces(List<String> pieces, BitSet marked) {
    for (int i = 1; i + 1 < pieces.size(); i++) {
      if (pieces.get(i).isBlank() && marked.get(i - 1) && marked.get(i + 1)) {
        marked.set(i);
      }
    }
  }

  /** Returns the first text as HTML; {@code del} marks what the second one has not. */
  public String beforeHtml() {
    return html(before, removed, "del");
  }

  /** Returns the second text as HTML; {@code ins} marks what the first one has not. */
  public String afterHtml() {
    return html(after, added, "ins");
  }

  private static String html(List<String> pieces, BitSet marked, String tag) {
    StringBuilder html = new StringBuilder();
    for (int i = 0; i < pieces.size(); ) {
      int end = marked.get(i) ? marked.nextClearBit(i) : marked.nextSetBit(i);
      end = end < 0 ? pieces.size() : Math.min(end, pieces.size());
      String text = Html.text(String.join("", pieces.subList(i, end)));
      html.append(marked.get(i) ? "<%s>%s</%s>".formatted(tag, text, tag) : text);
      i = end;
    }
    return html.toString();
  }
}
