package dev.precis.text;

import dev.precis.io.JsonObject;
import dev.precis.text.Spans.Behavior;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;

/** The pre-tokenizers of {@code tokenizer.json}, by their {@code type}. */
final class PreTokenizers {
  private PreTokenizers() {}

  /**
   * Reads a pre-tokenizer.
   *
   * @param budget counts the parts of the file
   * @throws dev.precis.io.InvalidInputException if its type is unknown or a field is wrong
   */
  static PreTokenizer read(JsonObject json, PartBudget budget) {
    budget.take(json);
    String type = PartBudget.type(json, "pre_tokenizer");
    return switch (type) {
      case "Sequence" -> sequence(budget.list(json, "pretokenizers", PreTokenizers::read));
      case "WhitespaceSplit" -> PreTokenizers::splitWhitespace;
      case "BertPreTokenizer" -> PreTokenizers::splitBert;
      case "Whitespace" -> PreTokenizers::splitWords;
      case "Metaspace" -> Metaspace.read(json);
      case "ByteLevel" ->
          new ByteLevel.Splitter(json.bool("add_prefix_space", true), json.bool("use_regex", true));
      case "Digits" -> {
        Behavior behavior =
            json.bool("individual_digits", false) ? Behavior.ISOLATED : Behavior.CONTIGUOUS;
        yield (piece, out) ->
            Spans.of(piece.text(), Characters::isNumeric).split(piece, behavior, out);
      }
      case "Punctuation" -> {
        Behavior behavior = json.has("behavior") ? behavior(json) : Behavior.ISOLATED;
        yield (piece, out) ->
            Spans.of(piece.text(), Characters::isPunctuation).split(piece, behavior, out);
      }
      case "Split" -> {
        TextPattern pattern = TextPattern.read(json);
        Behavior behavior = behavior(json);
        boolean invert = json.bool("invert", false);
        yield (piece, out) -> {
          Spans spans = pattern.find(piece.text());
          (invert ? spans.inverted() : spans).split(piece, behavior, out);
        };
      }
      default -> throw PartBudget.unknown(json, "pre_tokenizer", type);
    };
  }

  private static Behavior behavior(JsonObject json) {
    String name = json.text("behavior");
    return Arrays.stream(Behavior.values())
        .filter(each -> each.published().equals(name))
        .findFirst()
        .orElseThrow(
            () ->
                json.wrong(
                    "behavior",
                    "one of "
                        + Arrays.stream(Behavior.values())
                            .map(Behavior::published)
                            .collect(Collectors.joining(", "))));
  }

  private static PreTokenizer sequence(List<PreTokenizer> steps) {
    return (piece, out) -> {
      List<Piece> pieces = List.of(piece);
      for (PreTokenizer step : steps) {
        pieces = step.splitAll(pieces);
      }
      out.addAll(pieces);
    };
  }

  /** Splits at whitespace, which is left out. */
  private static void splitWhitespace(Piece piece, List<Piece> out) {
    String text = piece.text();
    int start = 0;
    for (int i = 0; i < text.length(); i++) {
      if (Characters.isWhitespace(text.charAt(i))) {
        if (i > start) {
          out.add(piece.part(start, i));
        }
        start = i + 1;
      }
    }
    if (start < text.length()) {
      out.add(piece.part(start, text.length()));
    }
  }

  /** Splits at whitespace, and sets each punctuation mark apart. */
  private static void splitBert(Piece piece, List<Piece> out) {
    List<Piece> words = new ArrayList<>();
    splitWhitespace(piece, words);
    for (Piece word : words) {
      Spans.of(word.text(), Characters::isPunctuation).split(word, Behavior.ISOLATED, out);
    }
  }

  /** Splits into words and runs of other characters; whitespace is left out. */
  private static void splitWords(Piece piece, List<Piece> out) {
    String text = piece.text();
    for (int i = 0; i < text.length(); ) {
      int kind = kind(text.codePointAt(i));
      int start = i;
      while (i < text.length() && kind(text.codePointAt(i)) == kind) {
        i += Character.charCount(text.codePointAt(i));
      }
      if (kind != 0) {
        out.add(piece.part(start, i));
      }
    }
  }

  private static int kind(int c) {
    return Characters.isWord(c) ? 1 : Characters.isWhitespace(c) ? 0 : 2;
  }
}
