package dev.precis.training;

import dev.precis.io.InvalidInputException;
import dev.precis.tensor.MemoryPlan;
import java.util.List;
import java.util.Map;

/**
 * Fine-tunes a T5 on examples: the supervised loss of {@link FineTuning}, step by step.
 *
 * <p>Not for several threads; {@link #stop} may come from any.
 */
public final class Trainer extends TrainingLoop {
  private final List<Example> evaluation;
  private final Batches<Example> batches;
  private final FineTuning fineTuning;
  private final MemoryPlan plan;

  /**
   * A run that has not started, or goes on where its newest checkpoint is.
   *
   * @param evaluation examples to evaluate on; may be empty
   * @param run where everything is written; open, and closed by its owner
   */
  public Trainer(
      TrainableT5 t5,
      TrainingOptions options,
      List<Example> training,
      List<Example> evaluation,
      RunFolder run) {
    if (training.isEmpty()) {
      throw new InvalidInputException("There is no example to train on.");
    }
    super(t5, options, training.size(), !evaluation.isEmpty(), run);
    this.evaluation = List.copyOf(evaluation);
    batches =
        new Batches<>(
            training,
            e -> e.source().length + e.target().length,
            options.stepSize(),
            options.shuffle(),
            options.seed());
    fineTuning = new FineTuning(t5, options.labelSmoothing(), options.recompute());
    try {
      long source = Batches.longest(training, e -> e.source().length, options.batchSize());
      long target = Batches.longest(training, e -> e.target().length, options.batchSize());
      long workspace = fineTuning.plan(source, target);
      plan = plan(workspace);
      fineTuning.reserve(workspace);
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  /** What the run needs; it holds whatever lengths come. */
  @Override
  public MemoryPlan plan() {
    return plan;
  }

  /** The most memory that values and gradients took in a step, in bytes. */
  long peak() {
    return fineTuning.peak();
  }

  @Override
  protected BatchLoss accumulateGradients(long step) {
    List<Example> batch = batches.batch(step);
    long targets = FineTuning.targetTokens(batch);
    long tokens = targets;
    double sum = 0;
    int part = 0;
    for (List<Example> micro : Batches.split(batch, options().batchSize())) {
      sum += fineTuning.accumulate(micro, 1f / targets, dropoutSeed(step, part++));
    }
    for (Example example : batch) {
      tokens += example.source().length;
    }
    return new BatchLoss(sum / targets, tokens, Map.of());
  }

  @Override
  protected Evaluation evaluation() {
    return new Evaluation(evaluationLoss(), Map.of());
  }

  /** The mean loss over the target tokens of the evaluation's examples. */
  public double evaluationLoss() {
    double sum = 0;
    for (List<Example> batch : Batches.split(evaluation, options().batchSize())) {
      sum += fineTuning.evaluate(batch);
    }
    return sum / FineTuning.targetTokens(evaluation);
  }

  @Override
  public void close() {
    fineTuning.close();
    super.close();
  }
}
