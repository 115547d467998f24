package dev.precis.alignment.policy.replay;

import dev.precis.alignment.policy.replay.DoubleTape.Node;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.DoubleBinaryOperator;
import java.util.function.DoubleUnaryOperator;

/**
 * PPO's formulas as TRL 0.11.4 has them, on arrays of (sequence, token) whose rows end where their
 * sequence ends, and with masks of zeros and ones.
 */
public final class PpoFormulas {
  private PpoFormulas() {}

  /** Divergence of the policy from its reference, from a token's two log-probabilities. */
  public enum Penalty {
    KL((p, r) -> p - r),
    ABS((p, r) -> Math.abs(p - r)),
    MSE((p, r) -> 0.5 * (p - r) * (p - r)),
    /** Of the two whole distributions: {@link #divergence}. */
    FULL(null);

    private final DoubleBinaryOperator ofToken;

    Penalty(DoubleBinaryOperator ofToken) {
      this.ofToken = ofToken;
    }

    double ofToken(double policy, double reference) {
      return ofToken.applyAsDouble(policy, reference);
    }
  }

  /** sum over the vocabulary of p (log p - log r). */
  static double divergence(double[] logP, double[] logR) {
    double sum = 0;
    for (int c = 0; c < logP.length; c++) {
      sum += Math.exp(logP[c]) * (logP[c] - logR[c]);
    }
    return sum;
  }

  /** -beta penalty of each token, and the score on top at the last one that the mask has. */
  static double[][] rewards(
      double[] scores, double[][] penalties, double[][] mask, double coefficient) {
    double[][] rewards = new double[scores.length][];
    for (int s = 0; s < scores.length; s++) {
      rewards[s] = Arrays.stream(penalties[s]).map(p -> -coefficient * p).toArray();
      int last = mask[s].length - 1;
      while (mask[s][last] == 0) {
        last--;
      }
      rewards[s][last] += scores[s];
    }
    return rewards;
  }

  /**
   * Advantage behind each sequence, whose padding to the longest has rewards of zero before all
   * rewards are {@link #scaled}: one more estimate from the end, over a row of the padding alone.
   */
  static double[] behind(double[][] rewards, double[][] mask, double gamma, double lambda) {
    double mean = mean(rewards, mask);
    double zero = mean - mean / Math.sqrt(variance(rewards, mask) + 1e-8);
    int longest = Arrays.stream(rewards).mapToInt(row -> row.length).max().orElseThrow();
    return Arrays.stream(rewards)
        .mapToDouble(
            row -> {
              int n = longest - row.length;
              double sum = 0;
              for (int t = 0; t < n; t++) {
                sum += zero * Math.pow(gamma * lambda, t);
              }
              return sum;
            })
        .toArray();
  }

  /**
   * Generalised advantage estimates; what the mask leaves out counts as zero.
   *
   * @param behind the estimate behind the end of each sequence
   */
  static double[][] advantages(
      double[][] values,
      double[][] rewards,
      double[][] mask,
      double[] behind,
      double gamma,
      double lambda) {
    double[][] advantages = new double[values.length][];
    for (int s = 0; s < values.length; s++) {
      int n = values[s].length;
      advantages[s] = new double[n];
      for (int t = n - 1; t >= 0; t--) {
        double here = values[s][t] * mask[s][t];
        double next = t + 1 < n ? values[s][t + 1] * mask[s][t + 1] : 0;
        double delta = rewards[s][t] * mask[s][t] + gamma * next - here;
        double later = t + 1 < n ? advantages[s][t + 1] : behind[s];
        advantages[s][t] = delta + gamma * lambda * later;
      }
    }
    return advantages;
  }

  static double[][] returns(double[][] advantages, double[][] values, double[][] mask) {
    double[][] returns = new double[advantages.length][];
    for (int s = 0; s < advantages.length; s++) {
      returns[s] = new double[advantages[s].length];
      for (int t = 0; t < returns[s].length; t++) {
        returns[s][t] = advantages[s][t] + values[s][t] * mask[s][t];
      }
    }
    return returns;
  }

  static double count(double[][] mask) {
    return Arrays.stream(mask).flatMapToDouble(Arrays::stream).sum();
  }

  static double mean(double[][] x, double[][] mask) {
    double sum = 0;
    for (int s = 0; s < x.length; s++) {
      for (int t = 0; t < x[s].length; t++) {
        sum += x[s][t] * mask[s][t];
      }
    }
    return sum / count(mask);
  }

  /** With Bessel's correction. */
  static double variance(double[][] x, double[][] mask) {
    double mean = mean(x, mask);
    return mean(mapped(x, v -> (v - mean) * (v - mean)), mask) * count(mask) / (count(mask) - 1);
  }

  /** To mean 0 and variance 1. */
  static double[][] whitened(double[][] x, double[][] mask) {
    double mean = mean(x, mask);
    double scale = 1 / Math.sqrt(variance(x, mask) + 1e-8);
    return mapped(x, v -> (v - mean) * scale);
  }

  /** To variance 1, the mean as it was. */
  static double[][] scaled(double[][] x, double[][] mask) {
    double mean = mean(x, mask);
    return mapped(whitened(x, mask), v -> v + mean);
  }

  private static double[][] mapped(double[][] x, DoubleUnaryOperator f) {
    return Arrays.stream(x)
        .map(row -> Arrays.stream(row).map(f).toArray())
        .toArray(double[][]::new);
  }

  /** Result of a pass over one sequence, a column of numbers each: the inputs of the loss. */
  record Predictions(Node logProbabilities, Node entropies, Node values) {}

