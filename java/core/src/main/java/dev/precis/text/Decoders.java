package dev.precis.text;

import dev.precis.io.InvalidInputException;
import dev.precis.io.JsonObject;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;

/** The decoders of {@code tokenizer.json}, by their {@code type}. */
final class Decoders {
  private static final int MAX_STRIPPED = 1_000;

  private Decoders() {}

  /**
   * Reads a decoder.
   *
   * @param budget counts the parts of the file
   * @throws InvalidInputException if its type is unknown or a field is wrong
   */
  static Decoder read(JsonObject json, PartBudget budget) {
    budget.take(json);
    String type = PartBudget.type(json, "decoder");
    return switch (type) {
      case "Sequence" -> sequence(budget.list(json, "decoders", Decoders::read), json.where());
      case "Metaspace" -> Metaspace.read(json);
      case "ByteLevel" -> ByteLevel::decode;
      case "WordPiece" -> {
        String prefix = json.optionalText("prefix").orElse("##");
        boolean cleanUp = json.bool("cleanup", true);
        yield tokens -> wordPiece(tokens, prefix, cleanUp);
      }
      case "ByteFallback" -> Decoders::byteFallback;
      case "Fuse" -> tokens -> List.of(String.join("", tokens));
      case "Strip" -> {
        String content = json.text("content");
        if (content.isEmpty() || content.codePointCount(0, content.length()) != 1) {
          throw json.wrong("content", "one character");
        }
        int start = json.integer("start", 0, MAX_STRIPPED);
        int stop = json.integer("stop", 0, MAX_STRIPPED);
        yield each(token -> strip(token, content, start, stop));
      }
      case "Replace" -> {
        TextPattern pattern = TextPattern.read(json);
        String content = Normalizers.content(json, "content");
        yield each(token -> Normalizers.replaceAll(pattern, content, token, json.where()));
      }
      default -> throw PartBudget.unknown(json, "decoder", type);
    };
  }

  private static Decoder each(UnaryOperator<String> step) {
    return tokens -> tokens.stream().map(step).toList();
  }

  private static Decoder sequence(List<Decoder> steps, String where) {
    return tokens -> {
      String before = String.join("", tokens);
      List<String> result = tokens;
      for (Decoder step : steps) {
        result = step.decode(result);
        int length = result.stream().mapToInt(String::length).sum();
        Growth.check(length, before, where);
      }
      return result;
    };
  }

  /** Joins the tokens that continue a word to it, and sets the others apart. */
  private static List<String> wordPiece(List<String> tokens, String prefix, boolean cleanUp) {
    List<String> out = new ArrayList<>(tokens.size());
    for (String token : tokens) {
      String text = token;
      if (!out.isEmpty()) {
        text = token.startsWith(prefix) ? token.substring(prefix.length()) : " " + token;
      }
      out.add(cleanUp ? CleanUp.apply(text) : text);
    }
    return out;
  }

  /** Turns runs of {@code <0xNN>} into the characters of their bytes, or into a mark for each. */
  private static List<String> byteFallback(List<String> tokens) {
    List<String> out = new ArrayList<>(tokens.size());
    ByteArrayOutputStream run = new ByteArrayOutputStream();
    for (String token : tokens) {
      int value = byteOf(token);
      if (value >= 0) {
        run.write(value);
      } else {
        endRun(run, out);
        out.add(token);
      }
    }
    endRun(run, out);
    return out;
  }

  private static void endRun(ByteArrayOutputStream run, List<String> out) {
    if (run.size() == 0) {
      return;
    }
    try {
      ByteBuffer bytes = ByteBuffer.wrap(run.toByteArray());
      out.add(StandardCharsets.UTF_8.newDecoder().decode(bytes).toString());
    } catch (CharacterCodingException e) {
      for (int i = 0; i < run.size(); i++) {
        out.add("\uFFFD");
      }
    }
    run.reset();
  }

  /** Returns the byte that a token such as {@code <0x0A>} stands for, or -1. */
  static int byteOf(String token) {
    if (token.length() != 6 || !token.startsWith("<0x") || !token.endsWith(">")) {
      return -1;
    }
    int high = Character.digit(token.charAt(3), 16);
    int low = Character.digit(token.charAt(4), 16);
    return high < 0 || low < 0 || token.charAt(3) > 'f' || token.charAt(4) > 'f'
        ? -1
        : high << 4 | low;
  }

  /** Takes a character off a token's ends, a number of times at most. */
  private static String strip(String token, String content, int start, int stop) {
    int from = 0;
    for (int i = 0; i < start && token.startsWith(content, from); i++) {
      from += content.length();
    }
    int to = token.length();
    for (int i = 0; i < stop && to - content.length() >= from; i++) {
      if (!token.startsWith(content, to - content.length())) {
        break;
      }
      to -= content.length();
    }
    return token.substring(from, to);
  }
}
