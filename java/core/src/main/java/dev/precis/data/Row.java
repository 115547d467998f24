package dev.precis.data;

import dev.precis.InvalidInputException;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * A row of any format, on its way to a dialogue.
 *
 * @param fields its fields in order: texts, lists of texts, whole numbers, and anything else for
 *     what is none of them
 * @param where file and line, for the errors' sentences
 * @param number its line, which is its id where it has none
 */
record Row(Map<String, Object> fields, String where, long number) {
  /** The fields that the text can be in, the first present one counts. */
  static final List<String> TEXT = List.of("dialogue", "text", "prompt");

  Dialogue toDialogue() {
    String textKey = firstOf(TEXT);
    if (textKey == null) {
      throw new InvalidInputException(
          "%s has no \"dialogue\" (nor \"text\" or \"prompt\"); its fields are: %s"
              .formatted(where, fields.isEmpty() ? "none" : String.join(", ", fields.keySet())));
    }
    String text = text(textKey).replace("\r\n", "\n").replace('\r', '\n');
    if (text.isBlank()) {
      throw new InvalidInputException(where + ": \"" + textKey + "\" is empty");
    }
    if (text.length() > DialogueReader.MAX_CHARACTERS) {
      throw new InvalidInputException(
          "%s: \"%s\" has %d characters, more than the %d that a dialogue may have"
              .formatted(where, textKey, text.length(), DialogueReader.MAX_CHARACTERS));
    }
    String topicKey = firstOf(List.of("topic", "topic1"));
    return new Dialogue(
        id(),
        text,
        summaries(),
        topicKey == null ? null : text(topicKey),
        !textKey.equals("dialogue"));
  }

  /** What is summarised may be missing here, and a summary may be empty. */
  Summaries toSummaries() {
    List<String> texts = allSummaries();
    if (texts.isEmpty()) {
      throw new InvalidInputException(
          "%s has no \"summary\" (nor \"summary1\"); its fields are: %s"
              .formatted(where, fields.isEmpty() ? "none" : String.join(", ", fields.keySet())));
    }
    String textKey = firstOf(TEXT);
    boolean anything = texts.stream().anyMatch(text -> !text.isBlank());
    return new Summaries(
        ownId(),
        textKey == null ? null : text(textKey),
        anything ? texts.stream().filter(text -> !text.isBlank()).toList() : List.of(""));
  }

  private String id() {
    String own = ownId();
    return own == null ? Long.toString(number) : own;
  }

  /** The id that the row itself has, or {@code null}. */
  private String ownId() {
    String key = firstOf(List.of("id", "fname"));
    if (key == null) {
      return null;
    }
    return switch (fields.get(key)) {
      case Integer id -> id.toString();
      case Long id -> id.toString();
      case BigInteger id -> id.toString();
      default -> text(key);
    };
  }

  private List<String> summaries() {
    return allSummaries().stream().filter(text -> !text.isBlank()).toList();
  }

  private List<String> allSummaries() {
    List<String> summaries = new ArrayList<>();
    for (String key : List.of("summary", "summary1", "summary2", "summary3")) {
      if (fields.get(key) instanceof List<?> list) {
        list.forEach(item -> summaries.add(text(key, item, "must hold texts only")));
      } else if (fields.get(key) != null) {
        summaries.add(text(key));
      }
    }
    return summaries;
  }

  private String firstOf(List<String> keys) {
    for (String key : keys) {
      if (fields.get(key) != null) {
        return key;
      }
    }
    return null;
  }

  private String text(String key) {
    return text(key, fields.get(key), "must be a text");
  }

  private String text(String key, Object value, String otherwise) {
    if (!(value instanceof String text)) {
      throw new InvalidInputException(where + ": \"" + key + "\" " + otherwise);
    }
    // JSON can spell half a surrogate pair, which is no text.
    if (!StandardCharsets.UTF_8.newEncoder().canEncode(text)) {
      throw new InvalidInputException(
          where + ": \"" + key + "\" has an unpaired surrogate; it was cut inside a character");
    }
    return text;
  }
}
