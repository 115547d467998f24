package dev.precis.training;

import dev.precis.evaluation.Rouge;
import dev.precis.evaluation.SampleMoments;
import dev.precis.io.InvalidInputException;
import dev.precis.tensor.MemoryPlan;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Fine-tunes a T5 on examples with the supervised loss of {@link FineTuning}, or with that of a
 * {@link Distillation} from a teacher. Evaluations measure the supervised loss in both cases.
 *
 * <p>Not thread-safe, except {@link #stop}.
 */
public final class Trainer extends TrainingLoop {
  private final List<Example> evaluation;
  private final RougeEvaluation summaries; // null: evaluations do not generate
  private final Distillation distillation; // null: the targets' cross-entropy alone is the loss
  private final Batches<Example> batches;
  private final FineTuning fineTuning;
  private final MemoryPlan plan;

  /**
   * Prepares a run, which starts from the beginning unless it is resumed.
   *
   * @param evaluation examples to evaluate on; may be empty
   * @param run folder that everything is written to; the caller owns it and must close it
   */
  public Trainer(
      TrainableT5 t5,
      TrainingOptions options,
      List<Example> training,
      List<Example> evaluation,
      RunFolder run) {
    this(t5, options, training, evaluation, null, run);
  }

  /**
   * Prepares a run that keeps the weights which generate the best summaries.
   *
   * @param evaluation examples whose loss is measured in each evaluation; not empty
   * @param summaries generates and scores in each evaluation; the caller owns it and must close it
   * @param run folder that everything is written to; the caller owns it and must close it
   */
  public Trainer(
      TrainableT5 t5,
      TrainingOptions options,
      List<Example> training,
      List<Example> evaluation,
      RougeEvaluation summaries,
      RunFolder run) {
    this(t5, options, training, evaluation, summaries, null, run);
  }

  /**
   * Prepares a run in which a model learns from a teacher. Metrics of a step are {@code
   * divergence}, a mean over target tokens, {@code cross_entropy}, a mean over those of the data,
   * and {@code on_policy}, the share of examples whose target the student sampled.
   *
   * @param evaluation examples to evaluate on; may be empty without summaries
   * @param summaries generates and scores in each evaluation; null: evaluations are compared by
   *     their loss. The caller owns it and must close it
   * @param distillation the loss; null: fine-tuning. The caller owns it and must close it
   * @param run folder that everything is written to; the caller owns it and must close it
   */
  public Trainer(
      TrainableT5 t5,
      TrainingOptions options,
      List<Example> training,
      List<Example> evaluation,
      RougeEvaluation summaries,
      Distillation distillation,
      RunFolder run) {
    if (summaries != null && evaluation.isEmpty()) {
      throw new InvalidInputException("ROUGE needs evaluation data.");
    }
    if (training.isEmpty()) {
      throw new InvalidInputException("There is no example to train on.");
    }
    Batches<Example> batches =
        new Batches<>(
            training,
            e -> e.source().length + e.target().length,
            Batches.Size.of(options),
            options.shuffle(),
            options.seed());
    super(t5, options, batches, !evaluation.isEmpty(), run);
    this.evaluation = List.copyOf(evaluation);
    this.summaries = summaries;
    this.distillation = distillation;
    this.batches = batches;
    fineTuning = new FineTuning(t5, options.labelSmoothing(), options.recompute());
    try {
      // A step is measured with one example, whose virtual tokens are there already.
      double epochs = options.maxSteps() > 0 ? Double.POSITIVE_INFINITY : options.epochs();
      int prompt = t5.training().weights().promptTokens();
      long source = batches.largest(e -> prompt + e.source().length, epochs) - prompt;
      int sampled = distillation == null ? 0 : distillation.sampledTokens();
      long target = batches.largest(e -> Math.max(sampled, e.target().length), epochs);
      long workspace = fineTuning.plan(source, target);
      Map<String, Long> parts = new LinkedHashMap<>(plan(workspace).parts());
      fineTuning.reserve(workspace);
      if (summaries != null) {
        parts.put("generation", summaries.reserve());
        parts.put("kernels", t5.ops().scratchBytes());
      }
      if (distillation != null) {
        parts.put("teacher", distillation.teacher().weightBytes());
        parts.put("teacher's activations", distillation.teacher().reserve(source, target));
        List<Integer> sources = training.stream().map(e -> e.source().length).toList();
        parts.merge("generation", distillation.reserve(sources, options.batchSize()), Long::sum);
        parts.put("kernels", t5.ops().scratchBytes());
      }
      plan = new MemoryPlan(parts);
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  @Override
  public void share(GradientExchange exchange) {
    super.share(exchange);
  }

  /** Returns the memory that the run needs, whatever lengths come. */
  @Override
  public MemoryPlan plan() {
    return plan;
  }

  /** Returns the most memory that activations took in a step, in bytes. */
  long peak() {
    return fineTuning.peak();
  }

  @Override
  protected BatchLoss accumulateGradients(long step) {
    List<List<Example>> parts = batches.batches(step);
    if (distillation != null) {
      return distill(step, parts);
    }
    List<Example> batch = Batches.join(parts);
    long targets = FineTuning.targetTokens(batch);
    Map<String, Double> sums =
        accumulate(
            step,
            parts,
            (micro, first, seed, into) ->
                into.merge(
                    "loss", fineTuning.accumulate(micro, first, 1f / targets, seed), Double::sum));
    long tokens = targets;
    for (Example example : batch) {
      tokens += example.source().length;
    }
    return new BatchLoss(sums.get("loss") / targets, tokens, Map.of());
  }

  private BatchLoss distill(long step, List<List<Example>> parts) {
    List<Example> batch = Batches.join(parts);
    List<Distillation.Item> items =
        distillation.items(batch, options().seed(), step, options().batchSize());
    long targets = items.stream().mapToLong(Distillation.Item::targetTokens).sum();
    Map<String, Double> sums =
        accumulate(
            step,
            Batches.regroup(parts, items),
            (micro, first, seed, into) ->
                distillation.accumulate(fineTuning, micro, first, 1f / targets, seed, into));
    Map<String, Double> metrics = new LinkedHashMap<>();
    metrics.put("divergence", sums.get("divergence") / targets);
    if (sums.containsKey("labels")) {
      metrics.put("cross_entropy", sums.get("cross_entropy") / sums.get("labels"));
    }
    long sampled = items.stream().filter(Distillation.Item::sampled).count();
    metrics.put("on_policy", (double) sampled / items.size());
    long tokens = targets;
    for (Example example : batch) {
      tokens += example.source().length;
    }
    return new BatchLoss(sums.get("loss") / targets, tokens, metrics);
  }

  @Override
  protected Evaluation evaluation(Listener listener) {
    double[] sums = evaluationSums();
    double loss = meanLoss(sums);
    Map<String, double[]> parts = new LinkedHashMap<>();
    // The mean over batches of these is the mean over tokens.
    double scale = (double) sums.length / FineTuning.targetTokens(evaluation);
    parts.put("loss", Arrays.stream(sums).map(sum -> sum * scale).toArray());
    Map<String, Double> metrics = new LinkedHashMap<>();
    if (summaries != null) {
      parts.putAll(summaries.scores(this::checkStopped, listener::onEvaluating));
      for (Rouge.Metric each : Rouge.Metric.values()) {
        metrics.put(each.id(), SampleMoments.mean(parts.get(each.id())));
      }
    }
    return new Evaluation(loss, metrics, parts);
  }

  @Override
  protected String metric() {
    return summaries == null ? super.metric() : summaries.metric().id();
  }

  /** Returns the mean loss of the target tokens of the evaluation examples. */
  public double evaluationLoss() {
    return meanLoss(evaluationSums());
  }

  private double meanLoss(double[] sums) {
    double sum = 0;
    for (double each : sums) {
      sum += each;
    }
    return sum / FineTuning.targetTokens(evaluation);
  }

  /** Returns the sum of the losses of each batch of evaluation examples. */
  private double[] evaluationSums() {
    List<List<Example>> parts = batches.split(evaluation);
    double[] sums = new double[parts.size()];
    for (int i = 0; i < sums.length; i++) {
      checkStopped();
      sums[i] = fineTuning.evaluate(parts.get(i));
    }
    return sums;
  }

  @Override
  public void close() {
    fineTuning.close();
    super.close();
  }
}