  /** Targets of the loss for the same sequences. */
  record Targets(
      double[][] oldLogProbabilities,
      double[][] oldValues,
      double[][] advantages,
      double[][] returns,
      double[][] mask) {
    Targets of(int[] sequences) {
      return new Targets(
          rows(oldLogProbabilities, sequences),
          rows(oldValues, sequences),
          rows(advantages, sequences),
          rows(returns, sequences),
          rows(mask, sequences));
    }

    Targets withAdvantages(double[][] others) {
      return new Targets(oldLogProbabilities, oldValues, others, returns, mask);
    }

    private static double[][] rows(double[][] x, int[] sequences) {
      return Arrays.stream(sequences).mapToObj(s -> x[s]).toArray(double[][]::new);
    }
  }

  /** Constants of the loss. */
  record LossConstants(
      double clipRange,
      double clipRangeValue,
      double valueCoefficient,
      double entropyCoefficient,
      double ratioThreshold) {}

  /** A mini-batch's loss, 1 x 1, and its statistics by TRL's names without {@code ppo/}. */
  record Loss(Node total, Map<String, Double> statistics) {}

  /**
   * The clipped policy loss and the clipped value loss, L = policy + c1 value - c2 entropy, each a
   * mean over the mask's tokens. Zero where the mean ratio is over the threshold.
   */
  static Loss loss(
      DoubleTape tape, List<Predictions> sequences, Targets targets, LossConstants constants) {
    double[][] mask = targets.mask();
    double tokens = count(mask);
    Node policy = DoubleTape.constant(new double[1][1]);
    Node value = policy;
    Node entropy = policy;
    List<double[]> ratios = new ArrayList<>();
    List<double[]> differences = new ArrayList<>();
    List<double[]> predicted = new ArrayList<>();
    double clippedPolicy = 0;
    double clippedValues = 0;
    for (int s = 0; s < mask.length; s++) {
      Predictions p = sequences.get(s);
      double[] weights = Arrays.stream(mask[s]).map(m -> m / tokens).toArray();

      Node difference =
          tape.add(p.logProbabilities(), -1, column(targets.oldLogProbabilities()[s]));
      Node ratio = tape.exp(difference);
      Node ones = column(Arrays.stream(mask[s]).map(m -> 1).toArray());
      Node loss = column(Arrays.stream(targets.advantages()[s]).map(a -> -a).toArray());
      Node plain = tape.multiply(ratio, loss);
      Node clipped = tape.multiply(tape.clamp(ratio, ones, constants.clipRange()), loss);
      policy = tape.add(policy, tape.weightedSum(tape.max(plain, clipped), weights));

      Node old = column(targets.oldValues()[s]);
      Node near = tape.clamp(p.values(), old, constants.clipRangeValue());
      Node returns = column(targets.returns()[s]);
      Node plainError = tape.square(tape.add(p.values(), -1, returns));
      Node nearError = tape.square(tape.add(near, -1, returns));
      value = tape.add(value, 0.5, tape.weightedSum(tape.max(plainError, nearError), weights));
      entropy = tape.add(entropy, tape.weightedSum(p.entropies(), weights));

      for (int t = 0; t < weights.length; t++) {
        clippedPolicy += clipped.value[t][0] > plain.value[t][0] ? weights[t] : 0;
        clippedValues += nearError.value[t][0] > plainError.value[t][0] ? weights[t] : 0;
      }
      ratios.add(elements(ratio));
      differences.add(elements(difference));
      predicted.add(elements(p.values()));
    }
    Node total = tape.add(policy, constants.valueCoefficient(), value);
    if (constants.entropyCoefficient() != 0) {
      total = tape.add(total, -constants.entropyCoefficient(), entropy);
    }
    if (mean(ratios.toArray(double[][]::new), mask) > constants.ratioThreshold()) {
      policy = tape.scale(policy, 0);
      value = tape.scale(value, 0);
      total = tape.scale(total, 0);
    }

    double[][] change = differences.toArray(double[][]::new);
    double[][] v = predicted.toArray(double[][]::new);
    Map<String, Double> statistics = new LinkedHashMap<>();
    statistics.put("loss/policy", policy.scalar());
    statistics.put("loss/value", value.scalar());
    statistics.put("loss/total", total.scalar());
    statistics.put("policy/entropy", entropy.scalar());
    statistics.put("policy/approxkl", 0.5 * mean(squares(change), mask));
    statistics.put("policy/policykl", -mean(change, mask));
    statistics.put("policy/clipfrac", clippedPolicy);
    statistics.put("policy/advantages_mean", mean(targets.advantages(), mask));
    statistics.put("returns/mean", mean(targets.returns(), mask));
    statistics.put("returns/var", variance(targets.returns(), mask));
    statistics.put("val/vpred", mean(v, mask));
    statistics.put("val/error", mean(squares(difference(v, targets.returns())), mask));
    statistics.put("val/clipfrac", clippedValues);
    statistics.put("val/mean", mean(targets.oldValues(), mask));
    statistics.put("val/var", variance(targets.oldValues(), mask));
    return new Loss(total, statistics);
  }

  static Node column(double[] x) {
    return DoubleTape.constant(DoubleTape.transposed(new double[][] {x}));
  }

  static double[] elements(Node column) {
    return DoubleTape.transposed(column.value)[0];
  }

  private static double[][] squares(double[][] x) {
    return mapped(x, v -> v * v);
  }

  private static double[][] difference(double[][] x, double[][] y) {
    double[][] z = new double[x.length][];
    for (int s = 0; s < x.length; s++) {
      z[s] = x[s].clone();
      for (int t = 0; t < z[s].length; t++) {
        z[s][t] -= y[s][t];
      }
    }
    return z;
  }
}
