package dev.precis.alignment.policy;

import dev.precis.generation.SampledTokens;
import dev.precis.t5.T5Model.Encoded;
import java.util.Arrays;
import java.util.List;

/**
 * Responses of a policy to some prompts, with log-probabilities of policy and reference. Arrays
 * have one number for each generated token; responses are concatenated, prompt after prompt.
 *
 * <p>Valid until the next rollout of the same {@link Ppo}; the arrays are not copied.
 */
public final class Rollout {
  private final long step;
  private final List<Prompt> prompts;
  private final List<SampledTokens> samples;
  private final List<String> texts;
  private final int[] offsets;
  private final boolean[] mask;
  final Encoded encoded;
  final double[] logProbabilities;
  final double[] referenceLogProbabilities;
  final double[] entropies;
  final double[] penalties;
  final double[] values;
  double generateSeconds;
  double scoreSeconds;

  Rollout(
      long step,
      List<Prompt> prompts,
      List<SampledTokens> samples,
      List<String> texts,
      boolean[] mask,
      int[] offsets,
      Encoded encoded) {
    this.step = step;
    this.prompts = prompts;
    this.samples = samples;
    this.texts = texts;
    this.mask = mask;
    this.offsets = offsets;
    this.encoded = encoded;
    int tokens = offsets[offsets.length - 1];
    logProbabilities = new double[tokens];
    referenceLogProbabilities = new double[tokens];
    entropies = new double[tokens];
    penalties = new double[tokens];
    values = new double[tokens];
  }

  /**
   * Returns a rollout that is not scored yet.
   *
   * @param trainsFirstToken whether the first token of each response is trained
   */
  static Rollout of(
      long step,
      List<Prompt> prompts,
      List<SampledTokens> samples,
      List<String> texts,
      boolean trainsFirstToken,
      Encoded encoded) {
    int[] offsets = new int[samples.size() + 1];
    for (int i = 0; i < samples.size(); i++) {
      offsets[i + 1] = offsets[i] + samples.get(i).tokens().length;
    }
    boolean[] mask = new boolean[offsets[samples.size()]];
    Arrays.fill(mask, true);
    if (!trainsFirstToken) {
      for (int i = 0; i < samples.size(); i++) {
        mask[offsets[i]] = false;
      }
    }
    return new Rollout(
        step, List.copyOf(prompts), List.copyOf(samples), texts, mask, offsets, encoded);
  }

  /** Returns the step of the rollout, from 0. */
  public long step() {
    return step;
  }

  /** Returns the prompts. */
  public List<Prompt> prompts() {
    return prompts;
  }

  /** Returns the number of responses to each prompt. */
  public int perPrompt() {
    return samples.size() / prompts.size();
  }

  /** Returns all responses: those to the first prompt, then those to the second. */
  public List<SampledTokens> samples() {
    return samples;
  }

  /** Returns the responses as text, without special tokens. */
  public List<String> texts() {
    return texts;
  }

  /** Returns the index of each response's first token in the arrays, and the end of the last. */
  public int[] offsets() {
    return offsets;
  }

  /** Returns the number of tokens of all responses. */
  public int tokens() {
    return offsets[offsets.length - 1];
  }

  /** Returns the mask: true for tokens that are trained. */
  public boolean[] mask() {
    return mask;
  }

  /** Returns the trained tokens of the responses to the prompts with these indices. */
  int trainedTokens(int[] part) {
    int trained = 0;
    for (int p : part) {
      for (int t = offsets[p * perPrompt()]; t < offsets[(p + 1) * perPrompt()]; t++) {
        trained += mask[t] ? 1 : 0;
      }
    }
    return trained;
  }

  /** Returns the policy's log-probability of each token, before temperature, top-k and top-p. */
  public double[] logProbabilities() {
    return logProbabilities;
  }

  /** Returns the reference's log-probability of each token. */
  public double[] referenceLogProbabilities() {
    return referenceLogProbabilities;
  }

  /** Returns the entropy of the policy's distribution at each token, in nats. */
  public double[] entropies() {
    return entropies;
  }

  /** Returns the KL penalty of each token, see {@link KlPenalty}. */
  public double[] penalties() {
    return penalties;
  }

  /** Returns the critic's value of each token; zeros without a critic. */
  public double[] values() {
    return values;
  }

  /** Returns the sum of {@link #penalties} over the trained tokens of each response. */
  public double[] sequencePenalties() {
    double[] sums = new double[samples.size()];
    for (int i = 0; i < sums.length; i++) {
      for (int t = offsets[i]; t < offsets[i + 1]; t++) {
        sums[i] += mask[t] ? penalties[t] : 0;
      }
    }
    return sums;
  }
}
