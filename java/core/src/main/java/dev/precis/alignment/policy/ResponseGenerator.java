package dev.precis.alignment.policy;

import dev.precis.generation.Generator;
import dev.precis.generation.SampledTokens;
import dev.precis.t5.T5Model;
import dev.precis.t5.T5Model.Encoded;
import dev.precis.tensor.Workspace;
import java.util.ArrayList;
import java.util.List;

/**
 * Samples responses with a model as {@link Ppo} samples those of its policy: a {@link
 * ResponseSampler} has one wherever it samples.
 *
 * <p>Not thread-safe.
 */
public final class ResponseGenerator implements AutoCloseable {
  private final T5Model model;
  private final Workspace encoding;
  private final Generator generator;

  /**
   * Makes a generator for a model, which must outlive it. The caller must close it.
   *
   * @param model a policy's, see {@link dev.precis.training.TrainableT5#model}
   */
  public ResponseGenerator(T5Model model) {
    this.model = model;
    encoding = model.ops().newWorkspace();
    generator = new Generator(model);
  }

  /**
   * Samples all responses of a request in one batch, with the model's present weights.
   *
   * @return responses to one prompt after the other
   * @throws dev.precis.io.InvalidInputException where a prompt is empty or outside the vocabulary
   * @throws java.util.concurrent.CancellationException if the thread is interrupted
   */
  public List<SampledTokens> sample(SamplingRequest request) {
    encoding.reset();
    return sample(model.encode(model.sources(request.sources(), encoding), encoding), request);
  }

  /** Samples for prompts that are encoded already. */
  List<SampledTokens> sample(Encoded prompts, SamplingRequest request) {
    List<SampledTokens> samples = new ArrayList<>();
    generator
        .sample(
            prompts,
            request.sampling().generation(request.responses(), request.seed()),
            request.limits(),
            request.first())
        .forEach(samples::addAll);
    return samples;
  }

  /**
   * Allocates the memory that sampling takes at most for prompts that are encoded already.
   *
   * @param longest tokens of the longest prompt
   * @return bytes
   */
  long reserve(int prompts, int longest, int responses, int maxNewTokens) {
    return generator.reserve(prompts, longest, responses, maxNewTokens);
  }

  /** Returns the most memory that was in use since {@link #reserve}, in bytes. */
  long peak() {
    return generator.peak();
  }

  @Override
  public void close() {
    generator.close();
    encoding.close();
  }
}
