package dev.precis.training;

import static dev.precis.io.InvalidInputException.require;

import dev.precis.io.Json;
import java.io.Serializable;
import java.util.Locale;
import tools.jackson.databind.node.ObjectNode;

/**
 * Options of a training run. The defaults suit LoRA on FLAN-T5.
 *
 * @param optimizer algorithm and settings
 * @param learningRate the full learning rate, after the warm-up
 * @param schedule shape of the learning rate after the warm-up
 * @param warmupSteps steps until the full learning rate
 * @param maxGradNorm clip the norm of all gradients together to this (Pascanu et al. 2013); 0: off
 * @param batchSize examples in one forward and backward pass
 * @param maxTokensPerBatch most source and target tokens in one forward and backward pass, in place
 *     of batchSize examples; 0: batchSize examples
 * @param gradientAccumulation batches per optimizer step, whose gradient is that of one large batch
 * @param epochs passes over the examples, if maxSteps is 0
 * @param maxSteps optimizer steps; 0: those of the epochs
 * @param labelSmoothing share of each target's weight that is spread over the whole vocabulary
 * @param shuffle shuffle each epoch and batch examples of similar length, see {@link Batches}
 * @param recompute recompute activations in the backward pass (gradient checkpointing): less
 *     memory, more time
 * @param seed of shuffling and dropout
 * @param evaluateEvery steps between evaluations; 0: after each epoch
 * @param earlyStopping evaluations without improvement after which the run ends; 0: off
 * @param checkpointEvery steps between checkpoints; 0: after each epoch
 * @param keepCheckpoints newest checkpoints that are kept besides the best
 */
