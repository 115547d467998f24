package dev.precis.alignment.policy;

import dev.precis.generation.SampledTokens;
import dev.precis.training.TrainableT5;
import java.util.List;

/**
 * Samples the responses of a run's steps somewhere else than on the policy's own device, such as on
 * the machines of a cluster, each of which has a {@link ResponseGenerator}.
 */
@FunctionalInterface
public interface ResponseSampler {
  /**
   * Samples responses with a policy's present parameters.
   *
   * @return as many as the request asks for, to one prompt after the other; a run has the same bits
   *     as without this sampler if they are those of a {@link ResponseGenerator} on the same
   *     instruction set
   */
  List<SampledTokens> sample(TrainableT5 policy, SamplingRequest request);
}
