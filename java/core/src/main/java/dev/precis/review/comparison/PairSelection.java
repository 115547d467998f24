package dev.precis.review.comparison;

import dev.precis.io.InvalidInputException;
import java.util.Arrays;
import java.util.Locale;

/** The way in which the next pair is selected. */
public enum PairSelection {
  /** In an order drawn from the seed. */
  RANDOM,
  /** The pair first of which a reward model is least sure. */
  LEAST_SURE,
  /** A pair whose answer is known. */
  GOLD,
  /** A pair that the annotator has answered before. */
  REPEAT,
  /** The answer was given in another program. */
  IMPORTED;

  /** Returns its name in files: in small letters. */
  public String id() {
    return name().toLowerCase(Locale.ROOT);
  }

  static PairSelection of(String id) {
    return Arrays.stream(values())
        .filter(each -> each.id().equals(id))
        .findFirst()
        .orElseThrow(
            () -> new InvalidInputException("There is no selection of pairs named \"" + id + "\""));
  }
}
