package dev.precis.review.comparison;

import dev.precis.io.InvalidInputException;
import dev.precis.io.JsonObject;
import tools.jackson.databind.node.ObjectNode;

/**
 * An annotator's answer to a comparison.
 *
 * @param confidence from 1, a guess, to 9, certain; null if it was not given
 * @param first ratings of the text that stands first
 * @param second ratings of the other one
 * @param reason why the pair is skipped; null otherwise
 * @param edit a better version of the preferred text; null if there is none
 * @param seconds how long the pair was shown; null if it is not known
 */
public record Judgment(
    Preference preference,
    Integer confidence,
    Ratings first,
    Ratings second,
    String reason,
    String edit,
    Double seconds) {
  /** The longest edit, in characters. */
  public static final int MAX_EDIT = 20_000;

  /** The longest reason, in characters. */
  public static final int MAX_REASON = 2_000;

  private static final int MOST = 9;
  private static final double DAY = 86_400;

  /**
   * Checks that the parts go together.
   *
   * @throws InvalidInputException if they do not
   */
  public Judgment {
    boolean chosen = preference == Preference.FIRST || preference == Preference.SECOND;
    if (confidence != null) {
      InvalidInputException.require(
          confidence >= 1 && confidence <= MOST, "confidence", "from 1 to 9", confidence);
    }
    if (preference == Preference.SKIP && (reason == null || reason.isBlank())) {
      throw new InvalidInputException("A pair that is skipped needs a reason");
    }
    if (reason != null && preference != Preference.SKIP) {
      throw new InvalidInputException("A reason goes with a pair that is skipped");
    }
    if (edit != null && (!chosen || edit.isBlank())) {
      throw new InvalidInputException(
          "An edit replaces the summary that is preferred, and must not be empty");
    }
    requireLength("reason", reason, MAX_REASON);
    requireLength("edit", edit, MAX_EDIT);
    if (seconds != null && !(seconds >= 0 && seconds <= DAY)) {
      seconds = null; // a clock that was set meanwhile, or a computer that slept
    }
  }

  /** Returns the answer alone. */
  public static Judgment of(Preference preference) {
    return new Judgment(preference, null, Ratings.NONE, Ratings.NONE, null, null, null);
  }

  private static void requireLength(String name, String text, int most) {
    if (text != null && text.length() > most) {
      throw new InvalidInputException(
          "%s has %,d characters, more than the %,d that it may have"
              .formatted(name, text.length(), most));
    }
  }

  /**
   * Reads an answer from an object that may hold other fields too.
   *
   * @throws InvalidInputException if a field is missing or cannot be used
   */
  public static Judgment of(JsonObject json) {
    JsonObject ratings = json.object("ratings");
    return new Judgment(
        Preference.of(json.text("preference")),
        json.has("confidence") ? (Integer) json.integer("confidence", 1, MOST) : null,
        Ratings.of(ratings.object("first")),
        Ratings.of(ratings.object("second")),
        json.optionalText("reason").orElse(null),
        json.optionalText("edit").orElse(null),
        json.has("seconds") ? (Double) json.number("seconds") : null);
  }

  void write(ObjectNode json) {
    json.put("preference", preference.id());
    if (confidence != null) {
      json.put("confidence", confidence);
    }
    if (!first.values().isEmpty() || !second.values().isEmpty()) {
      ObjectNode ratings = json.putObject("ratings");
      first.write(ratings.putObject("first"));
      second.write(ratings.putObject("second"));
    }
    if (reason != null) {
      json.put("reason", reason);
    }
    if (edit != null) {
      json.put("edit", edit);
    }
    if (seconds != null) {
      json.put("seconds", seconds);
    }
  }
}
