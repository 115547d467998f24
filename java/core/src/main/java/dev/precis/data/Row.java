package dev.precis.data;

import dev.precis.io.InvalidInputException;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * A row of any format, on its way to a dialogue.
 *
 * @param fields its fields in order: texts, lists of texts, whole numbers, true and false, and
 *     anything else for what is none of them
 * @param where file and line, for the errors' sentences
 * @param number its line, which is its id where it has none
 */
record Row(Map<String, Object> fields, String where, long number) {
  /** The longest text that is read, in characters: about a thousand printed pages. */
  static final int MAX_CHARACTERS = 2_000_000;

  /** The fields that the text can be in; the first that is present counts. */
  static final List<String> TEXT = List.of("dialogue", "text", "prompt");

  Dialogue toDialogue() {
    String textKey = firstOf(TEXT);
    if (textKey == null) {
      throw new InvalidInputException(
          "%s has no \"dialogue\" (nor \"text\" or \"prompt\"); its fields are: %s"
              .formatted(where, fieldNames()));
    }
    String text = nonBlank(textKey, "a dialogue");
    String topicKey = firstOf(List.of("topic", "topic1"));
    return new Dialogue(
        id(),
        text,
        summaries(),
        topicKey == null ? null : text(topicKey),
        !textKey.equals("dialogue"));
  }

  /** Returns a prompt with two answers to it. */
  PreferencePair toPair() {
    Dialogue asked = toDialogue();
    String chosen = answer("chosen", "\"chosen\" and \"rejected\"");
    String rejected = answer("rejected", "\"chosen\" and \"rejected\"");
    if (chosen.strip().equals(rejected.strip())) {
      throw new InvalidInputException(
          where + ": \"chosen\" and \"rejected\" are the same, so that nothing is preferred");
    }
    return new PreferencePair(
        asked.id(), asked.dialogue(), asked.raw(), chosen, rejected, margin(), where);
  }

  private double margin() {
    Object margin = fields.get("margin");
    if (margin == null) {
      return 0;
    }
    try {
      double value = Double.parseDouble(margin.toString());
      if (value >= 0 && value < Double.POSITIVE_INFINITY) {
        return value;
      }
    } catch (NumberFormatException e) {
      // Said below.
    }
    throw new InvalidInputException(
        "%s: \"margin\" must be a number of 0 or more, not %s".formatted(where, margin));
  }

  /** Returns a prompt with an answer that was labelled good or bad. */
  Feedback toFeedback() {
    Dialogue asked = toDialogue();
    String completion = answer("completion", "\"completion\" and \"label\"");
    return new Feedback(asked.id(), asked.dialogue(), asked.raw(), completion, label(), where);
  }

  private String answer(String key, String needed) {
    if (fields.get(key) == null) {
      throw new InvalidInputException(
          "%s has no \"%s\"; beside the prompt it needs %s, but its fields are: %s"
              .formatted(where, key, needed, fieldNames()));
    }
    return nonBlank(key, "an answer");
  }

  private String nonBlank(String key, String kind) {
    String text = bounded(key, kind);
    if (text.isBlank()) {
      throw new InvalidInputException(where + ": \"" + key + "\" is empty");
    }
    return text;
  }

  /** Returns a text with the line ends of Unix, if it is not too long for its kind. */
  private String bounded(String key, String kind) {
    String text = text(key).replace("\r\n", "\n").replace('\r', '\n');
    if (text.length() > MAX_CHARACTERS) {
      throw new InvalidInputException(
          "%s: \"%s\" has %d characters, more than the %d that %s may have"
              .formatted(where, key, text.length(), MAX_CHARACTERS, kind));
    }
    return text;
  }

  private String fieldNames() {
    return fields.isEmpty() ? "none" : String.join(", ", fields.keySet());
  }

  private boolean label() {
    Object label = fields.get("label");
    if (label == null) {
      throw new InvalidInputException(
          "%s has no \"label\", which says whether the completion is good: true or false"
              .formatted(where));
    }
    return switch (label.toString().toLowerCase(Locale.ROOT)) {
      case "true", "1" -> true;
      case "false", "0" -> false;
      default -> throw new InvalidInputException(where + ": \"label\" must be true or false");
    };
  }

  /**
   * Returns a text to evaluate, which may be empty.
   *
   * @param keys the fields that it can be in; the first that is present counts
   */
  TextRow toText(List<String> keys) {
    String key = firstOf(keys);
    if (key == null) {
      throw new InvalidInputException(
          "%s has no \"%s\"%s; its fields are: %s"
              .formatted(
                  where,
                  keys.getFirst(),
                  keys.size() == 1
                      ? ""
                      : " (nor \"" + String.join("\" or \"", keys.subList(1, keys.size())) + "\")",
                  fieldNames()));
    }
    String text = bounded(key, "a text");
    String prompt = fields.get("prompt") == null || key.equals("prompt") ? null : text("prompt");
    return new TextRow(id(), text, prompt, where);
  }

  /**
   * Returns a text and its label.
   *
   * @param keys the fields that the text can be in; the first that is present counts
   */
  LabelledText toLabelledText(List<String> keys) {
    TextRow row = toText(keys);
    String label =
        switch (fields.get("label")) {
          case null ->
              throw new InvalidInputException(
                  "%s has no \"label\"; its fields are: %s".formatted(where, fieldNames()));
          case String text -> text("label", text, "must be a text").strip();
          case Integer number -> number.toString();
          case Long number -> number.toString();
          case Boolean flag -> flag.toString();
          default ->
              throw new InvalidInputException(
                  where + ": \"label\" must be a name or a whole number");
        };
    if (label.isEmpty()) {
      throw new InvalidInputException(where + ": \"label\" is empty");
    }
    return new LabelledText(row.id(), row.text(), label, where);
  }

  /** Returns the summaries of a row, whose dialogue may be missing; a summary may be empty. */
  Summaries toSummaries() {
    List<String> texts = allSummaries();
    if (texts.isEmpty()) {
      throw new InvalidInputException(
          "%s has no \"summary\" (nor \"summary1\"); its fields are: %s"
              .formatted(where, fieldNames()));
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

  /** Returns the id that the row itself has, or {@code null}. */
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
