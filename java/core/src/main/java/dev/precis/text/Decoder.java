package dev.precis.text;

import java.util.List;

/** A step from tokens back to text; the result of the last one is joined. */
interface Decoder {
  /** Returns the tokens rewritten. */
  List<String> decode(List<String> tokens);
}
