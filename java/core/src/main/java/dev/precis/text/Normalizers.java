package dev.precis.text;

import dev.precis.io.InvalidInputException;
import dev.precis.io.JsonObject;
import java.text.Normalizer.Form;
import java.util.List;

/** The normalizers of {@code tokenizer.json}, by their {@code type}. */
final class Normalizers {
  private static final int MAX_CONTENT = 1_000;

  private Normalizers() {}

  /**
   * Reads a normalizer.
   *
   * @param budget counts the parts of the file
   * @throws InvalidInputException if its type is unknown or a field is wrong
   */
  static Normalizer read(JsonObject json, PartBudget budget) {
    budget.take(json);
    String type = PartBudget.type(json, "normalizer");
    return switch (type) {
      case "Sequence" ->
          sequence(budget.list(json, "normalizers", Normalizers::read), json.where());
      case "Precompiled" -> precompiled(json);
      case "NFC" -> form(Form.NFC);
      case "NFD" -> form(Form.NFD);
      case "NFKC" -> form(Form.NFKC);
      case "NFKD" -> form(Form.NFKD);
      case "Nmt" -> text -> Characters.map(text, Normalizers::nmt);
      case "BertNormalizer" -> BertNormalizer.read(json);
      case "Lowercase" -> Characters::lowercase;
      case "StripAccents" ->
          text -> Characters.map(text, c -> Characters.isMark(c) ? Characters.DROPPED : c);
      case "Strip" -> new Strip(json.bool("strip_left", true), json.bool("strip_right", true));
      case "Prepend" -> {
        String prefix = content(json, "prepend");
        yield new Prepend(prefix);
      }
      case "Replace" -> {
        TextPattern pattern = TextPattern.read(json);
        String content = content(json, "content");
        yield text -> replaceAll(pattern, content, text, json.where());
      }
      default -> throw PartBudget.unknown(json, "normalizer", type);
    };
  }

  private static Normalizer sequence(List<Normalizer> steps, String where) {
    return new Normalizer() {
      @Override
      public String normalize(String text) {
        String result = text;
        for (Normalizer step : steps) {
          result = step.normalize(result);
          Growth.check(result.length(), text, where);
        }
        return result;
      }

      @Override
      public Piece normalize(Piece piece) {
        Piece result = piece;
        for (Normalizer step : steps) {
          result = step.normalize(result);
          Growth.check(result.text().length(), piece.text(), where);
        }
        return result;
      }
    };
  }

  private static Normalizer precompiled(JsonObject json) {
    if (!json.has("precompiled_charsmap")) {
      throw new InvalidInputException(
          json.where() + ": the Precompiled normalizer has no precompiled_charsmap");
    }
    byte[] bytes = Base64Text.decode(json.text("precompiled_charsmap"), json.where());
    Charsmap charsmap = Charsmap.parse(bytes, json.where());
    return new Normalizer() {
      @Override
      public String normalize(String text) {
        return charsmap.normalize(text, json.where());
      }

      /** A first character that the map drops counts as part of the next, as in the library. */
      @Override
      public boolean keepsFirst(String text) {
        return true;
      }
    };
  }

  private static Normalizer form(Form form) {
    return text -> java.text.Normalizer.normalize(text, form);
  }

  /** Drops control characters and turns other kinds of space into one (Kudo, nmt_nfkc). */
  private static int nmt(int c) {
    if (c >= 0x01 && c <= 0x08
        || c == 0x0B
        || c >= 0x0E && c <= 0x1F
        || c == 0x7F
        || c == 0x8F
        || c == 0x9F) {
      return Characters.DROPPED;
    }
    boolean space =
        c == 0x09
            || c == 0x0A
            || c == 0x0C
            || c == 0x0D
            || c == 0x1680
            || c >= 0x200B && c <= 0x200F
            || c == 0x2028
            || c == 0x2029
            || c == 0x2581
            || c == 0xFEFF
            || c == 0xFFFD;
    return space ? ' ' : c;
  }

  /** Replaces every match. */
  static String replaceAll(TextPattern pattern, String content, String text, String where) {
    Spans spans = pattern.find(text);
    if (spans.size() <= 1 && (spans.size() == 0 || !spans.isMatch(0))) {
      return text;
    }
    StringBuilder out = new StringBuilder(text.length());
    for (int i = 0; i < spans.size(); i++) {
      if (spans.isMatch(i)) {
        out.append(content);
        Growth.check(out.length(), text, where);
      } else {
        out.append(text, spans.start(i), spans.end(i));
      }
    }
    return out.toString();
  }

  /** Reads a text that is put into others, which must not be long or cut inside a character. */
  static String content(JsonObject json, String key) {
    String content = json.text(key);
    if (content.length() > MAX_CONTENT || Characters.unpairedSurrogate(content) >= 0) {
      throw json.wrong(key, "a text of at most " + MAX_CONTENT + " whole characters");
    }
    return content;
  }

  private record Prepend(String prefix) implements Normalizer {
    @Override
    public String normalize(String text) {
      return text.isEmpty() ? text : prefix + text;
    }

    @Override
    public boolean keepsFirst(String text) {
      return true;
    }
  }

  private record Strip(boolean left, boolean right) implements Normalizer {
    @Override
    public String normalize(String text) {
      int start = 0;
      int end = text.length();
      while (left && start < end && Characters.isWhitespace(text.charAt(start))) {
        start++;
      }
      while (right && end > start && Characters.isWhitespace(text.charAt(end - 1))) {
        end--;
      }
      return text.substring(start, end);
    }

    @Override
    public boolean keepsFirst(String text) {
      return !left || !Characters.isWhitespace(text.charAt(0));
    }
  }
}
