package dev.precis.text;

/**
 * A part of a text on its way to the model.
 *
 * @param atStart whether it begins with the text's own first character, which decides where a
 *     Metaspace of the scheme {@code first} puts its space
 */
record Piece(String text, boolean atStart) {
  /** Returns the part from {@code start} to {@code end}. */
  Piece part(int start, int end) {
    return start == 0 && end == text.length()
        ? this
        : new Piece(text.substring(start, end), atStart && start == 0);
  }
}
