package dev.precis.io;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * A JSON object that knows where it came from, so that a key of the wrong type is an error that
 * names file, key and value. A key that is absent and one that is {@code null} are the same.
 *
 * @param where the file (or other source) for the errors' sentences
 * @param node the object itself, for what the methods here do not cover
 */
public record JsonObject(String where, ObjectNode node) {
  private static final int SHOWN = 60;

  /** Returns true if the key is present and not {@code null}. */
  public boolean has(String key) {
    return node.hasNonNull(key);
  }

  /**
   * Returns a whole number within {@code [min, max]}.
   *
   * @throws InvalidInputException if it is absent, no whole number, or out of range
   */
  public int integer(String key, int min, int max) {
    JsonNode value = required(key);
    if (!value.isIntegralNumber()
        || !value.canConvertToInt()
        || value.intValue() < min
        || value.intValue() > max) {
      throw wrong(key, "a whole number from " + min + " to " + max, value);
    }
    return value.intValue();
  }

  /**
   * Returns a whole number within {@code [min, max]}, which may need 64 bits.
   *
   * @throws InvalidInputException if it is absent, no whole number, or out of range
   */
  public long whole(String key, long min, long max) {
    JsonNode value = required(key);
    if (!value.isIntegralNumber()
        || !value.canConvertToLong()
        || value.longValue() < min
        || value.longValue() > max) {
      throw wrong(key, min == max ? "" + min : "a whole number of " + min + " or more", value);
    }
    return value.longValue();
  }

  /** Returns {@link #integer(String, int, int)}, or a default for an absent key. */
  public int integer(String key, int min, int max, int otherwise) {
    return has(key) ? integer(key, min, max) : otherwise;
  }

  /**
   * Returns a finite number.
   *
   * @throws InvalidInputException if it is absent or no finite number
   */
  public double number(String key) {
    JsonNode value = required(key);
    if (!value.isNumber() || !Double.isFinite(value.doubleValue())) {
      throw wrong(key, "a number", value);
    }
    return value.doubleValue();
  }

  /** Returns {@link #number(String)}, or a default for an absent key. */
  public double number(String key, double otherwise) {
    return has(key) ? number(key) : otherwise;
  }

  /**
   * Returns a text.
   *
   * @throws InvalidInputException if it is absent or no text
   */
  public String text(String key) {
    JsonNode value = required(key);
    if (!value.isString()) {
      throw wrong(key, "a text", value);
    }
    return value.stringValue();
  }

  /** Returns {@link #text(String)}; empty for an absent key. */
  public Optional<String> optionalText(String key) {
    return has(key) ? Optional.of(text(key)) : Optional.empty();
  }

  /**
   * Returns {@code true} or {@code false}, or a default for an absent key.
   *
   * @throws InvalidInputException if it is something else
   */
  public boolean bool(String key, boolean otherwise) {
    if (!has(key)) {
      return otherwise;
    }
    JsonNode value = required(key);
    if (!value.isBoolean()) {
      throw wrong(key, "true or false", value);
    }
    return value.booleanValue();
  }

  /**
   * Returns a list of texts; empty for an absent key.
   *
   * @throws InvalidInputException if it is no list, or holds anything but texts
   */
  public List<String> texts(String key) {
    if (!has(key)) {
      return List.of();
    }
    JsonNode value = required(key);
    List<String> texts = new ArrayList<>();
    for (JsonNode item : value) {
      if (item.isString()) {
        texts.add(item.stringValue());
      }
    }
    if (!value.isArray() || texts.size() != value.size()) {
      throw wrong(key, "a list of texts", value);
    }
    return List.copyOf(texts);
  }

  /**
   * Returns a nested object; an empty one for an absent key.
   *
   * @throws InvalidInputException if it is something else
   */
  public JsonObject object(String key) {
    if (!has(key)) {
      return new JsonObject(where, node.objectNode());
    }
    JsonNode value = required(key);
    if (value instanceof ObjectNode object) {
      return new JsonObject(where + ", \"" + key + "\"", object);
    }
    throw wrong(key, "an object", value);
  }

  /**
   * Returns a list of objects.
   *
   * @throws InvalidInputException if it is absent, no list, or holds anything but objects
   */
  public List<JsonObject> objects(String key) {
    JsonNode value = required(key);
    List<JsonObject> objects = new ArrayList<>();
    for (JsonNode item : value) {
      if (item instanceof ObjectNode object) {
        objects.add(new JsonObject(where + ", \"" + key + "\"", object));
      }
    }
    if (!value.isArray() || objects.size() != value.size()) {
      throw wrong(key, "a list of objects", value);
    }
    return List.copyOf(objects);
  }

  /** Returns the keys, in the file's order. */
  public List<String> keys() {
    return List.copyOf(node.propertyNames());
  }

  /** Returns an exception about one key's value: "FILE: "KEY" must be WHAT, but is VALUE". */
  public InvalidInputException wrong(String key, String mustBe) {
    return wrong(key, mustBe, node.get(key));
  }

  private InvalidInputException wrong(String key, String mustBe, JsonNode value) {
    String shown = String.valueOf(value);
    if (shown.length() > SHOWN) {
      shown = shown.substring(0, SHOWN) + "...";
    }
    return new InvalidInputException(
        where + ": \"" + key + "\" must be " + mustBe + ", but is " + shown);
  }

  private JsonNode required(String key) {
    JsonNode value = node.get(key);
    if (value == null || value.isNull()) {
      throw new InvalidInputException(where + " has no \"" + key + "\", which is needed");
    }
    return value;
  }
}
