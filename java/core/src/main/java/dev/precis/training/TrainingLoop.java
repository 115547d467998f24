package dev.precis.training;

import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.io.JsonObject;
import dev.precis.layers.Parameters;
import dev.precis.ops.Tape;
import dev.precis.random.SplitMix64;
import dev.precis.tensor.MemoryPlan;
import dev.precis.tensor.Tensor;
import java.io.Serializable;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import tools.jackson.databind.node.ObjectNode;

/**
 * Runs optimizer steps on a model and writes them to a {@link RunFolder}; subclasses define the
 * loss.
 *
 * <p>Each step is a function of the options and the step's number alone, so that a run that is
 * killed at any moment resumes bitwise identically.
 *
 * <p>Not thread-safe, except {@link #stop}.
 */
public abstract class TrainingLoop implements AutoCloseable {
  /** Receives the events of a run. */
  public interface Listener {
    /** Reports progress of the preparation before the first step. */
    default void onPreparation(long done, long total) {}

    /** Reports a finished step. */
    default void onStep(Step step) {}

    /** Reports progress of an evaluation that generates. */
    default void onEvaluating(long done, long total) {}

    /** Reports an evaluation; best is true if none before was as good. */
    default void onEvaluation(long step, Evaluation evaluation, boolean best) {}

    /** Reports a checkpoint that is on disk. */
    default void onCheckpoint(long step) {}
  }

  /**
   * Numbers of one step.
   *
   * @param step from 1
   * @param loss mean loss of the step
   * @param gradNorm norm of all gradients together, before clipping
   * @param tokens source and target tokens of the step
   * @param metrics further metrics by name
   */
  public record Step(
      long step,
      long totalSteps,
      double epoch,
      double loss,
      float learningRate,
      double gradNorm,
      long tokens,
      double tokensPerSecond,
      Map<String, Double> metrics) {}

  /**
   * Result of an evaluation on held-out examples.
   *
   * @param loss mean loss
   * @param metrics further metrics by name
   * @param parts values of a metric, or of {@code loss}, on parts of the evaluation data that are
   *     the same in every evaluation; their mean is the metric
   */
  public record Evaluation(double loss, Map<String, Double> metrics, Map<String, double[]> parts) {
    /** Makes an evaluation whose parts are unknown. */
    public Evaluation(double loss, Map<String, Double> metrics) {
      this(loss, metrics, Map.of());
    }
  }

  /** Reasons for the end of a run. */
  public enum End {
    DONE,
    EARLY_STOPPED,
    INTERRUPTED
  }

  /**
   * Outcome of a run.
   *
   * @param loss loss of the last step
   * @param bestStep step of the best evaluation; 0 without evaluation
   * @param metric name of the metric that evaluations are compared by
   * @param best its value in the best evaluation
   */
  public record Result(End end, long steps, double loss, long bestStep, String metric, double best)
      implements Serializable {}

  /**
   * Loss of a batch whose gradients have been accumulated.
   *
   * @param loss mean loss
   * @param tokens source and target tokens
   */
  public record BatchLoss(double loss, long tokens, Map<String, Double> metrics) {}

  /**
   * Computes a micro-batch of a step.
   *
   * @param <E> an example
   */
  @FunctionalInterface
  protected interface MicroBatch<E> {
    /**
     * Adds the gradients of a micro-batch to those of the parameters.
     *
     * @param first number of its first example in the step's whole batch, from 0
     * @param seed of the dropout masks of the whole step, which depend on an example's number too
     * @param sums sums of the loss and of metrics by name, which those of the micro-batch are added
     *     to
     */
    void accumulate(List<E> examples, int first, long seed, Map<String, Double> sums);
  }

  /** Leaves an evaluation that {@link #stop} interrupts. */
  private static final class EvaluationStopped extends RuntimeException {
    private static final long serialVersionUID = 1;

    EvaluationStopped() {
      super("The run was stopped while it was evaluated.", null, false, false);
    }
  }

  private static final String LOSS = "loss";

  private final Trainable model;
  private final TrainingOptions options;
  private final Batches<?> batches;
  private final boolean evaluates;
  private final RunFolder run;
  private final Arena arena = Arena.ofShared();
  private final Optimizer optimizer;
  private final RunState state;
  private final Schedule schedule;
  private final EvaluationChanges changes;
  private final long totalSteps;
  private GradientExchange exchange; // null: this process computes every micro-batch
  private volatile boolean stopped;
  private long done;
  private long bestStep;
  private double best;
  private int withoutImprovement;
  private boolean evaluating;
  private boolean evaluationDue; // that of the last step, which was interrupted
  private double lastLoss = Double.NaN;

