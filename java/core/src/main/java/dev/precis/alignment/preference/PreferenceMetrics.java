package dev.precis.alignment.preference;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.DoubleStream;

/** Accumulates the metrics of a batch under TRL's names. */
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
   * Adds a chosen or desirable completion.
   *
   * @param score log-probability that the loss reads
   */
  void chosen(double reward, double score) {
    chosenRewards += reward;
    chosenScores += score;
    chosen++;
  }

  /** Adds a rejected or undesirable completion. */
  void rejected(double reward, double score) {
    rejectedRewards += reward;
    rejectedScores += score;
    rejected++;
  }

  /** Adds a pair to the accuracy; isOrdered if the chosen reward is the greater one. */
  void pair(boolean isOrdered) {
    right += isOrdered ? 1 : 0;
    compared++;
  }

  /**
   * Adds a single completion to the accuracy: any desirable one should have a greater reward than
   * any undesirable one.
   */
  void feedback(boolean desirable, double reward) {
    (desirable ? good : bad).add(reward);
  }

  void divergence(double divergence) {
    this.divergence = divergence;
  }

  /** Returns the mean loss. */
  double loss() {
    return loss / costs;
  }

  /** Returns the means, without those of nothing. May be called once. */
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
      // Insertion point before equal values.
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
