package dev.precis.alignment.policy;

import dev.precis.alignment.policy.PpoMode.Whitening;

/**
 * Rewards, advantages and returns of each token of a rollout.
 *
 * @param nonScoreRewards KL penalty alone: {@code -coefficient x penalty}
 * @param rewards KL penalty, plus the score at the last trained token of each response
 * @param advantages advantages, whitened over the batch if the mode says so
 * @param values the critic's values, zero where the mask is false
 * @param returns advantages before whitening, plus values
 */
record PolicyTargets(
    double[] nonScoreRewards,
    double[] rewards,
    double[] advantages,
    double[] values,
    double[] returns) {

  /**
   * Computes the targets of a rollout.
   *
   * @param scores one for each response
   * @param klCoefficient coefficient of the KL penalty
   */
  static PolicyTargets of(
      Rollout rollout, double[] scores, PpoOptions options, double klCoefficient) {
    return switch (options.algorithm()) {
      case PPO -> critic(rollout, scores, options, klCoefficient);
      case GRPO ->
          sequences(
              rollout,
              Advantages.group(scores, rollout.perPrompt(), options.groups().scale()),
              scores,
              0);
      case RLOO -> {
        double[] penalties = rollout.sequencePenalties();
        double[] penalized = scores.clone();
        for (int i = 0; i < penalized.length; i++) {
          penalized[i] -= klCoefficient * penalties[i];
        }
        yield sequences(
            rollout, Advantages.leaveOneOut(penalized, rollout.perPrompt()), scores, klCoefficient);
      }
    };
  }

  private static PolicyTargets critic(
      Rollout rollout, double[] scores, PpoOptions options, double klCoefficient) {
    boolean[] mask = rollout.mask();
    double[] nonScore = penalized(rollout, klCoefficient);
    double[] rewards = withScores(rollout, nonScore, scores);
    double[] values = rollout.values().clone();
    for (int t = 0; t < mask.length; t++) {
      values[t] = mask[t] ? values[t] : 0;
    }
    GaeOptions gae = options.gae();
    double[] behind = new double[rollout.samples().size()];
    if (options.rewards().whitenRewards()) {
      if (options.mode().whitensPadding()) {
        double padding = Advantages.whitenedZero(rewards, mask);
        behind = padding(rollout.offsets(), padding, gae.gamma() * gae.lambda());
      }
      Advantages.whiten(rewards, mask, false);
    }
    double[] advantages = new double[mask.length];
    Advantages.gae(
        rewards, values, mask, rollout.offsets(), behind, gae.gamma(), gae.lambda(), advantages);
    double[] returns = new double[mask.length];
    for (int t = 0; t < mask.length; t++) {
      returns[t] = advantages[t] + values[t];
    }
    if (options.mode().whitening() == Whitening.BATCH) {
      Advantages.whiten(advantages, mask, true);
    }
    return new PolicyTargets(nonScore, rewards, advantages, values, returns);
  }

  /**
   * Returns the advantage right behind the end of each response, in a batch that is padded to its
   * longest response: {@code reward (1 + d + ... + d^(n - 1))} for n padding tokens.
   *
   * @param reward of each padding token, whose values are zero
   * @param decay d, gamma lambda
   */
  private static double[] padding(int[] offsets, double reward, double decay) {
    double[] behind = new double[offsets.length - 1];
    int longest = 0;
    for (int s = 0; s < behind.length; s++) {
      longest = Math.max(longest, offsets[s + 1] - offsets[s]);
    }
    for (int s = 0; s < behind.length; s++) {
      for (int n = offsets[s + 1] - offsets[s]; n < longest; n++) {
        behind[s] = reward + decay * behind[s];
      }
    }
    return behind;
  }

  /** Gives all tokens of a response the same advantage. */
  private static PolicyTargets sequences(
      Rollout rollout, double[] each, double[] scores, double klCoefficient) {
    double[] nonScore = penalized(rollout, klCoefficient);
    double[] advantages = new double[rollout.tokens()];
    int[] offsets = rollout.offsets();
    for (int i = 0; i < each.length; i++) {
      for (int t = offsets[i]; t < offsets[i + 1]; t++) {
        advantages[t] = each[i];
      }
    }
    double[] none = new double[advantages.length];
    return new PolicyTargets(
        nonScore, withScores(rollout, nonScore, scores), advantages, none, none);
  }

  private static double[] penalized(Rollout rollout, double klCoefficient) {
    double[] rewards = new double[rollout.tokens()];
    for (int t = 0; t < rewards.length; t++) {
      rewards[t] = -klCoefficient * rollout.penalties()[t];
    }
    return rewards;
  }

  private static double[] withScores(Rollout rollout, double[] nonScore, double[] scores) {
    double[] rewards = nonScore.clone();
    int[] offsets = rollout.offsets();
    for (int i = 0; i < scores.length; i++) {
      int last = offsets[i + 1] - 1;
      // A response of one token has nothing that is trained where its first token is not.
      if (last >= offsets[i] && rollout.mask()[last]) {
        rewards[last] += scores[i];
      }
    }
    return rewards;
  }
}