  /**
   * Prepares a run, which starts from the beginning unless it is resumed.
   *
   * @param batches the training examples
   * @param evaluates whether there are examples to evaluate on
   * @param run folder that everything is written to; the caller owns it and must close it
   */
  protected TrainingLoop(
      Trainable model,
      TrainingOptions options,
      Batches<?> batches,
      boolean evaluates,
      RunFolder run) {
    if (options.earlyStopping() > 0 && !evaluates) {
      throw new InvalidInputException("Early stopping needs evaluation data.");
    }
    this.model = model;
    this.options = options;
    this.evaluates = evaluates;
    this.run = run;
    this.batches = batches;
    totalSteps = options.maxSteps() > 0 ? options.maxSteps() : batches.steps(options.epochs());
    schedule = new Schedule(options.schedule(), options.warmupSteps(), totalSteps);
    try {
      optimizer = Optimizer.create(options.optimizer(), model.parameters(), model.ops(), arena);
    } catch (RuntimeException | Error e) {
      arena.close();
      throw e;
    }
    changes = new EvaluationChanges(run);
    state = new RunState(run, model, List.of(), Map.of("", optimizer));
  }

  /**
   * Adds the gradients of a step's loss to the parameters' gradients, which are zero.
   *
   * @param step from 0
   */
  protected abstract BatchLoss accumulateGradients(long step);

  /**
   * Evaluates the model; called only if there are examples to evaluate on. Calls {@link
   * #checkStopped} every few seconds at least.
   *
   * @param listener receives the progress
   */
  protected abstract Evaluation evaluation(Listener listener);

  /**
   * Returns the name of the metric that evaluations are compared by: {@code loss}, the default,
   * which is better when lower, or one of {@link Evaluation#metrics}, which is better when higher.
   */
  protected String metric() {
    return LOSS;
  }

  /** Leaves an evaluation of this loop if the run is to stop; the resumed run begins it anew. */
  protected final void checkStopped() {
    if (evaluating && stopped) {
      throw new EvaluationStopped();
    }
  }

  /** Prepares the first step of this process, until {@link #stopped}. */
  protected void prepare(Listener listener) {}

  /** Returns true if the model is on a GPU, whose memory the plan is of. */
  public final boolean onGpu() {
    return model.ops().onGpu();
  }

  /** Returns the memory that a step needs. */
  public abstract MemoryPlan plan();

  /**
   * Returns the plan of the memory that every run needs.
   *
   * @param activations bytes of activations
   */
  protected final MemoryPlan plan(long activations) {
    Map<String, Long> parts = new LinkedHashMap<>();
    parts.put("weights", model.weightBytes());
    parts.put(
        "trained weights and gradients", 2 * model.parameters().values().address().byteSize());
    long state = 0;
    for (Tensor tensor : optimizer.state().values()) {
      state += tensor.address().byteSize();
    }
    parts.put("optimizer", state);
    parts.put("activations", activations);
    parts.put("kernels", model.ops().scratchBytes());
    return new MemoryPlan(parts);
  }

  protected final TrainingOptions options() {
    return options;
  }

  protected final RunFolder run() {
    return run;
  }

  /**
   * Shares the micro-batches of each step with other processes, all of which run this loop with the
   * same model, options and examples, and end with the same bits. A loop whose gradients come by
   * {@link #accumulate} makes this method public.
   *
   * @param exchange is the caller's
   */
  protected void share(GradientExchange exchange) {
    this.exchange = exchange;
  }

  /**
   * Accumulates the gradients of a step's micro-batches, in their order, of which other processes
   * may compute some.
   *
   * @param step from 0
   * @return the sums that the micro-batches gave, in the order of their names' first appearance
   */
  protected final <E> Map<String, Double> accumulate(
      long step, List<List<E>> batches, MicroBatch<E> microBatch) {
    if (exchange == null) {
      Map<String, Double> sums = new LinkedHashMap<>();
      int first = 0;
      for (List<E> batch : batches) {
        microBatch.accumulate(batch, first, dropoutSeed(step), sums);
        first += batch.size();
      }
      return sums;
    }
    Parameters parameters = model.parameters();
    List<GradientExchange.Contribution> own = new ArrayList<>();
    int end = exchange.begin(exchange.rank() + 1, batches.size());
    int begin = exchange.begin(exchange.rank(), batches.size());
    int first = batches.subList(0, begin).stream().mapToInt(List::size).sum();
    for (List<E> batch : batches.subList(begin, end)) {
      Map<String, Double> sums = new LinkedHashMap<>();
      parameters.clearGradients();
      microBatch.accumulate(batch, first, dropoutSeed(step), sums);
      first += batch.size();
      MemorySegment gradients = parameters.gradients().toHost();
      own.add(new GradientExchange.Contribution(gradients.toArray(ValueLayout.JAVA_FLOAT), sums));
    }
    GradientExchange.Contribution total =
        exchange.sum(own, Math.toIntExact(parameters.gradients().dim(0)));
    parameters.gradients().write(to -> to.copyFrom(MemorySegment.ofArray(total.gradients())));
    return total.sums();
  }

