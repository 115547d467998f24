package dev.precis.alignment.policy;

import dev.precis.evaluation.SampleMoments;
import java.util.Arrays;

/**
 * Estimates advantages in double precision: generalized advantage estimation (Schulman et al.
 * 2016), group-relative ones, and whitening over a mask.
 *
 * <p>Sequences are concatenated; that with index s is [offsets[s], offsets[s + 1]). Masked tokens
 * count as zero and are left out of all means.
 */
public final class Advantages {
  private static final double EPSILON = 1e-8;

  private Advantages() {}

  /**
   * Computes the advantage of each token, from the end of each sequence to its beginning:
   *
   * <pre>
   *   delta_t = r_t + gamma V_{t+1} - V_t,   A_t = delta_t + gamma lambda A_{t+1},   V = 0 after the end
   * </pre>
   *
   * @param rewards of each token
   * @param values the critic's value of each token
   * @param mask true for tokens that count; rewards and values of the others are zero
   * @param offsets begin of each sequence, and the end of the last
   * @param behind A after the end of each sequence, which is zero unless padding has rewards
   * @param advantages written; advantages[t] + values[t] is the return
   */
  public static void gae(
      double[] rewards,
      double[] values,
      boolean[] mask,
      int[] offsets,
      double[] behind,
      double gamma,
      double lambda,
      double[] advantages) {
    for (int s = 0; s + 1 < offsets.length; s++) {
      double next = 0;
      double last = behind[s];
      for (int t = offsets[s + 1] - 1; t >= offsets[s]; t--) {
        double value = mask[t] ? values[t] : 0;
        double reward = mask[t] ? rewards[t] : 0;
        last = reward + gamma * next - value + gamma * lambda * last;
        advantages[t] = last;
        next = value;
      }
    }
  }

  /** Returns the mean over the mask; NaN if it is empty. */
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

  /** Returns the unbiased variance over the mask; 0 if it has fewer than two values. */
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
   * Whitens in place: {@code (x - mean) / sqrt(variance + 1e-8)}, with mean and variance over the
   * mask.
   *
   * @param shiftMean true: the mean becomes 0; false: it stays
   */
  public static void whiten(double[] values, boolean[] mask, boolean shiftMean) {
    double mean = mean(values, mask);
    double scale = 1 / Math.sqrt(variance(values, mask) + EPSILON);
    for (int i = 0; i < values.length; i++) {
      values[i] = (values[i] - mean) * scale + (shiftMean ? 0 : mean);
    }
  }

  /** Returns what a zero outside the mask becomes when {@link #whiten} keeps the mean. */
  static double whitenedZero(double[] values, boolean[] mask) {
    return mean(values, mask) * (1 - 1 / Math.sqrt(variance(values, mask) + EPSILON));
  }

  /**
   * Returns the advantages of GRPO (Shao et al. 2024): a sequence's score minus the mean of its
   * group, divided by a standard deviation + 1e-4 unless the scale is {@link ScoreScale#NONE}.
   *
   * @param scores one for each sequence, group after group
   * @return one for each sequence
   */
  public static double[] group(double[] scores, int groupSize, ScoreScale scale) {
    checkGroups(scores, groupSize);
    double[] advantages = new double[scores.length];
    double ofBatch = deviation(scores);
    for (int at = 0; at < scores.length; at += groupSize) {
      double[] group = Arrays.copyOfRange(scores, at, at + groupSize);
      double mean = SampleMoments.mean(group);
      double divisor =
          switch (scale) {
            case GROUP -> deviation(group);
            case BATCH -> ofBatch;
            case NONE -> 1;
          };
      for (int i = 0; i < groupSize; i++) {
        advantages[at + i] = (group[i] - mean) / divisor;
      }
    }
    return advantages;
  }

  /** Returns the standard deviation, by Bessel's correction, of values that may all be equal. */
  private static double deviation(double[] values) {
    return SampleMoments.deviation(values) + 1e-4;
  }

  /**
   * Returns the advantages of RLOO (Ahmadian et al. 2024): a sequence's score minus the mean of the
   * others in its group.
   *
   * @param scores one for each sequence, group after group
   * @return one for each sequence
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
