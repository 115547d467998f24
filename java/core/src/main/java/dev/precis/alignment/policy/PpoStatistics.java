package dev.precis.alignment.policy;

import dev.precis.evaluation.SampleMoments;
import dev.precis.generation.SampledTokens;
import dev.precis.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Collects the statistics of a step under TRL's names. Those of mini-batches are means over their
 * trained tokens, then means over the mini-batches.
 */
final class PpoStatistics {
  private final Rollout rollout;
  private final PpoOptions options;
  private final Map<String, Double> step = new LinkedHashMap<>();
  private final Map<String, Double> sums = new LinkedHashMap<>();
  private int miniBatches;
  private int leftOut;
  private double steps;
  private double gradNorms;
  private double kl;
  private double lastPolicyKl;
  private double lastLoss;
  private double largestRatio;
  private boolean stoppedEarly;

  /**
   * Starts the statistics of a step.
   *
   * @param scores scores of the reward
   * @param processed scores that are trained: scaled and clipped as the options say
   */
  PpoStatistics(
      Rollout rollout,
      double[] scores,
      double[] processed,
      PpoOptions options,
      double klCoefficient) {
    this.rollout = rollout;
    this.options = options;
    double[] penalties = rollout.sequencePenalties();
    double entropy = 0;
    double third = 0;
    int samples = scores.length;
    int[] offsets = rollout.offsets();
    double[] lengths = new double[samples];
    int finished = 0;
    for (int i = 0; i < samples; i++) {
      kl += penalties[i] / samples;
      for (int t = offsets[i]; t < offsets[i + 1]; t++) {
        if (rollout.mask()[t]) {
          double p = rollout.logProbabilities()[t];
          double d = rollout.referenceLogProbabilities()[t] - p;
          entropy -= p / samples;
          third += (Math.exp(d) - d - 1) / samples;
        }
      }
      // TRL's responses begin with the start token.
      lengths[i] = offsets[i + 1] - offsets[i] + (options.mode().trainsFirstToken() ? 0 : 1);
      finished += rollout.samples().get(i).finished() ? 1 : 0;
    }
    step.put("objective/kl", kl);
    step.put("objective/kl_k3", third);
    step.put("objective/kl_coef", klCoefficient);
    step.put("objective/entropy", entropy);
    step.put("ppo/mean_scores", SampleMoments.mean(processed));
    step.put("ppo/std_scores", SampleMoments.deviation(processed));
    double[] queries = new double[rollout.prompts().size()];
    for (int i = 0; i < queries.length; i++) {
      queries[i] = rollout.prompts().get(i).source().length;
    }
    step.put("tokens/queries_len_mean", SampleMoments.mean(queries));
    step.put("tokens/queries_len_std", SampleMoments.deviation(queries));
    step.put("tokens/responses_len_mean", SampleMoments.mean(lengths));
    step.put("tokens/responses_len_std", SampleMoments.deviation(lengths));
    step.put("tokens/responses_finished", (double) finished / samples);
    step.put("env/reward_mean", SampleMoments.mean(scores));
    step.put("env/reward_std", SampleMoments.deviation(scores));
  }

  void rewards(PolicyTargets targets) {
    step.put(
        "ppo/mean_non_score_reward", Advantages.mean(targets.nonScoreRewards(), rollout.mask()));
    step.put("ppo/mean_token_entropy", Advantages.mean(rollout.entropies(), rollout.mask()));
    double largest = 0;
    for (SampledTokens sample : rollout.samples()) {
      largest = Math.max(largest, sample.tokens().length);
    }
    step.put("tokens/responses_longest", largest);
  }

