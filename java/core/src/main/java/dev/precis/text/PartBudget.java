package dev.precis.text;

import dev.precis.io.InvalidInputException;
import dev.precis.io.JsonObject;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.BiFunction;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** Counts the steps of a {@code tokenizer.json}, so that none has a million of them. */
final class PartBudget {
  private static final int MAX_PARTS = 64;

  /** Where a type is another model's, the reason is said by its name. */
  private static final Map<String, String> OTHERS =
      Map.of(
          "CTC", "speech recognition's",
          "BPEDecoder", "GPT-1's");

  private int taken;

  void take(JsonObject part) {
    if (++taken > MAX_PARTS) {
      throw new InvalidInputException(
          part.where() + ": a tokenizer of more than " + MAX_PARTS + " parts is not supported");
    }
  }

  /** Returns a part's {@code type}. */
  static String type(JsonObject part, String kind) {
    String type = part.optionalText("type").orElse(null);
    if (type == null) {
      throw unknown(part, kind, null);
    }
    return type;
  }

  /**
   * Returns the exception for a part that is not known, or known and not of a model that is read.
   */
  static InvalidInputException unknown(JsonObject part, String kind, String type) {
    String shown = type == null || type.length() <= 60 ? type : type.substring(0, 60) + "...";
    String whose =
        shown != null && OTHERS.containsKey(shown) ? ", which is " + OTHERS.get(shown) + "," : "";
    return new InvalidInputException(
        "%s: a %s of the type %s%s is not supported; T5's, RoBERTa's and BERT's tokenizers have none"
            .formatted(part.where(), kind, shown, whose));
  }

  /** Reads the list of parts that a Sequence holds. */
  <T> List<T> list(JsonObject json, String key, BiFunction<JsonObject, PartBudget, T> reader) {
    JsonNode value = json.node().get(key);
    if (value == null || !value.isArray()) {
      throw new InvalidInputException(json.where() + ": \"" + key + "\" must be a list of parts");
    }
    List<T> parts = new ArrayList<>();
    for (JsonNode item : value) {
      if (!(item instanceof ObjectNode object)) {
        throw new InvalidInputException(
            json.where() + ": \"" + key + "\" must be a list of objects");
      }
      parts.add(reader.apply(new JsonObject(json.where(), object), this));
    }
    return parts;
  }
}
