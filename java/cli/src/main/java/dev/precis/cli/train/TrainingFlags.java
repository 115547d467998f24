package dev.precis.cli.train;

import dev.precis.cli.common.BaseCommand;
import dev.precis.training.TrainingOptions;
import picocli.CommandLine.Option;

/** The options of every command that trains step by step. */
public final class TrainingFlags extends LearningFlags {
  @Option(
      names = "--max-grad-norm",
      paramLabel = "X",
      defaultValue = "1",
      description = "The gradients' norm is cut to it; 0: not (default: ${DEFAULT-VALUE}).")
  private float maxGradNorm;

  @Option(
      names = "--gradient-accumulation",
      paramLabel = "N",
      defaultValue = "1",
      description =
          "Batches of one step; the gradient is that of one large batch (default:"
              + " ${DEFAULT-VALUE}).")
  private int gradientAccumulation;

  @Option(names = "--max-steps", paramLabel = "N", description = "Steps, instead of --epochs.")
  private Long maxSteps;

  @Option(
      names = "--checkpoint-every",
      paramLabel = "N",
      defaultValue = "0",
      description = "Steps between checkpoints; 0: each epoch (default: ${DEFAULT-VALUE}).")
  private long checkpointEvery;

  @Option(
      names = "--keep-checkpoints",
      paramLabel = "N",
      defaultValue = "2",
      description = "Of the newest, beside the best (default: ${DEFAULT-VALUE}).")
  private int keepCheckpoints;

  /**
   * Refuses options that do not go together.
   *
   * @param evaluates whether there is data to evaluate on
   */
  public void check(BaseCommand command, boolean evaluates) {
    check(command, maxSteps, evaluates);
  }

  /** What the options ask for; the rest is the command's. */
  public TrainingOptions options(
      BaseCommand command, float learningRate, int batchSize, float labelSmoothing) {
    Steps steps =
        new Steps(
            maxSteps,
            batchSize,
            gradientAccumulation,
            learningRate,
            maxGradNorm,
            checkpointEvery,
            keepCheckpoints);
    return options(command, steps, labelSmoothing);
  }
}
