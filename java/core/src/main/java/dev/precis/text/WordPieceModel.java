package dev.precis.text;

import java.util.Map;

/**
 * WordPiece (Wu et al. 2016, as BERT has it): the longest token that begins a word, then the
 * longest that continues it, until its end. A word that cannot be cut so is the unknown token
 * whole.
 *
 * @param prefix stands before the tokens that continue a word
 * @param longest characters of a word; a longer one is the unknown token
 */
record WordPieceModel(Map<String, Integer> ids, int unknown, String prefix, int longest)
    implements SubwordModel {
  /** The longest word that a file may ask for: a word's time grows with its square. */
  static final int MAX_WORD = 1_000;

  /** The longest prefix that a file may ask for, since it stands before each part that is tried. */
  static final int MAX_PREFIX = 100;

  @Override
  public void encode(String word, IdList out) {
    if (word.codePointCount(0, word.length()) > longest) {
      out.add(unknown);
      return;
    }
    IdList found = new IdList();
    for (int start = 0; start < word.length(); ) {
      int end = word.length();
      Integer id = null;
      while (id == null && end > start) {
        String part = word.substring(start, end);
        id = ids.get(start == 0 ? part : prefix + part);
        if (id == null) {
          end = word.offsetByCodePoints(end, -1);
        }
      }
      if (id == null) {
        out.add(unknown);
        return;
      }
      found.add(id);
      start = end;
    }
    out.addAll(found.toArray());
  }
}
