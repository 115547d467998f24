package dev.precis.alignment.policy;

import java.io.Serializable;
import java.util.Arrays;
import java.util.List;

/**
 * A request for the responses of a step, or of some of its prompts. They are a function of the
 * policy's parameters and of this alone, so that any process may sample them, once or again, and
 * those to some prompts apart from the others.
 *
 * @param sources token ids of each prompt, the end token included
 * @param limits the most tokens of a response to each prompt
 * @param responses number of responses to each prompt
 * @param seed of the random numbers
 * @param first index in the run of the first prompt, which its random numbers depend on
 */
public record SamplingRequest(
    List<int[]> sources,
    int[] limits,
    int responses,
    SamplingOptions sampling,
    long seed,
    long first)
    implements Serializable {

  /** Copies the list. */
  public SamplingRequest {
    sources = List.copyOf(sources);
    if (limits.length != sources.size()) {
      throw new IllegalArgumentException(limits.length + " limits of " + sources.size());
    }
  }

  /** Returns the request for the responses to the prompts from one index up to another. */
  public SamplingRequest part(int from, int to) {
    return new SamplingRequest(
        sources.subList(from, to),
        Arrays.copyOfRange(limits, from, to),
        responses,
        sampling,
        seed,
        first + from);
  }
}