  /**
   * Adds what the kernel wrote for a mini-batch. A mini-batch whose mean ratio of new to old
   * probability exceeds the threshold counts with a loss of 0.
   *
   * @param sequences the ratios of whole responses; null: each token has its own
   * @param values the critic's present values, or null
   * @return true if the mini-batch is trained on
   */
  boolean miniBatch(
      MiniBatch batch, SequenceRatios sequences, Tensor values, PolicyTargets targets) {
    int n = batch.tokens().length;
    boolean[] mask = new boolean[n];
    double[] ratio = new double[n];
    double[] ofToken = new double[n];
    double[] square = new double[n];
    double[] moved = new double[n];
    double[] clipped = new double[n];
    double[] policy = new double[n];
    double[] entropy = new double[n];
    double penalty = 0;
    double weighted = 0;
    double entropyShare = 0;
    for (int i = 0; i < n; i++) {
      int t = batch.tokens()[i];
      mask[i] = rollout.mask()[t];
      if (!mask[i]) {
        continue;
      }
      double d =
          MiniBatch.at(batch.outputs().logProbabilities(), i)
              - MiniBatch.at(batch.inputs().oldLogProbabilities(), i);
      double advantage = batch.advantages()[i];
      ofToken[i] = Math.exp(d);
      ratio[i] = sequences == null ? ofToken[i] : sequences.ratios()[i];
      largestRatio = Math.max(largestRatio, ratio[i]);
      square[i] = 0.5 * d * d;
      moved[i] = -d;
      clipped[i] = -advantage * batch.clamp(ratio[i]) > -advantage * ratio[i] ? 1 : 0;
      policy[i] =
          sequences == null
              ? MiniBatch.at(batch.outputs().policyLosses(), i)
              : sequences.losses()[i];
      entropy[i] = MiniBatch.at(batch.outputs().entropies(), i);
      double weight =
          MiniBatch.at(batch.inputs().weights(), i) * options.optimization().gradientAccumulation();
      weighted += weight * policy[i];
      entropyShare += weight * entropy[i];
      if (batch.inputs().referenceLogProbabilities() != null) {
        double l =
            MiniBatch.at(batch.inputs().referenceLogProbabilities(), i)
                - MiniBatch.at(batch.outputs().logProbabilities(), i);
        penalty += weight * (Math.exp(l) - l - 1);
      }
    }
    double meanRatio = or0(Advantages.mean(ratio, mask));
    boolean guarded = options.mode().usesRatioThreshold() && options.loss().ratioThreshold() > 0;
    double guardedRatio = or0(Advantages.mean(ofToken, mask));
    boolean trained = !guarded || !(guardedRatio > options.loss().ratioThreshold());
    double total = weighted - options.loss().entropyCoefficient() * entropyShare;
    total += batch.coefficients().klCoefficient() * penalty;
    if (options.algorithm() == PolicyAlgorithm.PPO) {
      total += options.loss().valueCoefficient() * values(batch, values, targets, mask, trained);
    }
    add("ppo/loss/policy", trained ? weighted : 0);
    add("ppo/loss/total", trained ? total : 0);
    if (options.algorithm() == PolicyAlgorithm.GRPO) {
      add("ppo/loss/kl", trained ? penalty : 0);
    }
    lastPolicyKl = or0(Advantages.mean(moved, mask));
    add("ppo/policy/entropy", or0(Advantages.mean(entropy, mask)));
    add("ppo/policy/approxkl", or0(Advantages.mean(square, mask)));
    add("ppo/policy/policykl", lastPolicyKl);
    add("ppo/policy/clipfrac", or0(Advantages.mean(clipped, mask)));
    add("ppo/policy/advantages_mean", or0(Advantages.mean(batch.advantages(), mask)));
    add("ppo/policy/ratio", meanRatio);
    lastLoss = total;
    miniBatches++;
    leftOut += trained ? 0 : 1;
    return trained;
  }

  private double values(
      MiniBatch batch, Tensor values, PolicyTargets targets, boolean[] mask, boolean trained) {
    int n = mask.length;
    double[] now = new double[n];
    double[] old = new double[n];
    double[] returns = new double[n];
    double[] error = new double[n];
    double[] clipped = new double[n];
    double[] loss = new double[n];
    MemorySegment all = values.toHost();
    for (int i = 0; i < n; i++) {
      if (!mask[i]) {
        continue;
      }
      int t = batch.tokens()[i];
      now[i] = all.getAtIndex(ValueLayout.JAVA_FLOAT, i);
      old[i] = targets.values()[t];
      returns[i] = targets.returns()[t];
      error[i] = (now[i] - returns[i]) * (now[i] - returns[i]);
      double bounded =
          Math.clamp(
              now[i],
              old[i] - options.loss().clipRangeValue(),
              old[i] + options.loss().clipRangeValue());
      clipped[i] = (bounded - returns[i]) * (bounded - returns[i]) > error[i] ? 1 : 0;
      loss[i] = MiniBatch.at(batch.outputs().valueLosses(), i);
    }
    double mean = or0(Advantages.mean(loss, mask));
    add("ppo/loss/value", trained ? mean : 0);
    add("ppo/returns/mean", or0(Advantages.mean(returns, mask)));
    add("ppo/returns/var", Advantages.variance(returns, mask));
    add("ppo/val/vpred", or0(Advantages.mean(now, mask)));
    add("ppo/val/error", or0(Advantages.mean(error, mask)));
    add("ppo/val/clipfrac", or0(Advantages.mean(clipped, mask)));
    add("ppo/val/mean", or0(Advantages.mean(old, mask)));
    add("ppo/val/var", Advantages.variance(old, mask));
    return mean;
  }

  /** Returns 0 for the mean of a mini-batch without trained tokens. */
  private static double or0(double mean) {
    return Double.isNaN(mean) ? 0 : mean;
  }

  private void add(String name, double value) {
    sums.merge(name, value, Double::sum);
  }

  void stoppedEarly() {
    stoppedEarly = true;
  }

  void gradNorm(double norm) {
    gradNorms += norm;
    steps++;
  }

  /** Returns the mean over responses of the summed KL penalties. */
  double kl() {
    return kl;
  }

  /**
   * Returns the KL of the last mini-batch's policy from the one that sampled, in nats per token.
   */
  double lastPolicyKl() {
    return lastPolicyKl;
  }

  /** Returns the loss of the last mini-batch. */
  double lastLoss() {
    return lastLoss;
  }

  Map<String, Double> result() {
    Map<String, Double> all = new LinkedHashMap<>(step);
    sums.forEach((name, sum) -> all.put(name, sum / miniBatches));
    if (all.containsKey("ppo/val/error")) {
      double variance = all.get("ppo/returns/var");
      all.put("ppo/val/var_explained", variance == 0 ? 0 : 1 - all.get("ppo/val/error") / variance);
    }
    all.put("ppo/policy/ratio_max", largestRatio);
    all.put("ppo/mini_batches_left_out", (double) leftOut);
    all.put("ppo/stopped_early", stoppedEarly ? 1.0 : 0);
    all.put("grad_norm", steps == 0 ? 0 : gradNorms / steps);
    return all;
  }
}
