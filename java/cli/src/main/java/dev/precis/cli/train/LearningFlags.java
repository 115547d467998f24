package dev.precis.cli.train;

import dev.precis.cli.common.BaseCommand;
import dev.precis.io.InvalidInputException;
import dev.precis.training.Optimizer;
import dev.precis.training.Schedule;
import dev.precis.training.TrainingOptions;
import java.util.Locale;
import picocli.CommandLine.Option;

/** What every training on examples has options for, beside the number and size of its steps. */
public class LearningFlags {
  /**
   * How many steps there are, and of what size.
   *
   * @param maxSteps null: as many as the epochs have
   */
  public record Steps(
      Long maxSteps,
      int batchSize,
      int gradientAccumulation,
      float learningRate,
      float maxGradNorm,
      long checkpointEvery,
      int keepCheckpoints) {}

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
      description = "Of sgd (default: ${DEFAULT-VALUE}).")
  private float momentum;

  @Option(
      names = "--schedule",
      paramLabel = "NAME",
      defaultValue = "linear",
      description =
          "After the warm-up: linear or cosine down to 0, or constant (default: ${DEFAULT-VALUE}).")
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
      description = "Take the data in its order, instead of shuffled and batched by length.")
  private boolean noShuffle;

  @Option(
      names = "--recompute",
      description = "Compute activations again for the backward: less memory, a third more time.")
  private boolean recompute;

  @Option(
      names = "--eval-every",
      paramLabel = "N",
      defaultValue = "0",
      description = "Steps between evaluations; 0: each epoch (default: ${DEFAULT-VALUE}).")
  private long evalEvery;

  @Option(
      names = "--early-stopping",
      paramLabel = "N",
      defaultValue = "0",
      description = "Stop after N evaluations without improvement; 0: never (default: 0).")
  private int earlyStopping;

  /**
   * Refuses options that do not go together.
   *
   * @param evaluates whether there is data to evaluate on
   */
  public final void check(BaseCommand command, Long maxSteps, boolean evaluates) {
    if (maxSteps != null && command.given("--epochs")) {
      throw command.usage("Only one of --epochs and --max-steps goes");
    }
    if (maxSteps != null && maxSteps < 1) {
      throw command.usage("--max-steps must be 1 or more, not " + maxSteps);
    }
    if (momentum != 0 && !optimizer.equals("sgd")) {
      throw command.usage("--momentum needs --optimizer sgd");
    }
    if (!evaluates && (command.given("--eval-every") || earlyStopping > 0)) {
      throw command.usage("--eval-every and --early-stopping need --eval-data");
    }
  }

  /** What the options ask for; the rest is the command's. */
  public final TrainingOptions options(BaseCommand command, Steps steps, float labelSmoothing) {
    Optimizer.Kind kind =
        choice(
            command,
            Optimizer.Kind.class,
            "--optimizer",
            optimizer,
            "adamw, adam, sgd or adafactor");
    Schedule.Shape shape =
        choice(command, Schedule.Shape.class, "--schedule", schedule, "linear, cosine or constant");
    try {
      return TrainingOptions.builder()
          .optimizer(
              new Optimizer.Settings(kind, weightDecay, 0.9f, 0.999f, 1e-8f, momentum, false))
          .learningRate(steps.learningRate)
          .schedule(shape)
          .warmupSteps(warmupSteps)
          .maxGradNorm(steps.maxGradNorm)
          .batchSize(steps.batchSize)
          .gradientAccumulation(steps.gradientAccumulation)
          .epochs(epochs)
          .maxSteps(steps.maxSteps == null ? 0 : steps.maxSteps)
          .labelSmoothing(labelSmoothing)
          .shuffle(!noShuffle)
          .recompute(recompute)
          .seed(command.common().seed())
          .evaluateEvery(evalEvery)
          .earlyStopping(earlyStopping)
          .checkpointEvery(steps.checkpointEvery)
          .keepCheckpoints(steps.keepCheckpoints)
          .build();
    } catch (InvalidInputException e) {
      throw command.usage("--" + e.getMessage());
    }
  }

  private static <E extends Enum<E>> E choice(
      BaseCommand command, Class<E> kind, String option, String value, String names) {
    try {
      return Enum.valueOf(kind, value.toUpperCase(Locale.ROOT));
    } catch (IllegalArgumentException e) {
      throw command.usage(option + " must be " + names + ", not '" + value + "'");
    }
  }
}
