package dev.precis.cli.report;

import dev.precis.cli.page.Numbers;
import dev.precis.evaluation.PairedBootstrap.Interval;
import dev.precis.io.InvalidInputException;
import dev.precis.io.JsonObject;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * A number that a run, or a model, is judged by.
 *
 * @param name of the measure, such as ROUGE-1
 * @param before the value of what it is compared with; NaN where it is compared with nothing
 * @param after the value
 * @param interval the 95 % interval of the difference, or where there is nothing to compare with,
 *     of the value itself; null where it is unknown
 * @param higherIsBetter which direction is an improvement
 * @param basis what was compared, in a few words
 */
public record Result(
    String name,
    double before,
    double after,
    Interval interval,
    boolean higherIsBetter,
    String basis) {
  /** The direction of a change. */
  public enum Verdict {
    BETTER,
    WORSE,
    /** The interval of the difference contains zero, or there is no difference. */
    UNCLEAR,
    /** There is nothing to compare with. */
    LEVEL
  }

  /** Returns whether there is a value to compare with. */
  public boolean compares() {
    return !Double.isNaN(before);
  }

  private double difference() {
    return after - before;
  }

  /** Returns whether the value improved. */
  public Verdict verdict() {
    if (!compares()) {
      return Verdict.LEVEL;
    }
    if (difference() == 0 || interval != null && !interval.excludesZero()) {
      return Verdict.UNCLEAR;
    }
    return difference() > 0 == higherIsBetter ? Verdict.BETTER : Verdict.WORSE;
  }

  /** Returns the result in a sentence without its full stop. */
  public String sentence() {
    String values = "from %s to %s".formatted(Numbers.of(before), Numbers.of(after));
    return switch (verdict()) {
      case LEVEL -> "%s is %s%s".formatted(name, Numbers.of(after), intervalText("; "));
      case UNCLEAR ->
          difference() == 0 && (interval == null || interval.low() == interval.high())
              ? "%s did not change: %s".formatted(name, Numbers.of(after))
              : "%s did not change clearly: %s, %s%s"
                  .formatted(name, values, Numbers.signed(difference()), intervalText("; "));
      default ->
          "%s %s by %s, %s%s"
              .formatted(
                  name,
                  difference() > 0 ? "rose" : "fell",
                  Numbers.of(Math.abs(difference())),
                  values,
                  intervalText("; "));
    };
  }

  private String intervalText(String before) {
    if (interval == null) {
      return "";
    }
    return compares()
        ? "%s95 %% interval of the difference %s to %s"
            .formatted(before, Numbers.signed(interval.low()), Numbers.signed(interval.high()))
        : "%s95 %% interval %s to %s"
            .formatted(before, Numbers.of(interval.low()), Numbers.of(interval.high()));
  }

  /** Returns the result as JSON. */
  public ObjectNode toJson(ObjectNode json) {
    json.put("name", name);
    number(json, "before", before);
    number(json, "after", after);
    if (interval != null) {
      number(json, "low", interval.low());
      number(json, "high", interval.high());
    }
    json.put("higher_is_better", higherIsBetter);
    json.put("basis", basis);
    return json;
  }

  /** Adds a number; JSON has no NaN, so unknown values are null. */
  private static void number(ObjectNode json, String key, double value) {
    if (Double.isFinite(value)) {
      json.put(key, value);
    } else {
      json.putNull(key);
    }
  }

  /**
   * Reads a result.
   *
   * @throws InvalidInputException where it is none
   */
  static Result of(JsonNode node, String where) {
    if (!(node instanceof ObjectNode object)) {
      throw new InvalidInputException(where + ": each of \"results\" must be an object");
    }
    JsonObject json = new JsonObject(where, object);
    Interval interval = null;
    if (json.has("low") && json.has("high")) {
      double mean = json.number("after", Double.NaN) - json.number("before", 0);
      interval = new Interval(mean, json.number("low"), json.number("high"));
    }
    return new Result(
        json.text("name"),
        json.number("before", Double.NaN),
        json.number("after", Double.NaN),
        interval,
        json.bool("higher_is_better", true),
        json.optionalText("basis").orElse(""));
  }
}
