package dev.precis.generation;

import java.util.Arrays;

/**
 * Rules that end a sequence: the end token, or the most new tokens that its source may have.
 *
 * @param endToken id of the end token
 * @param limits for each source the most new tokens, the end token included
 */
record StopRules(int endToken, int[] limits) {
  /** Returns rules with the same limit for every source. */
  static StopRules uniform(int endToken, int sources, int limit) {
    int[] limits = new int[sources];
    Arrays.fill(limits, limit);
    return new StopRules(endToken, limits);
  }

  /** Returns true if a sequence is complete whose newest token, its n-th, is this one. */
  boolean stops(int source, int generated, int token) {
    return ends(token) || generated >= limits[source];
  }

  /** Returns true if this is the end token. */
  boolean ends(int token) {
    return token == endToken;
  }

  /** Returns the largest limit, at least 1. */
  int longest() {
    return Arrays.stream(limits).reduce(1, Math::max);
  }
}
