package dev.precis.text;

/** A step that rewrites a text before it is split into pieces. */
interface Normalizer {
  /** Returns the text rewritten. */
  String normalize(String text);

  /** Rewrites a piece, and follows where the text's own first character goes. */
  default Piece normalize(Piece piece) {
    String text = piece.text();
    boolean keepsFirst = piece.atStart() && !text.isEmpty() && keepsFirst(text);
    return new Piece(normalize(text), keepsFirst);
  }

  /** Returns true if the result begins with what has become of the text's first character. */
  default boolean keepsFirst(String text) {
    int first = Character.charCount(text.codePointAt(0));
    return !normalize(text.substring(0, first)).isEmpty();
  }
}
