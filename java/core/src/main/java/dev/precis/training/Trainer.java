package dev.precis.training;

import dev.precis.InvalidInputException;
import dev.precis.checkpoint.Checkpoint;
import dev.precis.checkpoint.Json;
import dev.precis.checkpoint.JsonObject;
import dev.precis.checkpoint.SafeTensors;
import dev.precis.checkpoint.TensorView;
import dev.precis.ops.Parameters;
import dev.precis.ops.Parameters.Parameter;
import dev.precis.random.SplitMix64;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.ToIntFunction;
import tools.jackson.databind.node.ObjectNode;

/**
 * Fine-tunes a T5 on examples, step by step, into a {@link RunFolder}.
 *
 * <p>What a step does is a function of the options and the step's number alone: a run that was
 * killed at any moment and resumed ends with the same bits as one left alone.
 *
 * <p>Not for several threads; {@link #stop} may come from any.
 */
public final class Trainer implements AutoCloseable {
  /** Hears how a run goes. */
  public interface Listener {
    /** A step is done. */
    default void onStep(Step step) {}

    /** An evaluation is done; best: none was better before. */
    default void onEvaluation(long step, double loss, boolean best) {}

    /** A checkpoint is on the disk. */
    default void onCheckpoint(long step) {}
  }

  /**
   * How one step went.
   *
   * @param step from 1
   * @param loss mean over the step's target tokens
   * @param gradNorm of all gradients together, before it is cut
   * @param tokens source and target tokens of the step
   */
  public record Step(
      long step,
      long totalSteps,
      double epoch,
      double loss,
      float learningRate,
      double gradNorm,
      long tokens,
      double tokensPerSecond) {}

  /** Why a run ended. */
  public enum End {
    DONE,
    EARLY_STOPPED,
    INTERRUPTED
  }

  /**
   * How a run ended.
   *
   * @param loss of the last step
   * @param bestStep whose evaluation was the best; 0 where none was made
   */
  public record Result(End end, long steps, double loss, long bestStep, double bestLoss) {}

  private static final String OPTIMIZER = "optimizer.safetensors";
  private static final String STATE = "state.json";

