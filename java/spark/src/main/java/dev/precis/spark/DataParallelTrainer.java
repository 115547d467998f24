package dev.precis.spark;

import dev.precis.io.InvalidInputException;
import dev.precis.training.DivergedException;
import dev.precis.training.RunFolder;
import dev.precis.training.TrainingLoop;
import java.nio.file.Path;
import java.util.List;
import java.util.TreeMap;
import java.util.function.LongConsumer;
import java.util.stream.IntStream;
import org.apache.spark.SparkException;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.rdd.RDD;
import org.apache.spark.sql.SparkSession;
import scala.reflect.ClassTag$;

/**
 * Trains one model with the micro-batches of each step shared among the tasks of a barrier stage.
 * The result is a function of the recipe, the threads and the instruction set, not of the number of
 * tasks: adapters have the bits that one process gives them, see {@link
 * dev.precis.training.GradientExchange}.
 *
 * <p>The driver keeps the run folder. Tasks start from its newest checkpoint and train to the next
 * one, which comes back to the driver as the result of their stage. Where an executor is lost, the
 * stage ends and is run again from that checkpoint; where the driver is lost, {@link #train}
 * resumes from it, with any number of tasks.
 */
public final class DataParallelTrainer {
  /** Attempts of a stage, as many as Spark's own of stages without barriers. */
  private static final int ATTEMPTS = 4;

  /** Property of a job: its tasks are interrupted where it ends without them. */
  private static final String INTERRUPTS = "spark.job.interruptOnCancel";

  private final SparkSession spark;
  private final TrainingRecipe recipe;
  private final int tasks;
  private int threads = 1;
  private String isa;
  private LongConsumer onCheckpoint = step -> {};

  /**
   * Prepares a training.
   *
   * @param tasks number of tasks, which the cluster must be able to run at the same time
   * @throws InvalidInputException if there are more tasks than micro-batches in a step
   */
  public DataParallelTrainer(SparkSession spark, TrainingRecipe recipe, int tasks) {
    int microBatches = recipe.options().gradientAccumulation();
    InvalidInputException.require(
        tasks >= 1 && tasks <= microBatches,
        "tasks",
        "between 1 and gradient-accumulation, the %d micro-batches of a step"
            .formatted(microBatches),
        tasks);
    this.spark = spark;
    this.recipe = recipe;
    this.tasks = tasks;
  }

  /** Sets the threads of each task, 1 by default: results depend on it, as with one process. */
  public DataParallelTrainer threads(int count) {
    InvalidInputException.require(count >= 1, "threads", "1 or more", count);
    threads = count;
    return this;
  }

  /**
   * Sets the instruction set, such as {@code avx2}: where executors are of different kinds, one
   * that all of them have. By default the best of each, which must be the same.
   */
  public DataParallelTrainer isa(String name) {
    isa = name;
    return this;
  }

  /** Sets what is told the step of each checkpoint, on the driver, once it is in the run folder. */
  public DataParallelTrainer onCheckpoint(LongConsumer listener) {
    onCheckpoint = listener;
    return this;
  }

  /**
   * Trains to the end.
   *
   * @param folder of the run, on the driver
   * @param resume whether a run is continued from its newest checkpoint
   * @throws InvalidInputException if there is a run and resume is false, or there is none or
   *     another one and it is true; or if the tasks cannot use the model or the examples
   * @throws IllegalStateException if a stage fails again and again; the run can be resumed
   * @throws DivergedException if the loss or a gradient is not finite
   */
  public TrainingLoop.Result train(Path folder, boolean resume) {
    JavaSparkContext context = JavaSparkContext.fromSparkContext(spark.sparkContext());
    Broadcast<TrainingRecipe> shared = context.broadcast(recipe);
    try (RunFolder run = open(folder, resume)) {
      TrainingRound.Outcome outcome;
      do {
        outcome = round(context, shared, run);
        run.begin();
        RunFiles.install(outcome.files(), run);
        onCheckpoint.accept(outcome.result().steps());
      } while (outcome.result().end() == TrainingLoop.End.INTERRUPTED);
      return outcome.result();
    } finally {
      shared.destroy();
    }
  }

  private RunFolder open(Path folder, boolean resume) {
    if (!resume) {
      return RunFolder.create(folder, recipe.config()).discardUnlessBegun();
    }
    RunFolder run = RunFolder.resume(folder, recipe.config());
    run.removeLeftovers();
    run.openMetrics(run.newestCheckpoint().orElse(0L));
    return run;
  }

  /** Runs a stage from the newest checkpoint to the next one. */
  private TrainingRound.Outcome round(
      JavaSparkContext context, Broadcast<TrainingRecipe> shared, RunFolder run) {
    Broadcast<TreeMap<String, byte[]>> files = context.broadcast(RunFiles.read(run.folder()));
    // A task that waits for one that is gone must wake up.
    String before = context.getLocalProperty(INTERRUPTS);
    context.setLocalProperty(INTERRUPTS, "true");
    try {
      List<Integer> ranks = IntStream.range(0, tasks).boxed().toList();
      RDD<TrainingRound.Outcome> stage =
          context
              .parallelize(ranks, tasks)
              .rdd()
              .barrier()
              .mapPartitions(
                  new TrainingRound(shared, files, threads, isa),
                  false,
                  ClassTag$.MODULE$.apply(TrainingRound.Outcome.class));
      TrainingRound.Outcome outcome = outcome(stage);
      if (outcome.failure() != null) {
        throw outcome.diverged()
            ? new DivergedException(outcome.failure())
            : new InvalidInputException(outcome.failure());
      }
      return outcome;
    } finally {
      context.setLocalProperty(INTERRUPTS, before);
      files.destroy();
    }
  }

  /**
   * Runs a stage. Where one of its tasks is lost, Spark ends the whole barrier stage, and it is run
   * again as soon as there are executors enough.
   */
  private static TrainingRound.Outcome outcome(RDD<TrainingRound.Outcome> stage) {
    for (int attempt = 1; ; attempt++) {
      try {
        return ((TrainingRound.Outcome[]) stage.collect())[0];
      } catch (Exception e) { // Scala's methods do not declare a SparkException
        if (!(e instanceof SparkException) || attempt == ATTEMPTS) {
          throw new IllegalStateException(
              "The training cannot go on, after %d attempts of a stage; the run resumes from its newest checkpoint: %s"
                  .formatted(attempt, e.getMessage()),
              e);
        }
      }
    }
  }
}
