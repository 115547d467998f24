package dev.precis.text;

import dev.precis.io.JsonObject;
import dev.precis.text.Spans.Behavior;
import java.util.ArrayList;
import java.util.List;

/**
 * SentencePiece's way with spaces: each becomes a visible character, U+2581 as a rule, and a text
 * starts with one.
 *
 * @param replacement the character
 * @param split whether the text is split before each replacement
 */
record Metaspace(String replacement, Scheme scheme, boolean split)
    implements PreTokenizer, Decoder {
  /** Where a space is put before a piece that has none. */
  enum Scheme {
    ALWAYS,
    FIRST,
    NEVER
  }

  /**
   * Reads either spelling: {@code prepend_scheme}, or the older {@code add_prefix_space}. Where the
   * older one is false, only the scheme {@code never} may stand beside it.
   */
  static Metaspace read(JsonObject json) {
    String replacement = json.text("replacement");
    if (replacement.isEmpty()
        || replacement.codePointCount(0, replacement.length()) != 1
        || Characters.unpairedSurrogate(replacement) >= 0) {
      throw json.wrong("replacement", "one character");
    }
    boolean prefix = json.bool("add_prefix_space", true);
    Scheme scheme =
        switch (json.optionalText("prepend_scheme").orElse(prefix ? "always" : "never")) {
          case "always" -> Scheme.ALWAYS;
          case "first" -> Scheme.FIRST;
          case "never" -> Scheme.NEVER;
          default -> throw json.wrong("prepend_scheme", "always, first or never");
        };
    if (!prefix && scheme != Scheme.NEVER) {
      throw json.wrong("prepend_scheme", "never where \"add_prefix_space\" is false");
    }
    return new Metaspace(replacement, scheme, json.bool("split", true));
  }

  @Override
  public void split(Piece piece, List<Piece> out) {
    String text = piece.text().replace(" ", replacement);
    boolean prepend = scheme == Scheme.ALWAYS || scheme == Scheme.FIRST && piece.atStart();
    if (prepend && !text.startsWith(replacement)) {
      text = replacement + text;
    }
    Piece whole = new Piece(text, piece.atStart());
    if (!split || text.indexOf(replacement, 1) < 0 && text.startsWith(replacement)) {
      out.add(whole);
      return;
    }
    int mark = replacement.codePointAt(0);
    Spans.of(text, c -> c == mark).split(whole, Behavior.MERGED_WITH_NEXT, out);
  }

  @Override
  public List<String> decode(List<String> tokens) {
    List<String> texts = new ArrayList<>(tokens.size());
    for (String token : tokens) {
      boolean first = texts.isEmpty() && scheme != Scheme.NEVER;
      texts.add(token.replace(replacement, first ? "" : " "));
    }
    return texts;
  }
}
