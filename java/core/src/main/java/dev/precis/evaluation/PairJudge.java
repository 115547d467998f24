package dev.precis.evaluation;

import java.util.List;

/** Judges how far a text supports a claim. The caller owns it and must close it. */
@FunctionalInterface
public interface PairJudge extends AutoCloseable {
  /**
   * Judges pairs.
   *
   * @param pairs the known text first, the claim second
   * @return for each pair, in order, a number from 0 (not supported) to 1
   */
  double[] judge(List<TextPair> pairs);

  @Override
  default void close() {}
}
