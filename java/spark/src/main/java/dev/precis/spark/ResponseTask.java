package dev.precis.spark;

import dev.precis.alignment.policy.SamplingRequest;
import dev.precis.device.NativeException;
import dev.precis.generation.SampledTokens;
import dev.precis.io.InvalidInputException;
import dev.precis.lora.LoraConfig;
import dev.precis.tensor.DType;
import java.io.Serializable;
import java.util.List;
import org.apache.spark.api.java.function.Function;
import org.apache.spark.broadcast.Broadcast;

/**
 * Responds to some prompts of a step with the driver's adapters.
 *
 * @param parameters of the policy, one after the other
 */
record ResponseTask(Key key, Broadcast<float[]> parameters)
    implements Function<SamplingRequest, ResponseTask.Outcome> {

  /**
   * The key of a loaded policy: tasks with the same one share its copies.
   *
   * @param isa null: the executor's best
   */
  record Key(String model, LoraConfig lora, DType dtype, int threads, String isa)
      implements Serializable {}

  /**
   * What a task brings back.
   *
   * @param failure a sentence that another attempt would only repeat; null: none
   * @param arithmetic what the samples depend on besides the request and the parameters
   */
  record Outcome(String failure, String arithmetic, List<SampledTokens> samples)
      implements Serializable {}

  @Override
  public Outcome call(SamplingRequest request) {
    try (ExecutorModels.Lease<ResponsePolicies> lease =
        ExecutorModels.lease(key, ResponsePolicies.class, () -> new ResponsePolicies(key))) {
      return lease.model().respond(parameters.value(), request);
    } catch (InvalidInputException | NativeException e) {
      return new Outcome(e.getMessage(), null, null);
    }
  }
}
