package dev.precis.alignment.policy;

import dev.precis.generation.SampledTokens;
import dev.precis.t5.T5Model.Encoded;
import java.util.Arrays;
import java.util.List;

/**
 * What a policy made of some prompts, and what it and its reference think of it: one number for
 * each generated token, responses one behind the other, prompt after prompt.
 *
 * <p>Good until the next rollout of the same {@link Ppo}; the arrays are not copied.
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

  /** The step that it was made for, from 0. */
  public long step() {
    return step;
  }

  /** The prompts. */
  public List<Prompt> prompts() {
    return prompts;
  }

  /** Responses to each prompt. */
  public int perPrompt() {
    return samples.size() / prompts.size();
  }

  /** All responses: those to the first prompt, then those to the second. */
  public List<SampledTokens> samples() {
    return samples;
  }

  /** The responses as text, without special tokens. */
  public List<String> texts() {
    return texts;
  }

  /** Where each response begins in the arrays, and the end of the last. */
  public int[] offsets() {
    return offsets;
  }

  /** Tokens of all responses. */
  public int tokens() {
    return offsets[offsets.length - 1];
  }

  /** Which tokens are trained. */
  public boolean[] mask() {
    return mask;
  }

  /** Of each token, by the policy, without temperature and the like. */
  public double[] logProbabilities() {
    return logProbabilities;
  }

  /** Of each token, by the reference. */
  public double[] referenceLogProbabilities() {
    return referenceLogProbabilities;
  }

  /** Of the policy's distribution from which each token could have been drawn, in nats. */
  public double[] entropies() {
    return entropies;
  }

  /** How far each token is from the reference, by {@link KlPenalty}. */
  public double[] penalties() {
    return penalties;
  }

  /** The critic's; zeros where there is no critic. */
  public double[] values() {
    return values;
  }

  /** The sum of {@link #penalties} over the trained tokens of each response. */
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
