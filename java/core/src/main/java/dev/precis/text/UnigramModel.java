package dev.precis.text;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/**
 * The Unigram model (Kudo 2018, "Subword Regularization"): of all ways to cut a text into pieces,
 * the one with the largest sum of scores, found by Viterbi's algorithm in one pass.
 *
 * <p>best[end] = max over pieces that end there of best[start] + score(piece); of equal sums the
 * first found stays, that is the one with the longest last piece. A character that is no piece
 * costs the lowest score less {@value #UNKNOWN_PENALTY}, and unknown neighbours become one unknown
 * token.
 */
final class UnigramModel implements SubwordModel {
  private static final double UNKNOWN_PENALTY = 10;

  private final CharTrie trie;
  private final double[] scores; // by id
  private final Map<String, Integer> ids;
  private final int unknown;
  private final double unknownScore;
  private final int[] bytes; // by byte: the id of <0xNN>, or -1; null without byte fallback

  /**
   * Builds the model.
   *
   * @param pieces by id; of equal ones the last counts
   * @param ids the ids of the pieces
   * @param unknown id of the unknown token
   * @param byteFallback whether unknown text becomes the tokens of its bytes
   */
  UnigramModel(
      List<String> pieces,
      double[] scores,
      Map<String, Integer> ids,
      int unknown,
      boolean byteFallback) {
    trie = new CharTrie(pieces.size());
    double lowest = Double.POSITIVE_INFINITY;
    for (int id = 0; id < pieces.size(); id++) {
      if (!pieces.get(id).isEmpty()) {
        trie.put(pieces.get(id), id);
      }
      lowest = Math.min(lowest, scores[id]);
    }
    this.scores = scores;
    this.ids = ids;
    this.unknown = unknown;
    unknownScore = lowest - UNKNOWN_PENALTY;
    bytes = byteFallback ? BpeModel.byteTokens(ids) : null;
  }

  @Override
  public void encode(String text, IdList out) {
    int length = text.length();
    double[] best = new double[length + 1];
    int[] from = new int[length + 1]; // start of the last piece of the best way
    int[] piece = new int[length + 1]; // its id
    Arrays.fill(from, -1);
    for (int start = 0; start < length; ) {
      double here = best[start];
      int width = Character.isHighSurrogate(text.charAt(start)) ? 2 : 1;
      boolean known = false;
      int node = CharTrie.ROOT;
      for (int end = start + 1; end <= length; end++) {
        node = trie.child(node, text.charAt(end - 1));
        if (node < 0) {
          break;
        }
        int id = trie.value(node);
        if (id >= 0) {
          double sum = scores[id] + here;
          if (from[end] < 0 || sum > best[end]) {
            best[end] = sum;
            from[end] = start;
            piece[end] = id;
          }
          known |= end - start == width;
        }
      }
      if (!known) {
        int end = start + width;
        double sum = unknownScore + here;
        if (from[end] < 0 || sum > best[end]) {
          best[end] = sum;
          from[end] = start;
          piece[end] = unknown;
        }
      }
      start += width;
    }
    int first = out.size();
    for (int end = length; end > 0; ) {
      int start = from[end];
      if (piece[end] == unknown) {
        while (start > 0 && piece[start] == unknown) {
          start = from[start];
        }
        addUnknown(text.substring(start, end), out);
      } else {
        out.add(piece[end]);
      }
      end = start;
    }
    out.reverseFrom(first);
  }

  /** Appends the ids of text without a piece, the last first. */
  private void addUnknown(String text, IdList out) {
    Integer whole = ids.get(text); // several unknown characters may be a piece together
    if (whole != null) {
      out.add(whole);
      return;
    }
    byte[] utf8 = bytes == null ? null : text.getBytes(StandardCharsets.UTF_8);
    if (utf8 == null || !BpeModel.haveTokens(utf8, bytes)) {
      out.add(unknown);
      return;
    }
    for (int i = utf8.length - 1; i >= 0; i--) {
      out.add(bytes[utf8[i] & 0xFF]);
    }
  }
}
