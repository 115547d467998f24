package dev.precis.server.api;

import dev.precis.io.InvalidInputException;
import dev.precis.io.JsonObject;
import dev.precis.server.http.HttpFailure;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Function;
import java.util.function.Predicate;
import tools.jackson.databind.JsonNode;

/**
 * The fields of a request. A field that nobody reads is refused by its name, because it may change
 * what the client expects. A field that is null counts as absent. Not thread-safe.
 */
final class RequestFields {
  private final JsonObject json;
  private final Set<String> known = new HashSet<>();

  /** Takes the fields of an object. */
  RequestFields(JsonObject json) {
    this.json = json;
  }

  /** Names fields that have no effect on the result. */
  RequestFields ignore(String... names) {
    known.addAll(List.of(names));
    return this;
  }

  /**
   * Allows a field the value that changes nothing.
   *
   * @param neutral whether a value changes nothing
   * @param sentence says why other values are refused
   */
  RequestFields neutral(String name, Predicate<JsonNode> neutral, String sentence) {
    if (has(name) && !neutral.test(json.node().get(name))) {
      throw HttpFailure.unsupported(name, "\"" + name + "\" " + sentence);
    }
    return this;
  }

  /** Returns true if the field is there and not null; it counts as read. */
  boolean has(String name) {
    known.add(name);
    return json.has(name);
  }

  /** Returns a field as it is; null: it is absent. */
  JsonNode node(String name) {
    return has(name) ? json.node().get(name) : null;
  }

  /** Returns a whole number within bounds, or a default for an absent field. */
  int integer(String name, int min, int max, int otherwise) {
    return has(name) ? read(name, fields -> fields.integer(name, min, max)) : otherwise;
  }

  /** Returns a whole number of 64 bits, or a default for an absent field. */
  long whole(String name, long otherwise) {
    return has(name)
        ? read(name, fields -> fields.whole(name, Long.MIN_VALUE, Long.MAX_VALUE))
        : otherwise;
  }

  /** Returns a number within bounds, or a default for an absent field. */
  float number(String name, double min, double max, float otherwise) {
    if (!has(name)) {
      return otherwise;
    }
    double value = read(name, fields -> fields.number(name));
    if (!(value >= min && value <= max)) {
      throw HttpFailure.badRequest(
          name, "\"%s\" must be from %s to %s, but is %s.".formatted(name, min, max, value));
    }
    return (float) value;
  }

  /** Returns true or false, or a default for an absent field. */
  boolean bool(String name, boolean otherwise) {
    return has(name) ? read(name, fields -> fields.bool(name, otherwise)) : otherwise;
  }

  /** Returns a text; null: the field is absent. */
  String text(String name) {
    return has(name) ? read(name, fields -> fields.text(name)) : null;
  }

  /** Returns a text that must be there. */
  String requiredText(String name) {
    if (!has(name)) {
      throw missing(name);
    }
    return text(name);
  }

  /** Returns one text or a list of texts as a list; null: the field is absent. */
  List<String> texts(String name) {
    JsonNode value = node(name);
    if (value == null) {
      return null;
    }
    List<String> texts = new ArrayList<>();
    if (value.isString()) {
      texts.add(value.stringValue());
    } else {
      texts.addAll(read(name, fields -> fields.texts(name)));
    }
    if (texts.isEmpty()) {
      throw HttpFailure.badRequest(name, "\"" + name + "\" must not be an empty list.");
    }
    return texts;
  }

  /** Returns the fields of a nested object; null: it is absent. */
  RequestFields object(String name) {
    return has(name) ? new RequestFields(read(name, fields -> fields.object(name))) : null;
  }

  private <T> T read(String name, Function<JsonObject, T> reader) {
    try {
      return reader.apply(json);
    } catch (InvalidInputException e) {
      throw HttpFailure.badRequest(name, e.getMessage() + ".");
    }
  }

  /** Returns the failure of a request without a field that it needs. */
  static HttpFailure missing(String name) {
    return HttpFailure.badRequest(name, "The request has no \"" + name + "\", which is needed.");
  }

  /** Refuses the request if it has a field that nobody has read. */
  void refuseOthers() {
    for (String name : json.keys()) {
      if (!known.contains(name) && json.has(name)) {
        throw HttpFailure.unsupported(
            name, "\"" + name + "\" is not supported by this server: leave it out.");
      }
    }
  }
}
