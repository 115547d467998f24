package dev.precis.alignment.reward;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Score of a completion.
 *
 * @param value score; higher is better
 * @param terms terms of the value by name, for the log
 */
public record Score(double value, Map<String, Double> terms) {
  /** Copies the terms in their order. */
  public Score {
    terms = Collections.unmodifiableMap(new LinkedHashMap<>(terms));
  }

  /** Returns a score with one term. */
  public static Score of(String term, double value) {
    return new Score(value, Map.of(term, value));
  }
}
