package dev.precis.generation;

import java.util.Arrays;
import java.util.List;

/**
 * Rules that end a sequence: an end token, or the most new tokens that its source may have.
 *
 * @param endTokens ids of the end tokens, at least one
 * @param limits for each source the most new tokens, the end token included
 */
record StopRules(List<Integer> endTokens, int[] limits) {
  /** Returns rules with the same limit for every source. */
  static StopRules uniform(List<Integer> endTokens, int sources, int limit) {
    int[] limits = new int[sources];
    Arrays.fill(limits, limit);
    return new StopRules(endTokens, limits);
  }

  /** Returns true if a sequence is complete whose newest token, its n-th, is this one. */
  boolean stops(int source, int generated, int token) {
    return ends(token) || generated >= limits[source];
  }

  /** Returns true if this is an end token. */
  boolean ends(int token) {
    return endTokens.contains(token);
  }

  /** Returns the largest limit, at least 1. */
  int longest() {
    return Arrays.stream(limits).reduce(1, Math::max);
  }
}
