package dev.precis.alignment.policy;

import java.util.Arrays;

/**
 * What was better than expected: generalised advantage estimation (Schulman et al. 2016), masked
 * moments and whitening, in double precision.
 *
 * <p>Sequences lie one behind the other; the one with index s is [offsets[s], offsets[s + 1]). What
 * the mask leaves out counts as zero and has no share in any mean.
 */
public final class Advantages {
  private static final double EPSILON = 1e-8;

  private Advantages() {}

  /**
   * Advantages of each token, from the end of each sequence to its beginning:
   *
   * <pre>
   *   delta_t = r_t + gamma V_{t+1} - V_t,   A_t = delta_t + gamma lambda A_{t+1},   V = A = 0 after the end
   * </pre>
   *
   * @param rewards of each token
   * @param values that were predicted for each token
   * @param mask which tokens count; rewards and values of the others are taken for zero
   * @param offsets where sequences begin, and the end
   * @param advantages written; advantages[t] + values[t] is the return
   */
  public static void gae(
      double[] rewards,
      double[] values,
      boolean[] mask,
      int[] offsets,
      double gamma,
      double lambda,
      double[] advantages) {
    for (int s = 0; s + 1 < offsets.length; s++) {
      double next = 0;
      double last = 0;
      for (int t = offsets[s + 1] - 1; t >= offsets[s]; t--) {
        double value = mask[t] ? values[t] : 0;
        double reward = mask[t] ? rewards[t] : 0;
        last = reward + gamma * next - value + gamma * lambda * last;
        advantages[t] = last;
        next = value;
      }
    }
  }

  /** The mean of what the mask has; NaN where it has nothing. */
  public static double mean(double[] values, boolean[] mask) {
    double sum = 0;
    int n = 0;
    for (int i = 0; i < values.length; i++) {
      if (mask[i]) {
        sum += values[i];
        n++;
      }
    }
    return sum / n;
  }

  /** The unbiased variance of what the mask has; 0 where that is one value or none. */
  public static double variance(double[] values, boolean[] mask) {
    double mean = mean(values, mask);
    double sum = 0;
    int n = 0;
    for (int i = 0; i < values.length; i++) {
      if (mask[i]) {
        sum += (values[i] - mean) * (values[i] - mean);
        n++;
      }
    }
    return n < 2 ? 0 : sum / (n - 1);
  }

  /**
   * Scales to variance 1, in place: {@code (x - mean) / sqrt(variance + 1e-8)}, with mean and
   * variance of what the mask has.
   *
   * @param shiftMean whether the mean becomes 0, or stays
   */
  public static void whiten(double[] values, boolean[] mask, boolean shiftMean) {
    double mean = mean(values, mask);
    double scale = 1 / Math.sqrt(variance(values, mask) + EPSILON);
    for (int i = 0; i < values.length; i++) {
      values[i] = (values[i] - mean) * scale + (shiftMean ? 0 : mean);
    }
  }

  /**
   * Advantages of GRPO (Shao et al. 2024): how a sequence's score stands in its group.
   *
   * @param scores group after group
   * @param scale whether they are divided by the group's standard deviation + 1e-4
   * @return for each sequence
   */
  public static double[] group(double[] scores, int groupSize, boolean scale) {
    checkGroups(scores, groupSize);
    double[] advantages = new double[scores.length];
    boolean[] all = new boolean[groupSize];
    Arrays.fill(all, true);
    for (int at = 0; at < scores.length; at += groupSize) {
      double[] group = Arrays.copyOfRange(scores, at, at + groupSize);
      double mean = mean(group, all);
      double deviation = scale ? Math.sqrt(variance(group, all)) + 1e-4 : 1;
      for (int i = 0; i < groupSize; i++) {
        advantages[at + i] = (group[i] - mean) / deviation;
      }
    }
    return advantages;
  }

  /**
   * Advantages of RLOO (Ahmadian et al. 2024): a sequence's score over the mean of the others of
   * its group.
   *
   * @param scores group after group
   * @return for each sequence
   */
  public static double[] leaveOneOut(double[] scores, int groupSize) {
    checkGroups(scores, groupSize);
    double[] advantages = new double[scores.length];
    for (int at = 0; at < scores.length; at += groupSize) {
      double sum = 0;
      for (int i = 0; i < groupSize; i++) {
        sum += scores[at + i];
      }
      for (int i = 0; i < groupSize; i++) {
        advantages[at + i] = scores[at + i] - (sum - scores[at + i]) / (groupSize - 1);
      }
    }
    return advantages;
  }

  private static void checkGroups(double[] scores, int groupSize) {
    if (groupSize < 2 || scores.length % groupSize != 0) {
      throw new IllegalArgumentException(
          scores.length + " scores are not groups of " + groupSize + ", of 2 or more");
    }
  }
}
