package dev.precis.alignment.policy;

import dev.precis.generation.SampledTokens;
import dev.precis.io.InvalidInputException;
import dev.precis.random.SplitMix64;
import dev.precis.t5.T5Model.Encoded;
import dev.precis.training.TrainableT5;
import java.util.Arrays;
import java.util.List;

/** Samples the responses of a step from the policy as it is at the moment. */
final class RolloutSampler implements AutoCloseable {
  private final TrainableT5 policy;
  private final PpoOptions options;
  private final PolicyRandom random;
  private final ResponseSampler elsewhere;
  private final ResponseGenerator generator; // null: another sampler does it

  /**
   * Prepares sampling.
   *
   * @param elsewhere null: on the policy's own device
   */
  RolloutSampler(
      TrainableT5 policy, ResponseSampler elsewhere, PpoOptions options, PolicyRandom random) {
    this.policy = policy;
    this.elsewhere = elsewhere;
    this.options = options;
    this.random = random;
    generator = elsewhere == null ? new ResponseGenerator(policy.model()) : null;
  }

  /** Samples responses to prompts: all to the first one, then all to the second. */
  List<SampledTokens> sample(List<Prompt> prompts, Encoded encoded, long step) {
    int count = prompts.size();
    SamplingRequest request =
        new SamplingRequest(
            prompts.stream().map(Prompt::source).toList(),
            limits(count, step),
            options.batch().groupSize(),
            options.sampling(),
            random.sampling(),
            step * count);
    return generator != null
        ? generator.sample(encoded, request)
        : checked(elsewhere.sample(policy, request), request);
  }

  private List<SampledTokens> checked(List<SampledTokens> samples, SamplingRequest request) {
    int wanted = request.sources().size() * request.responses();
    if (samples.size() != wanted) {
      throw new InvalidInputException(
          "The sampler returned %d responses, not %d".formatted(samples.size(), wanted));
    }
    int vocab = policy.config().vocabSize();
    for (int i = 0; i < wanted; i++) {
      int[] tokens = samples.get(i).tokens();
      int limit = request.limits()[i / request.responses()];
      boolean known = Arrays.stream(tokens).allMatch(token -> token >= 0 && token < vocab);
      if (tokens.length == 0 || tokens.length > limit || !known) {
        throw new InvalidInputException(
            "The sampler returned a response of %d tokens that is not the policy's: 1 to %d tokens below %d are"
                .formatted(tokens.length, limit, vocab));
      }
    }
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
   * @return bytes; 0 where it takes none of the policy's device
   */
  long reserve(int longest) {
    return generator == null
        ? 0
        : generator.reserve(
            options.batch().prompts(),
            longest,
            options.batch().groupSize(),
            options.sampling().maxNewTokens());
  }

  /** Returns the most memory that was in use since {@link #reserve}, in bytes. */
  long peak() {
    return generator == null ? 0 : generator.peak();
  }

  @Override
  public void close() {
    if (generator != null) {
      generator.close();
    }
  }
}
