package dev.precis.alignment.reward;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What a completion is worth.
 *
 * @param value more is better
 * @param terms what the value was made of, for the log: a number by name
 */
public record Score(double value, Map<String, Double> terms) {
  /** Keeps its own copy of the terms, in their order. */
  public Score {
    terms = Collections.unmodifiableMap(new LinkedHashMap<>(terms));
  }

  /** A score that is one term. */
  public static Score of(String term, double value) {
    return new Score(value, Map.of(term, value));
  }
}
