package dev.precis.data;

import dev.precis.io.InvalidInputException;
import dev.precis.io.Printable;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * A row of any format.
 *
 * @param fields its fields in order: texts, numbers, booleans, lists, maps, null, and anything else
 *     for what is none of them
 * @param where file and line, for the errors' sentences
 * @param number its line, which is its id where it has none
 */
record Row(Map<String, Object> fields, String where, long number) {
  /** The longest text that is read, in characters: about a thousand printed pages. */
  static final int MAX_CHARACTERS = 2_000_000;

  private static final int SHOWN_FIELDS = 20;

  /** Returns a column's name without the differences between spellings. */
  static String normal(String column) {
    return column.strip().toLowerCase(Locale.ROOT).replace(' ', '_').replace('-', '_');
  }

  /** Returns the file that the row is from. */
  String file() {
    return where.replaceFirst(", (line|row) \\d+$", "");
  }

  /** Returns true if the field is there and not null. */
  boolean has(String key) {
    return fields.get(key) != null;
  }

  /**
   * Returns the field of that name, or of the only name that is another spelling of it; null if
   * there is none.
   *
   * @throws InvalidInputException if two fields are other spellings of it
   */
  String find(String name) {
    if (fields.containsKey(name)) {
      return name;
    }
    String normal = normal(name);
    String found = null;
    for (String key : fields.keySet()) {
      if (normal(key).equals(normal)) {
        if (found != null) {
          throw new InvalidInputException(
              "%s has two fields that could be \"%s\": \"%s\" and \"%s\""
                  .formatted(where, name, Printable.of(found), Printable.of(key)));
        }
        found = key;
      }
    }
    return found;
  }

  /** Returns the value of the field that {@link #find} finds, or null. */
  Object value(String name) {
    String key = find(name);
    return key == null ? null : fields.get(key);
  }

  /** Returns the names of the fields, for a message. */
  String fieldNames() {
    if (fields.isEmpty()) {
      return "none";
    }
    String first =
        fields.keySet().stream()
            .limit(SHOWN_FIELDS)
            .map(Printable::of)
            .collect(Collectors.joining(", "));
    int more = fields.size() - SHOWN_FIELDS;
    return more > 0 ? first + " and " + more + " more" : first;
  }

  /** Returns the id, or the number of the row where it has none. */
  String id() {
    String own = ownId();
    return own == null ? Long.toString(number) : own;
  }

  /** Returns the id that the row itself has, or {@code null}. */
  String ownId() {
    for (String name : List.of("id", "fname")) {
      String key = find(name);
      if (key != null && has(key)) {
        return switch (fields.get(key)) {
          case Integer id -> id.toString();
          case Long id -> id.toString();
          case BigInteger id -> id.toString();
          default -> text(key);
        };
      }
    }
    return null;
  }

  /** Returns the topic, or {@code null}. */
  String topic() {
    for (String name : List.of("topic", "topic1")) {
      String key = find(name);
      if (key != null && has(key)) {
        return text(key);
      }
    }
    return null;
  }

  /**
   * Returns a text with the line ends of Unix.
   *
   * @param kind of text, for the message
   * @throws BadRowException if it is blank, too long or no text
   */
  String nonBlank(String key, String kind) {
    String text = bounded(key, kind);
    if (text.isBlank()) {
      throw BadRowException.unusable(where + ": \"" + Printable.of(key) + "\" is empty");
    }
    return text;
  }

  /** Returns a text with the line ends of Unix, if it is not too long for its kind. */
  String bounded(String key, String kind) {
    return bounded(key, kind, text(key));
  }

  /** Returns a text that belongs to a field with the line ends of Unix. */
  String bounded(String key, String kind, String content) {
    String text = content.replace("\r\n", "\n").replace('\r', '\n');
    if (text.length() > MAX_CHARACTERS) {
      throw BadRowException.unreadable(
          "%s: \"%s\" has %d characters, more than the %d that %s may have"
              .formatted(where, Printable.of(key), text.length(), MAX_CHARACTERS, kind));
    }
    return text;
  }

  /**
   * Returns the text in a field.
   *
   * @throws BadRowException if it is something else
   */
  String text(String key) {
    return checked(key, fields.get(key), "must be a text");
  }

  /** Returns a value of a field if it is a text. */
  String checked(String key, Object value, String otherwise) {
    if (!(value instanceof String text)) {
      throw BadRowException.unreadable(where + ": \"" + Printable.of(key) + "\" " + otherwise);
    }
    // JSON can spell half a surrogate pair, which is no text.
    if (!StandardCharsets.UTF_8.newEncoder().canEncode(text)) {
      throw BadRowException.unreadable(
          "%s: \"%s\" has an unpaired surrogate; it was cut inside a character"
              .formatted(where, Printable.of(key)));
    }
    return text;
  }
}
