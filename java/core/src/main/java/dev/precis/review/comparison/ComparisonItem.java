package dev.precis.review.comparison;

import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.io.JsonObject;
import java.util.ArrayList;
import java.util.List;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * A dialogue and the summaries of it that people compare.
 *
 * @param id names it in the project; ids are unique
 * @param raw whether the dialogue is a whole prompt, to which no template is applied
 * @param texts two or more summaries
 * @param gold whether the answer is known: the first text is better than all others
 */
public record ComparisonItem(
    String id, String dialogue, boolean raw, List<CandidateText> texts, boolean gold) {
  /** Copies the texts. */
  public ComparisonItem {
    texts = List.copyOf(texts);
    if (texts.size() < 2) {
      throw new InvalidInputException(
          "The item %s has %d summaries; a comparison needs 2 or more".formatted(id, texts.size()));
    }
  }

  /**
   * Returns the same with a reward model's scores.
   *
   * @param scores one for each text
   */
  public ComparisonItem withScores(List<Double> scores) {
    List<CandidateText> scored = new ArrayList<>();
    for (int i = 0; i < texts.size(); i++) {
      scored.add(new CandidateText(texts.get(i).candidate(), texts.get(i).text(), scores.get(i)));
    }
    return new ComparisonItem(id, dialogue, raw, scored, gold);
  }

  ObjectNode json() {
    ObjectNode json = Json.mapper().createObjectNode();
    json.put("id", id);
    json.put("dialogue", dialogue);
    if (raw) {
      json.put("raw", true);
    }
    if (gold) {
      json.put("gold", true);
    }
    ArrayNode list = json.putArray("texts");
    for (CandidateText each : texts) {
      ObjectNode text = list.addObject();
      text.put("candidate", each.candidate());
      text.put("text", each.text());
      if (each.score() != null) {
        text.put("score", each.score());
      }
    }
    return json;
  }

  static ComparisonItem of(JsonObject json) {
    JsonNode list = json.node().path("texts");
    if (!list.isArray()) {
      throw json.wrong("texts", "a list of summaries");
    }
    List<CandidateText> texts = new ArrayList<>();
    for (JsonNode each : list) {
      if (!(each instanceof ObjectNode object)) {
        throw json.wrong("texts", "a list of objects");
      }
      JsonObject text = new JsonObject(json.where() + ", \"texts\"", object);
      texts.add(
          new CandidateText(
              text.text("candidate"),
              text.text("text"),
              text.has("score") ? text.number("score") : null));
    }
    return new ComparisonItem(
        json.text("id"),
        json.text("dialogue"),
        json.bool("raw", false),
        texts,
        json.bool("gold", false));
  }
}
