package dev.precis.text;

import java.util.ArrayList;
import java.util.List;

/** A step that splits a normalized text into the pieces that the model sees one by one. */
interface PreTokenizer {
  /** Appends the pieces of a piece; empty ones may be among them. */
  void split(Piece piece, List<Piece> out);

  /** Splits each of several pieces, without those that are empty. */
  default List<Piece> splitAll(List<Piece> pieces) {
    List<Piece> out = new ArrayList<>(2 * pieces.size());
    for (Piece piece : pieces) {
      if (!piece.text().isEmpty()) {
        split(piece, out);
      }
    }
    return out;
  }
}
