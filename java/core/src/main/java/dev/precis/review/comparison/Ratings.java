package dev.precis.review.comparison;

import dev.precis.io.InvalidInputException;
import dev.precis.io.JsonObject;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.node.ObjectNode;

/**
 * Ratings of one summary from 1 to 7, on the axes of Stiennon et al. 2020.
 *
 * @param values by the name of the axis; an axis that was not rated is absent
 */
public record Ratings(Map<String, Integer> values) {
  /** The names of the axes. */
  public static final List<String> AXES = List.of("overall", "accuracy", "coverage", "coherence");

  /** The ratings of somebody who gave none. */
  public static final Ratings NONE = new Ratings(Map.of());

  private static final int MOST = 7;

  /**
   * Copies the values.
   *
   * @throws InvalidInputException if an axis is unknown or a rating out of range
   */
  public Ratings {
    Map<String, Integer> ordered = new LinkedHashMap<>();
    for (String axis : AXES) {
      Integer value = values.get(axis);
      if (value != null) {
        InvalidInputException.require(value >= 1 && value <= MOST, axis, "from 1 to 7", value);
        ordered.put(axis, value);
      }
    }
    if (ordered.size() < values.size()) {
      throw new InvalidInputException(
          "\"ratings\" has an axis of another name than " + String.join(", ", AXES));
    }
    values = Collections.unmodifiableMap(ordered);
  }

  static Ratings of(JsonObject json) {
    Map<String, Integer> values = new LinkedHashMap<>();
    json.keys().forEach(axis -> values.put(axis, json.integer(axis, 1, MOST)));
    return new Ratings(values);
  }

  void write(ObjectNode json) {
    values.forEach(json::put);
  }
}
