package dev.precis.review.comparison;

import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.io.JsonObject;
import dev.precis.text.PromptTemplate;
import java.util.HashSet;
import java.util.List;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Settings of a comparison project.
 *
 * @param seed of the order of pairs and of places
 * @param overlap how many annotators answer each pair
 * @param repeats share of an annotator's pairs that come a second time, in [0, 0.5]
 * @param annotators their names, without duplicates
 * @param guidelines text that annotators read; may be empty
 * @param template makes prompts of dialogues in exports
 * @param selection {@link PairSelection#RANDOM} or {@link PairSelection#LEAST_SURE}
 */
public record ComparisonSettings(
    long seed,
    int overlap,
    double repeats,
    List<String> annotators,
    String guidelines,
    String template,
    PairSelection selection) {
  private static final String FORMAT = "precis-comparison-1";
  private static final double MOST_REPEATS = 0.5;
  private static final int MOST_ANNOTATORS = 1000;
  private static final int LONGEST_NAME = 80;

  /**
   * Copies the names and checks every value.
   *
   * @throws InvalidInputException if one is out of range
   */
  public ComparisonSettings {
    annotators = List.copyOf(annotators);
    InvalidInputException.require(
        repeats >= 0 && repeats <= MOST_REPEATS, "repeats", "from 0 to 0.5", repeats);
    InvalidInputException.require(
        !annotators.isEmpty() && annotators.size() <= MOST_ANNOTATORS,
        "annotators",
        "1 to 1000 names",
        annotators.size());
    InvalidInputException.require(overlap >= 1, "overlap", "1 or more", overlap);
    if (overlap > annotators.size()) {
      throw new InvalidInputException(
          "overlap is %d, but there are only %d annotators: name more, or lower it"
              .formatted(overlap, annotators.size()));
    }
    for (String name : annotators) {
      if (name.isBlank()
          || !name.equals(name.strip())
          || name.length() > LONGEST_NAME
          || name.chars().anyMatch(Character::isISOControl)) {
        throw new InvalidInputException(
            "An annotator's name must have 1 to 80 characters, without spaces around them");
      }
    }
    if (new HashSet<>(annotators).size() < annotators.size()) {
      throw new InvalidInputException("Two annotators have the same name: rename one");
    }
    PromptTemplate.of(template);
  }

  /** Returns the same with further annotators. */
  public ComparisonSettings withAnnotators(List<String> all) {
    return new ComparisonSettings(seed, overlap, repeats, all, guidelines, template, selection);
  }

  /** Returns the same with pairs selected by the doubt of a reward model. */
  ComparisonSettings leastSure() {
    return new ComparisonSettings(
        seed, overlap, repeats, annotators, guidelines, template, PairSelection.LEAST_SURE);
  }

  ObjectNode json() {
    ObjectNode json = Json.mapper().createObjectNode();
    json.put("format", FORMAT);
    json.put("seed", seed);
    json.put("overlap", overlap);
    json.put("repeats", repeats);
    json.put("selection", selection.id());
    ArrayNode names = json.putArray("annotators");
    annotators.forEach(names::add);
    json.put("guidelines", guidelines);
    json.put("template", template);
    return json;
  }

  static ComparisonSettings of(JsonObject json) {
    if (!json.text("format").equals(FORMAT)) {
      throw json.wrong("format", FORMAT);
    }
    return new ComparisonSettings(
        json.whole("seed", Long.MIN_VALUE, Long.MAX_VALUE),
        json.integer("overlap", 1, MOST_ANNOTATORS),
        json.number("repeats"),
        json.texts("annotators"),
        json.text("guidelines"),
        json.text("template"),
        PairSelection.of(json.text("selection")));
  }
}
