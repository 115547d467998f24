package dev.precis.alignment.policy;

import dev.precis.generation.Generator;
import dev.precis.generation.SampledTokens;
import dev.precis.random.SplitMix64;
import dev.precis.t5.T5Model;
import dev.precis.t5.T5Model.Encoded;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Samples the responses of a step from the policy as it is at the moment. */
final class RolloutSampler implements AutoCloseable {
  private final PpoOptions options;
  private final PolicyRandom random;
  private final Generator generator;

  RolloutSampler(T5Model policy, PpoOptions options, PolicyRandom random) {
    this.options = options;
    this.random = random;
    generator = new Generator(policy);
  }

  /** Samples responses to encoded prompts: all to the first prompt, then all to the second. */
  List<SampledTokens> sample(Encoded prompts, long step) {
    int count = prompts.source().sequences();
    List<SampledTokens> samples = new ArrayList<>();
    generator
        .sample(prompts, options.generation(random.sampling()), limits(count, step), step * count)
        .forEach(samples::addAll);
    return samples;
  }

  /** Returns the maximum length of the responses to each prompt. */
  private int[] limits(int count, long step) {
    SamplingOptions sampling = options.sampling();
    int[] limits = new int[count];
    Arrays.fill(limits, sampling.maxNewTokens());
    if (sampling.shortestLimit() > 0) {
      SplitMix64 lengths = random.limits(step);
      int span = sampling.maxNewTokens() - sampling.shortestLimit() + 1;
      for (int i = 0; i < count; i++) {
        limits[i] = sampling.shortestLimit() + lengths.below(span);
      }
    }
    return limits;
  }

  /**
   * Allocates the memory that sampling takes at most.
   *
   * @param longest tokens of the longest prompt
   * @return bytes
   */
  long reserve(int longest) {
    return generator.reserve(
        options.batch().prompts(),
        longest,
        options.batch().groupSize(),
        options.sampling().maxNewTokens());
  }

  /** Returns the most memory that was in use since {@link #reserve}, in bytes. */
  long peak() {
    return generator.peak();
  }

  @Override
  public void close() {
    generator.close();
  }
}