  private final TrainableT5 t5;
  private final TrainingOptions options;
  private final List<Example> evaluation;
  private final Batches batches;
  private final RunFolder run;
  private final FineTuning fineTuning;
  private final Arena arena = Arena.ofShared();
  private final Optimizer optimizer;
  private final Schedule schedule;
  private final long totalSteps;
  private final MemoryPlan plan;
  private volatile boolean stopped;
  private long done;
  private long bestStep;
  private double bestLoss = Double.POSITIVE_INFINITY;
  private int withoutImprovement;
  private double lastLoss = Double.NaN;

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
    if (options.earlyStopping() > 0 && evaluation.isEmpty()) {
      throw new InvalidInputException("Early stopping needs evaluation data.");
    }
    this.t5 = t5;
    this.options = options;
    this.evaluation = List.copyOf(evaluation);
    this.run = run;
    batches = new Batches(training, options.stepSize(), options.shuffle(), options.seed());
    totalSteps =
        options.maxSteps() > 0
            ? options.maxSteps()
            : Math.max(1, Math.round(options.epochs() * batches.stepsPerEpoch()));
    schedule = new Schedule(options.schedule(), options.warmupSteps(), totalSteps);
    fineTuning = new FineTuning(t5, options.labelSmoothing(), options.recompute());
    try {
      optimizer = Optimizer.create(options.optimizer(), t5.parameters(), t5.ops(), arena);
      plan = plan(training);
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  private MemoryPlan plan(List<Example> training) {
    long source = longest(training, e -> e.source().length);
    long target = longest(training, e -> e.target().length);
    long workspace = fineTuning.plan(source, target);
    Map<String, Long> parts = new LinkedHashMap<>();
    parts.put("weights", t5.weightBytes());
    parts.put("trained weights and gradients", 2 * t5.parameters().values().memory().byteSize());
    long state = 0;
    for (Tensor tensor : optimizer.state().values()) {
      state += tensor.memory().byteSize();
    }
    parts.put("optimizer", state);
    parts.put("activations", workspace);
    parts.put("kernels", t5.context().describe().scratchBytes());
    fineTuning.reserve(workspace);
    return new MemoryPlan(parts);
  }

  /** The most tokens that the examples of one batch can have. */
  private long longest(List<Example> training, ToIntFunction<Example> length) {
    return training.stream()
        .map(length::applyAsInt)
        .sorted(Comparator.reverseOrder())
        .limit(options.batchSize())
        .mapToLong(Integer::longValue)
        .sum();
  }

  /** What the run needs; it holds whatever lengths come. */
  public MemoryPlan plan() {
    return plan;
  }

  /** The most memory that values and gradients took in a step, in bytes. */
  long peak() {
    return fineTuning.peak();
  }

  /** Steps of the whole run. */
  public long totalSteps() {
    return totalSteps;
  }

  /** Steps that are done. */
  public long done() {
    return done;
  }

  /** Ends the run after the step at hand, with a checkpoint. */
  public void stop() {
    stopped = true;
  }

  /** Goes on from the newest checkpoint; without one, from the start. */
  public void resume() {
    run.removeLeftovers();
    List<Long> all = run.checkpoints();
    if (!all.isEmpty()) {
      read(all.getLast());
    }
    run.openMetrics(done);
  }

  /** Trains to the end, or until {@link #stop}. */
  public Result train(Listener listener) {
    while (done < totalSteps && !earlyStop() && !stopped) {
      Step step = step();
      listener.onStep(step);
      run.metric(metric(step));
      boolean last = done == totalSteps;
      boolean epochEnds = done % batches.stepsPerEpoch() == 0;
      boolean improved = false;
      if (!evaluation.isEmpty() && (last || due(options.evaluateEvery(), epochEnds))) {
        improved = evaluate(listener);
      }
      if (last || stopped || improved || earlyStop() || due(options.checkpointEvery(), epochEnds)) {
        write();
        listener.onCheckpoint(done);
      }
    }
    End end = done == totalSteps ? End.DONE : earlyStop() ? End.EARLY_STOPPED : End.INTERRUPTED;
    if (end != End.INTERRUPTED) {
      finish();
    }
    return new Result(end, done, lastLoss, bestStep, bestLoss);
  }

  private boolean due(long every, boolean epochEnds) {
    return every == 0 ? epochEnds : done % every == 0;
  }

  private boolean earlyStop() {
    return options.earlyStopping() > 0 && withoutImprovement >= options.earlyStopping();
  }

  /**
   * One optimizer step, for programs with a loop of their own.
   *
   * @throws IllegalStateException where the loss or the gradient is not a number any more; nothing
   *     was changed then
   */
  public Step step() {
    long start = System.nanoTime();
    List<Example> batch = batches.batch(done);
    Parameters parameters = t5.parameters();
    parameters.clearGradients();
    long targets = FineTuning.targetTokens(batch);
    double sum = 0;
    int part = 0;
    for (int at = 0; at < batch.size(); at += options.batchSize()) {
      List<Example> micro = batch.subList(at, Math.min(batch.size(), at + options.batchSize()));
      long seed = SplitMix64.mix(options.seed(), 0x64726f70L, done, part++);
      sum += fineTuning.accumulate(micro, 1f / targets, seed);
    }
    double loss = sum / targets;
    double norm = Math.sqrt(t5.ops().sumOfSquares(parameters.gradients()));
    if (!Double.isFinite(loss) || !Double.isFinite(norm)) {
      throw new IllegalStateException(
          "The loss of step "
              + (done + 1)
              + " is "
              + loss
              + " and its gradient's norm "
              + norm
              + ": lower the learning rate. The last checkpoint is whole.");
    }
    float learningRate = (float) (options.learningRate() * schedule.factor(done));
    double clip = options.maxGradNorm() > 0 ? options.maxGradNorm() / (norm + 1e-6) : 1;
    done++;
    optimizer.step(done, learningRate, (float) Math.min(1, clip));
    t5.update();
    lastLoss = loss;
    long tokens = targets;
    for (Example example : batch) {
      tokens += example.source().length;
    }
    double seconds = (System.nanoTime() - start) / 1e9;
    double epoch = (double) done / batches.stepsPerEpoch();
    return new Step(done, totalSteps, epoch, loss, learningRate, norm, tokens, tokens / seconds);
  }

  private static ObjectNode metric(Step step) {
    ObjectNode line = Json.mapper().createObjectNode();
    line.put("step", step.step);
    line.put("epoch", step.epoch);
    line.put("loss", step.loss);
    // The shortest decimal that is this float.
    line.put("learning_rate", Double.parseDouble(Float.toString(step.learningRate)));
    line.put("grad_norm", step.gradNorm);
    line.put("tokens", step.tokens);
    line.put("tokens_per_second", Math.round(step.tokensPerSecond * 10) / 10.0);
    return line;
  }

  private boolean evaluate(Listener listener) {
    double loss = evaluationLoss();
    boolean best = loss < bestLoss;
    if (best) {
      bestLoss = loss;
      bestStep = done;
      withoutImprovement = 0;
    } else {
      withoutImprovement++;
    }
    ObjectNode line = Json.mapper().createObjectNode();
    line.put("step", done);
    line.put("eval_loss", loss);
    run.metric(line);
    listener.onEvaluation(done, loss, best);
    return best;
  }

  /** The mean loss over the target tokens of the evaluation's examples. */
  public double evaluationLoss() {
    double sum = 0;
    for (int at = 0; at < evaluation.size(); at += options.batchSize()) {
      int end = Math.min(evaluation.size(), at + options.batchSize());
      sum += fineTuning.evaluate(evaluation.subList(at, end));
    }
    return sum / FineTuning.targetTokens(evaluation);
  }

  /** The run's result: the best weights where there was an evaluation, else the last. */
  private void finish() {
    if (bestStep > 0 && bestStep != done) {
      readParameters(run.checkpointPath(bestStep));
      t5.update();
    }
    run.result(t5.adapter() != null ? "adapter" : "model", t5::write);
    run.prune(options.keepCheckpoints(), bestStep);
  }

  private void write() {
    run.checkpoint(
        done,
        folder -> {
          t5.write(folder.resolve(t5.adapter() != null ? "adapter" : "model"));
          List<SafeTensors.Source> state = new ArrayList<>();
          optimizer
              .state()
              .forEach(
                  (name, tensor) ->
                      state.add(
                          new SafeTensors.Source(
                              name, DType.FLOAT32, new long[] {tensor.dim(0)}, tensor::memory)));
          SafeTensors.writeSources(folder.resolve(OPTIMIZER), state, Map.of());
          ObjectNode json = Json.mapper().createObjectNode();
          json.put("step", done);
          json.put("loss", lastLoss);
          json.put("best_step", bestStep);
          if (bestStep > 0) {
            json.put("best_loss", bestLoss);
          }
          json.put("without_improvement", withoutImprovement);
          RunFolder.writeText(folder.resolve(STATE), json.toPrettyString() + "\n");
        });
    run.prune(options.keepCheckpoints(), bestStep);
  }

  private void read(long step) {
    Path folder = run.checkpointPath(step);
    readParameters(folder);
    try (Checkpoint state = Checkpoint.openFile(folder.resolve(OPTIMIZER))) {
      optimizer.state().forEach((name, tensor) -> copy(state.get(name), tensor.memory(), folder));
    }
    JsonObject json = Json.readObject(folder.resolve(STATE));
    done = (long) json.number("step");
    lastLoss = json.number("loss");
    bestStep = (long) json.number("best_step");
    bestLoss = bestStep > 0 ? json.number("best_loss") : Double.POSITIVE_INFINITY;
    withoutImprovement = json.integer("without_improvement", 0, Integer.MAX_VALUE);
    t5.update();
  }

  private void readParameters(Path folder) {
    boolean lora = t5.adapter() != null;
    Path file =
        lora
            ? folder.resolve("adapter").resolve("adapter_model.safetensors")
            : folder.resolve("model").resolve("model.safetensors");
    try (Checkpoint saved = Checkpoint.openFile(file)) {
      for (Parameter parameter : t5.parameters().all()) {
        String name = lora ? "base_model.model." + parameter.name() : parameter.name();
        copy(saved.get(name), parameter.value().memory(), folder);
      }
    }
  }

  private static void copy(TensorView from, MemorySegment to, Path folder) {
    if (from.dtype() != DType.FLOAT32 || from.data().byteSize() != to.byteSize()) {
      throw new InvalidInputException(
          folder + ": " + from + " does not fit this run: the checkpoint is another run's");
    }
    MemorySegment.copy(from.data(), 0, to, 0, to.byteSize());
  }

  @Override
  public void close() {
    fineTuning.close();
    arena.close();
  }
}
