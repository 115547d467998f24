package dev.precis.cli.page;

import java.util.LinkedHashMap;
import java.util.Map;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** The options of a run as names and texts; those of an object are {@code object.option}. */
public final class FlatOptions {
  private FlatOptions() {}

  /** Returns the options of a run's {@code config.json}, in their order. */
  public static Map<String, String> of(ObjectNode json) {
    Map<String, String> options = new LinkedHashMap<>();
    flatten("", json, options);
    return options;
  }

  private static void flatten(String prefix, ObjectNode json, Map<String, String> options) {
    for (String key : json.propertyNames()) {
      JsonNode value = json.get(key);
      if (value instanceof ObjectNode inner && !inner.isEmpty()) {
        flatten(prefix + key + ".", inner, options);
      } else {
        options.put(prefix + key, value.isString() ? value.stringValue() : value.toString());
      }
    }
  }
}
