package dev.precis.cli.options;

import dev.precis.cli.common.BaseCommand;
import dev.precis.io.InvalidInputException;
import dev.precis.training.Optimizer;
import dev.precis.training.Schedule;
import dev.precis.training.TrainingOptions;
import picocli.CommandLine.Option;

/** Optimizer, schedule and evaluations of every training on examples. */
public class LearningOptions extends RecomputeOption {
  @Option(
      names = "--optimizer",
      paramLabel = "NAME",
      defaultValue = "adamw",
      description = "adamw, adam, sgd or adafactor (default: ${DEFAULT-VALUE}).")
  private String optimizer;

  @Option(
      names = "--weight-decay",
      paramLabel = "X",
      defaultValue = "0.01",
      description =
          "Decoupled for adamw and adafactor, L2 for adam and sgd (default: ${DEFAULT-VALUE}).")
  private float weightDecay;

  @Option(
      names = "--momentum",
      paramLabel = "X",
      defaultValue = "0",
      description = "Momentum of sgd (default: ${DEFAULT-VALUE}).")
  private float momentum;

  @Option(
      names = "--schedule",
      paramLabel = "NAME",
      defaultValue = "linear",
      description =
          "Learning rate after the warm-up: linear or cosine down to 0, or constant (default:"
              + " ${DEFAULT-VALUE}).")
  private String schedule;

  @Option(
      names = "--warmup-steps",
      paramLabel = "N",
      defaultValue = "0",
      description = "Steps until the full learning rate (default: ${DEFAULT-VALUE}).")
  private long warmupSteps;

  @Option(
      names = "--epochs",
      paramLabel = "N",
      defaultValue = "1",
      description = "Passes over the data (default: ${DEFAULT-VALUE}).")
  private double epochs;

  @Option(
      names = "--no-shuffle",
      description = "Take the data in its order instead of shuffling and batching by length.")
  private boolean noShuffle;

  @Option(
      names = "--eval-every",
      paramLabel = "N",
      defaultValue = "0",
      description =
          "Steps between evaluations; 0: one at the end of each epoch (default:"
              + " ${DEFAULT-VALUE}).")
  private long evalEvery;

  @Option(
      names = {"--early-stopping-patience", "--early-stopping"},
      paramLabel = "N",
      defaultValue = "0",
      description =
          "Stop after N evaluations without improvement; 0: never (default: ${DEFAULT-VALUE}).")
  private int earlyStopping;

  /**
   * Refuses options that exclude each other.
   *
   * @param evaluates whether there is data to evaluate on
   */
  public final void check(BaseCommand command, StepOptions steps, boolean evaluates) {
    steps.check(command);
    if (steps.maxSteps() != null && command.given("--epochs")) {
      throw command.usage("--epochs and --max-steps are mutually exclusive");
    }
    if (steps.maxSteps() != null) {
      command.requireAtLeast(1, "--max-steps", steps.maxSteps());
    }
    if (momentum != 0 && !optimizer.equals("sgd")) {
      throw command.usage("--momentum needs --optimizer sgd");
    }
    if (!evaluates && (command.given("--eval-every") || earlyStopping > 0)) {
      throw command.usage("--eval-every and --early-stopping-patience need --eval-data");
    }
  }

  /** Returns the options of a run, before the command's own. */
  public final TrainingOptions.Builder options(BaseCommand command, StepOptions steps, float rate) {
    return options(command, steps, rate, weightDecay);
  }

  /**
   * Returns the options of a run, before the command's own.
   *
   * @param rate the learning rate where none is given
   * @param decay the weight decay where none is given
   */
  public final TrainingOptions.Builder options(
      BaseCommand command, StepOptions steps, float rate, float decay) {
    float given = command.given("--weight-decay") ? weightDecay : decay;
    Optimizer.Kind kind =
        command.choice(
            Optimizer.Kind.class, "--optimizer", optimizer, "adamw, adam, sgd or adafactor");
    Schedule.Shape shape =
        command.choice(Schedule.Shape.class, "--schedule", schedule, "linear, cosine or constant");
    return TrainingOptions.builder()
        .optimizer(new Optimizer.Settings(kind, given, 0.9f, 0.999f, 1e-8f, momentum, false))
        .learningRate(steps.learningRate(rate))
        .schedule(shape)
        .warmupSteps(warmupSteps)
        .maxGradNorm(steps.maxGradNorm())
        .batchSize(steps.batchSize())
        .gradientAccumulation(steps.gradientAccumulation())
        .epochs(epochs)
        .maxSteps(steps.maxSteps() == null ? 0 : steps.maxSteps())
        .shuffle(!noShuffle)
        .recompute(recompute())
        .seed(command.common().seed())
        .evaluateEvery(evalEvery)
        .earlyStopping(earlyStopping)
        .checkpointEvery(steps.checkpointEvery())
        .keepCheckpoints(steps.keepCheckpoints());
  }

  /** Builds the options; what they refuse is wrong usage of the option of that name. */
  public static TrainingOptions build(BaseCommand command, TrainingOptions.Builder builder) {
    try {
      return builder.build();
    } catch (InvalidInputException e) {
      throw command.usage("--" + e.getMessage());
    }
  }
}
