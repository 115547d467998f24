package dev.precis.review.comparison;

import dev.precis.io.InvalidInputException;
import java.util.Arrays;
import java.util.Locale;

/** The answer to a comparison; first and second are places on the page. */
public enum Preference {
  /** The text that stands first is better. */
  FIRST,
  /** The text that stands second is better. */
  SECOND,
  /** Both are equally good. */
  TIE,
  /** Neither is good enough to learn from. */
  BOTH_BAD,
  /** The annotator cannot or does not want to decide. */
  SKIP;

  /** Returns its name in files: in small letters. */
  public String id() {
    return name().toLowerCase(Locale.ROOT);
  }

  /**
   * Returns the preference of a name.
   *
   * @throws InvalidInputException if there is none
   */
  public static Preference of(String id) {
    return Arrays.stream(values())
        .filter(each -> each.id().equals(id))
        .findFirst()
        .orElseThrow(
            () ->
                new InvalidInputException(
                    "\"preference\" must be first, second, tie, both_bad or skip"));
  }
}
