package dev.precis.review.comparison;

import dev.precis.io.Json;
import dev.precis.io.JsonObject;
import dev.precis.review.comparison.ComparisonPair.Key;
import tools.jackson.databind.node.ObjectNode;

/**
 * An answer as it is recorded.
 *
 * @param item id of the item
 * @param first index of the text that stood first
 * @param second index of the other one
 * @param repeat whether the annotator had answered the same pair before
 * @param selection how the pair was selected
 * @param probability the reward model's probability that the text which stood first is better; null
 *     where it has none
 */
public record Choice(
    String annotator,
    String item,
    int first,
    int second,
    boolean repeat,
    PairSelection selection,
    Double probability,
    Judgment judgment) {
  static final String ACTION = "choice";

  private static final int MOST_TEXTS = 1_000_000;

  Key key() {
    return new Key(item, Math.min(first, second), Math.max(first, second));
  }

  /** Returns the index of the preferred text; -1 if none is. */
  public int winner() {
    return switch (judgment.preference()) {
      case FIRST -> first;
      case SECOND -> second;
      default -> -1;
    };
  }

  /**
   * Returns the answer without the places: 0 or 1 for the text with the lower or higher index, 2
   * for a tie, 3 for both bad, -1 for a pair that was skipped.
   */
  int category() {
    return switch (judgment.preference()) {
      case FIRST, SECOND -> winner() == Math.min(first, second) ? 0 : 1;
      case TIE -> 2;
      case BOTH_BAD -> 3;
      case SKIP -> -1;
    };
  }

  ObjectNode json() {
    ObjectNode json = Json.mapper().createObjectNode();
    json.put("action", ACTION);
    json.put("annotator", annotator);
    json.put("item", item);
    json.put("first", first);
    json.put("second", second);
    if (repeat) {
      json.put("repeat", true);
    }
    json.put("selection", selection.id());
    if (probability != null) {
      json.put("probability", probability);
    }
    judgment.write(json);
    return json;
  }

  static Choice of(JsonObject json) {
    return new Choice(
        json.text("annotator"),
        json.text("item"),
        json.integer("first", 0, MOST_TEXTS),
        json.integer("second", 0, MOST_TEXTS),
        json.bool("repeat", false),
        PairSelection.of(json.text("selection")),
        json.has("probability") ? json.number("probability") : null,
        Judgment.of(json));
  }
}