  /**
   * Returns the seed of the dropout masks of a step. Those of an example depend on its number in
   * the step's batch too, see {@link Tape#begin(boolean, long, int[])}, and not on how the batch is
   * split.
   */
  protected final long dropoutSeed(long step) {
    return SplitMix64.mix(options.seed(), 0x64726f70L, step);
  }

  /** Returns the numbers of so many examples, from the first one's on. */
  protected static int[] numbers(int first, int count) {
    return IntStream.range(first, first + count).toArray();
  }

  /** Returns the number of steps of the whole run. */
  public final long totalSteps() {
    return totalSteps;
  }

  /** Returns the number of steps that are done. */
  public final long done() {
    return done;
  }

  /**
   * Ends the run after the present step, with a checkpoint. An evaluation is interrupted, and is
   * made when the run is resumed.
   */
  public final void stop() {
    stopped = true;
  }

  /** Returns true if {@link #stop} was called. */
  protected final boolean stopped() {
    return stopped;
  }

  /** Resumes from the newest checkpoint; without one, starts from the beginning. */
  public final void resume() {
    try {
      state.resume(this::continueFrom);
    } finally {
      model.ops().release();
    }
  }

  /** Trains to the end, or until {@link #stop}. */
  public final Result train(Listener listener) {
    try {
      return trainToTheEnd(listener);
    } finally {
      model.ops().release();
    }
  }

  private Result trainToTheEnd(Listener listener) {
    if ((evaluationDue || done < totalSteps && !earlyStop()) && !stopped) {
      prepare(listener);
    }
    if (evaluationDue && !stopped) {
      complete(listener, true);
    }
    while (done < totalSteps && !earlyStop() && !stopped) {
      Step step = step();
      listener.onStep(step);
      run.metric(line(step));
      complete(listener, false);
    }
    End end =
        evaluationDue
            ? End.INTERRUPTED
            : done == totalSteps ? End.DONE : earlyStop() ? End.EARLY_STOPPED : End.INTERRUPTED;
    run.begin();
    if (end != End.INTERRUPTED) {
      finish();
    }
    return new Result(end, done, lastLoss, bestStep, metric(), best);
  }

  /**
   * Evaluates after a step and writes a checkpoint, where they are due.
   *
   * @param interrupted whether an earlier process did the step, and its evaluation was interrupted
   */
  private void complete(Listener listener, boolean interrupted) {
    boolean last = done == totalSteps;
    boolean epochEnds = batches.endsEpoch(done);
    boolean improved = false;
    if (evaluates && (last || due(options.evaluateEvery(), epochEnds))) {
      improved = evaluate(listener);
    }
    if (interrupted
        || last
        || stopped
        || improved
        || earlyStop()
        || due(options.checkpointEvery(), epochEnds)) {
      write();
      listener.onCheckpoint(done);
    }
  }

  private boolean due(long every, boolean epochEnds) {
    return every == 0 ? epochEnds : done % every == 0;
  }

  private boolean earlyStop() {
    return options.earlyStopping() > 0 && withoutImprovement >= options.earlyStopping();
  }

  /**
   * Runs one optimizer step, for programs with a loop of their own.
   *
   * @throws DivergedException where the loss or the gradient is not finite; the model is unchanged
   *     then
   */
  public final Step step() {
    try {
      return runStep();
    } finally {
      model.ops().release();
    }
  }