public record TrainingOptions(
    Optimizer.Settings optimizer,
    float learningRate,
    Schedule.Shape schedule,
    long warmupSteps,
    float maxGradNorm,
    int batchSize,
    int maxTokensPerBatch,
    int gradientAccumulation,
    double epochs,
    long maxSteps,
    float labelSmoothing,
    boolean shuffle,
    boolean recompute,
    long seed,
    long evaluateEvery,
    int earlyStopping,
    long checkpointEvery,
    int keepCheckpoints)
    implements Serializable {

  /** Checks the ranges. */
  public TrainingOptions {
    require(
        learningRate > 0 && learningRate < 1e3f,
        "learning-rate",
        "above 0 and below 1000",
        learningRate);
    require(optimizer.weightDecay() >= 0, "weight-decay", "0 or more", optimizer.weightDecay());
    require(warmupSteps >= 0, "warmup-steps", "0 or more", warmupSteps);
    require(maxGradNorm >= 0, "max-grad-norm", "0 or more", maxGradNorm);
    require(batchSize > 0, "batch-size", "1 or more", batchSize);
    require(maxTokensPerBatch >= 0, "max-tokens-per-batch", "0 or more", maxTokensPerBatch);
    require(gradientAccumulation > 0, "gradient-accumulation", "1 or more", gradientAccumulation);
    require(epochs > 0 && epochs < 1e6, "epochs", "above 0 and below 1000000", epochs);
    require(maxSteps >= 0, "max-steps", "0 or more", maxSteps);
    require(
        labelSmoothing >= 0 && labelSmoothing < 1,
        "label-smoothing",
        "at least 0 and below 1",
        labelSmoothing);
    require(evaluateEvery >= 0, "eval-every", "0 or more", evaluateEvery);
    require(earlyStopping >= 0, "early-stopping", "0 or more", earlyStopping);
    require(checkpointEvery >= 0, "checkpoint-every", "0 or more", checkpointEvery);
    require(keepCheckpoints > 0, "keep-checkpoints", "1 or more", keepCheckpoints);
  }

  /** Returns a builder that starts from the defaults. */
  public static Builder builder() {
    return new Builder();
  }

  /** Returns every option that a run's numbers depend on, under its key in config.json. */
  public ObjectNode toJson() {
    ObjectNode json = Json.mapper().createObjectNode();
    json.put("optimizer", optimizer.kind().name().toLowerCase(Locale.ROOT));
    json.put("learning_rate", Json.shortest(learningRate));
    json.put("weight_decay", Json.shortest(optimizer.weightDecay()));
    json.put("momentum", Json.shortest(optimizer.momentum()));
    json.put("schedule", schedule.name().toLowerCase(Locale.ROOT));
    json.put("warmup_steps", warmupSteps);
    json.put("max_grad_norm", Json.shortest(maxGradNorm));
    if (maxTokensPerBatch > 0) {
      json.put("max_tokens_per_batch", maxTokensPerBatch);
    } else {
      json.put("batch_size", batchSize);
    }
    json.put("gradient_accumulation", gradientAccumulation);
    json.put("epochs", epochs);
    json.put("max_steps", maxSteps);
    json.put("label_smoothing", Json.shortest(labelSmoothing));
    json.put("shuffle", shuffle);
    json.put("recompute", recompute);
    json.put("seed", seed);
    json.put("eval_every", evaluateEvery);
    json.put("early_stopping", earlyStopping);
    return json;
  }

  /** Returns the number of examples per optimizer step. */
  public int stepSize() {
    return Math.multiplyExact(batchSize, gradientAccumulation);
  }

  /**
   * Refuses batches of a number of tokens, for runs whose examples are more than a source and a
   * target.
   */
  public void requireBatchesOfExamples() {
    require(
        maxTokensPerBatch == 0, "max-tokens-per-batch", "0 in this kind of run", maxTokensPerBatch);
  }

  /** Collects the options. */
  public static final class Builder {
    private Optimizer.Settings optimizer = Optimizer.Settings.of(Optimizer.Kind.ADAMW, 0.01f);
    private float learningRate = 1e-3f;
    private Schedule.Shape schedule = Schedule.Shape.LINEAR;
    private long warmupSteps;
    private float maxGradNorm = 1;
    private int batchSize = 8;
    private int maxTokensPerBatch;
    private int gradientAccumulation = 1;
    private double epochs = 1;
    private long maxSteps;
    private float labelSmoothing;
    private boolean shuffle = true;
    private boolean recompute;
    private long seed;
    private long evaluateEvery;
    private int earlyStopping;
    private long checkpointEvery;
    private int keepCheckpoints = 2;

    private Builder() {}

    public Builder optimizer(Optimizer.Settings optimizer) {
      this.optimizer = optimizer;
      return this;
    }

    public Builder learningRate(float learningRate) {
      this.learningRate = learningRate;
      return this;
    }

    public Builder schedule(Schedule.Shape schedule) {
      this.schedule = schedule;
      return this;
    }

    public Builder warmupSteps(long warmupSteps) {
      this.warmupSteps = warmupSteps;
      return this;
    }

    public Builder maxGradNorm(float maxGradNorm) {
      this.maxGradNorm = maxGradNorm;
      return this;
    }

    public Builder batchSize(int batchSize) {
      this.batchSize = batchSize;
      return this;
    }

    public Builder maxTokensPerBatch(int maxTokensPerBatch) {
      this.maxTokensPerBatch = maxTokensPerBatch;
      return this;
    }

    public Builder gradientAccumulation(int gradientAccumulation) {
      this.gradientAccumulation = gradientAccumulation;
      return this;
    }

    public Builder epochs(double epochs) {
      this.epochs = epochs;
      return this;
    }

    public Builder maxSteps(long maxSteps) {
      this.maxSteps = maxSteps;
      return this;
    }

    public Builder labelSmoothing(float labelSmoothing) {
      this.labelSmoothing = labelSmoothing;
      return this;
    }

    public Builder shuffle(boolean shuffle) {
      this.shuffle = shuffle;
      return this;
    }

    public Builder recompute(boolean recompute) {
      this.recompute = recompute;
      return this;
    }

    public Builder seed(long seed) {
      this.seed = seed;
      return this;
    }

    public Builder evaluateEvery(long evaluateEvery) {
      this.evaluateEvery = evaluateEvery;
      return this;
    }

    public Builder earlyStopping(int earlyStopping) {
      this.earlyStopping = earlyStopping;
      return this;
    }

    public Builder checkpointEvery(long checkpointEvery) {
      this.checkpointEvery = checkpointEvery;
      return this;
    }

    public Builder keepCheckpoints(int keepCheckpoints) {
      this.keepCheckpoints = keepCheckpoints;
      return this;
    }

    /** Returns the options. */
    public TrainingOptions build() {
      return new TrainingOptions(
          optimizer,
          learningRate,
          schedule,
          warmupSteps,
          maxGradNorm,
          batchSize,
          maxTokensPerBatch,
          gradientAccumulation,
          epochs,
          maxSteps,
          labelSmoothing,
          shuffle,
          recompute,
          seed,
          evaluateEvery,
          earlyStopping,
          checkpointEvery,
          keepCheckpoints);
    }
  }
}
