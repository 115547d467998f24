package dev.precis.spark;

import dev.precis.alignment.policy.ResponseSampler;
import dev.precis.alignment.policy.SamplingRequest;
import dev.precis.checkpoint.ModelFolder;
import dev.precis.generation.SampledTokens;
import dev.precis.io.InvalidInputException;
import dev.precis.training.TrainableT5;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.sql.SparkSession;

/**
 * Samples the rollouts of PPO, GRPO and RLOO with the tasks of a Spark job for each step: the
 * driver trains the policy's adapters, sends them, and each task responds to its share of the
 * prompts.
 *
 * <p>A response does not depend on the task that samples it, so that a run has the bits of one
 * process, whatever the number of tasks, and a task that is run again samples the same tokens.
 */
public final class SparkSampler implements ResponseSampler {
  private final JavaSparkContext context;
  private final String model;
  private final int tasks;
  private int threads = 1;
  private String isa;
  private String hash; // of the policy's weights

  /**
   * Prepares sampling.
   *
   * @param model the policy's folder on every executor, or an archive's name
   * @param tasks number of tasks that share the prompts of a step
   */
  public SparkSampler(SparkSession spark, String model, int tasks) {
    InvalidInputException.require(tasks >= 1, "tasks", "1 or more", tasks);
    context = JavaSparkContext.fromSparkContext(spark.sparkContext());
    this.model = model;
    this.tasks = tasks;
  }

  /** Sets the threads of each task, 1 by default; no token depends on them. */
  public SparkSampler threads(int count) {
    InvalidInputException.require(count >= 1, "threads", "1 or more", count);
    threads = count;
    return this;
  }

  /**
   * Sets the instruction set, such as {@code avx2}, where executors and driver are of different
   * kinds. By default the best of each, which must be the driver's.
   */
  public SparkSampler isa(String name) {
    isa = name;
    return this;
  }

  /**
   * {@inheritDoc}
   *
   * @throws InvalidInputException if the policy has no adapters, or if a task cannot load the model
   *     or has other weights or another instruction set than the policy
   */
  @Override
  public List<SampledTokens> sample(TrainableT5 policy, SamplingRequest request) {
    if (policy.adapter() == null) {
      throw new InvalidInputException(
          "Rollouts on executors need adapters: under full fine-tuning each step would send the"
              + " whole model");
    }
    ResponseTask.Key key =
        new ResponseTask.Key(model, policy.adapter().config(), policy.dtype(), threads, isa);
    MemorySegment values = policy.parameters().values().toHost();
    Broadcast<float[]> parameters = context.broadcast(values.toArray(ValueLayout.JAVA_FLOAT));
    try {
      List<SamplingRequest> parts = parts(request);
      List<ResponseTask.Outcome> outcomes =
          context.parallelize(parts, parts.size()).map(new ResponseTask(key, parameters)).collect();
      List<SampledTokens> samples = new ArrayList<>();
      for (ResponseTask.Outcome outcome : outcomes) {
        samples.addAll(checked(outcome, policy));
      }
      return samples;
    } finally {
      parameters.destroy();
    }
  }

  /** Shares the prompts among the tasks. */
  private List<SamplingRequest> parts(SamplingRequest request) {
    int prompts = request.sources().size();
    int count = Math.min(tasks, prompts);
    List<SamplingRequest> parts = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      parts.add(request.part(i * prompts / count, (i + 1) * prompts / count));
    }
    return parts;
  }

  private List<SampledTokens> checked(ResponseTask.Outcome outcome, TrainableT5 policy) {
    if (outcome.failure() != null) {
      throw new InvalidInputException(outcome.failure());
    }
    if (hash == null) {
      hash = ModelFolder.weightsHash(policy.folder());
    }
    String own = ModelKey.arithmetic(policy, hash);
    if (!own.equals(outcome.arithmetic())) {
      throw new InvalidInputException(
          "An executor computes with other instruction sets or weights than the driver (%s; %s): put the same model on all, and set isa to one that all have"
              .formatted(outcome.arithmetic(), own));
    }
    return outcome.samples();
  }
}
