package dev.precis.alignment.preference;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.DoubleStream;

/** Sums over a batch, for the metrics that TRL has under these names. */
final class PreferenceMetrics {
  private double loss;
  private int costs;
  private double chosenRewards;
  private double rejectedRewards;
  private double chosenScores;
  private double rejectedScores;
  private int chosen;
  private int rejected;
  private long right;
  private long compared;
  private final DoubleStream.Builder good = DoubleStream.builder();
  private final DoubleStream.Builder bad = DoubleStream.builder();
  private double divergence = Double.NaN;

  void cost(double loss) {
    this.loss += loss;
    costs++;
  }

  /**
   * An answer that people like.
   *
   * @param score its log-probability as the loss reads it
   */
  void chosen(double reward, double score) {
    chosenRewards += reward;
    chosenScores += score;
    chosen++;
  }

  /** An answer that they do not like. */
  void rejected(double reward, double score) {
    rejectedRewards += reward;
    rejectedScores += score;
    rejected++;
  }

  /** Whether the rewards of a pair agree with the people. */
  void pair(boolean isOrdered) {
    right += isOrdered ? 1 : 0;
    compared++;
  }

  /** A single answer: any good one should have a greater reward than any bad one. */
  void feedback(boolean desirable, double reward) {
    (desirable ? good : bad).add(reward);
  }

  void divergence(double divergence) {
    this.divergence = divergence;
  }

  /** The mean loss. */
  double loss() {
    return loss / costs;
  }

  /** Means; what there was none of has none. To be asked once. */
  Map<String, Double> metrics() {
    Map<String, Double> metrics = new LinkedHashMap<>();
    if (chosen > 0) {
      metrics.put("rewards/chosen", chosenRewards / chosen);
    }
    if (rejected > 0) {
      metrics.put("rewards/rejected", rejectedRewards / rejected);
    }
    double[] below = bad.build().sorted().toArray();
    for (double each : good.build().toArray()) {
      // Where it would stand before its equals.
      int at = Arrays.binarySearch(below, each);
      while (at > 0 && below[at - 1] == each) {
        at--;
      }
      right += at >= 0 ? at : -at - 1;
      compared += below.length;
    }
    if (compared > 0) {
      metrics.put("rewards/accuracies", (double) right / compared);
    }
    if (chosen > 0 && rejected > 0) {
      metrics.put("rewards/margins", chosenRewards / chosen - rejectedRewards / rejected);
    }
    if (chosen > 0) {
      metrics.put("logps/chosen", chosenScores / chosen);
    }
    if (rejected > 0) {
      metrics.put("logps/rejected", rejectedScores / rejected);
    }
    if (!Double.isNaN(divergence)) {
      metrics.put("kl", divergence);
    }
    return metrics;
  }
}