  private Step runStep() {
    long start = System.nanoTime();
    Parameters parameters = model.parameters();
    parameters.clearGradients();
    BatchLoss batch = accumulateGradients(done);
    double norm = Math.sqrt(model.ops().sumOfSquares(parameters.gradients()));
    if (!Double.isFinite(batch.loss) || !Double.isFinite(norm)) {
      List<Long> left = run.checkpoints();
      throw new DivergedException(
          "The loss of step "
              + (done + 1)
              + " is "
              + batch.loss
              + " and its gradient's norm "
              + norm
              + ": lower the learning rate"
              + (left.isEmpty()
                  ? ""
                  : "; the checkpoint of step " + left.getLast() + " is complete"));
    }
    float learningRate = (float) (options.learningRate() * schedule.factor(done));
    done++;
    run.begin();
    optimizer.step(done, learningRate, Optimizer.clippingScale(norm, options.maxGradNorm()));
    model.update();
    lastLoss = batch.loss;
    double seconds = (System.nanoTime() - start) / 1e9;
    return new Step(
        done,
        totalSteps,
        batches.epochs(done),
        batch.loss,
        learningRate,
        norm,
        batch.tokens,
        batch.tokens / seconds,
        batch.metrics);
  }

  private static ObjectNode line(Step step) {
    ObjectNode line = Json.mapper().createObjectNode();
    line.put("step", step.step);
    line.put("epoch", step.epoch);
    line.put("loss", step.loss);
    step.metrics.forEach(line::put);
    line.put("learning_rate", Json.shortest(step.learningRate));
    line.put("grad_norm", step.gradNorm);
    line.put("tokens", step.tokens);
    line.put("tokens_per_second", Math.round(step.tokensPerSecond * 10) / 10.0);
    return line;
  }

  /** Evaluates, unless the run is stopped; returns true if no evaluation before was as good. */
  private boolean evaluate(Listener listener) {
    boolean again = evaluationDue;
    evaluationDue = true;
    evaluating = true;
    Evaluation evaluation;
    try {
      checkStopped();
      evaluation = evaluation(listener);
    } catch (EvaluationStopped e) {
      return false;
    } finally {
      evaluating = false;
    }
    evaluationDue = false;
    boolean better = better(evaluation);
    if (better) {
      best = value(evaluation);
      bestStep = done;
      withoutImprovement = 0;
    } else {
      withoutImprovement++;
    }
    // A process that was killed after this line, but before its checkpoint, has left it.
    if (!again || !evaluationIsLogged()) {
      ObjectNode line = Json.mapper().createObjectNode();
      line.put("step", done);
      line.put("eval_loss", evaluation.loss);
      evaluation.metrics.forEach((name, value) -> line.put("eval_" + name, value));
      changes
          .since(done, evaluation.parts)
          .forEach(
              (name, change) ->
                  line.putArray("eval_" + name + "_change_95")
                      .add(change.low())
                      .add(change.high()));
      run.metric(line);
    }
    listener.onEvaluation(done, evaluation, better);
    return better;
  }

  private boolean evaluationIsLogged() {
    return run.metrics().stream()
        .anyMatch(line -> line.get("step").longValue() == done && line.has("eval_loss"));
  }

  private boolean better(Evaluation evaluation) {
    double value = value(evaluation);
    if (bestStep == 0) {
      return Double.isFinite(value);
    }
    return metric().equals(LOSS) ? value < best : value > best;
  }

  private double value(Evaluation evaluation) {
    return metric().equals(LOSS) ? evaluation.loss : evaluation.metrics.get(metric());
  }

  /**
   * Writes the run's result: the weights with the best evaluation, or the last ones without
   * evaluation.
   */
  private void finish() {
    if (bestStep > 0 && bestStep != done) {
      state.loadWeights(bestStep);
    }
    state.writeResult();
    run.prune(options.keepCheckpoints(), bestStep);
  }

  private void write() {
    state.save(
        done,
        json -> {
          json.put("loss", lastLoss);
          json.put("best_step", bestStep);
          if (bestStep > 0) {
            json.put("best_" + metric(), best);
          }
          json.put("without_improvement", withoutImprovement);
          if (evaluationDue) {
            json.put("evaluation_due", true);
          }
        });
    run.prune(options.keepCheckpoints(), bestStep);
  }

  private void continueFrom(JsonObject position) {
    done = position.whole("step", 0, Long.MAX_VALUE);
    lastLoss = position.number("loss");
    bestStep = position.whole("best_step", 0, Long.MAX_VALUE);
    if (bestStep > done) {
      throw position.wrong("best_step", "a step that is done");
    }
    best = bestStep > 0 ? position.number("best_" + metric()) : 0;
    withoutImprovement = position.integer("without_improvement", 0, Integer.MAX_VALUE);
    evaluationDue = position.bool("evaluation_due", false);
  }

  @Override
  public void close() {
    arena.close();
  }
}
