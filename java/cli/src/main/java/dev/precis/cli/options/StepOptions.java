package dev.precis.cli.options;

import dev.precis.cli.common.BaseCommand;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** The steps of a run: how many there are, of what size, and how often they are kept. */
public final class StepOptions extends BatchSizeOption {
  @Option(
      names = "--max-steps",
      paramLabel = "N",
      description = "Number of steps, instead of --epochs (ppo, grpo, rloo: default 100).")
  private Long maxSteps;

  @Option(
      names = "--gradient-accumulation",
      paramLabel = "N",
      defaultValue = "1",
      description =
          "Batches per step; the gradient is that of one large batch (default:"
              + " ${DEFAULT-VALUE}).")
  private int gradientAccumulation;

  @Option(
      names = "--learning-rate",
      paramLabel = "X",
      description =
          "Peak learning rate. Default: train 1e-3 for lora, 1e-4 for full; reward 1e-5, with"
              + " --init 1e-3; ppo 1.41e-5, grpo and rloo 1e-6 (constant); dpo and its family 1e-4"
              + " for lora, 5e-6 for full.")
  private Float learningRate;

  @Option(
      names = "--max-grad-norm",
      paramLabel = "X",
      defaultValue = "1",
      description = "Clip the gradient norm to X; 0: off (default: ${DEFAULT-VALUE}).")
  private float maxGradNorm;

  @Option(
      names = "--checkpoint-every",
      paramLabel = "N",
      defaultValue = "0",
      description =
          "Steps between checkpoints; 0: one at the end of each epoch (default: ${DEFAULT-VALUE}).")
  private long checkpointEvery;

  @Option(
      names = "--keep-checkpoints",
      paramLabel = "N",
      defaultValue = "2",
      description = "Newest checkpoints kept, besides the best one (default: ${DEFAULT-VALUE}).")
  private int keepCheckpoints;

  @Option(
      names = "--dropout",
      paramLabel = "P",
      description =
          "Dropout of the model. Default: as in its config.json; align: 0, where the value also"
              + " holds for adapters without --lora-dropout, and non-zero values add noise to"
              + " log-probabilities.")
  private Float dropout;

  @Mixin private FileOptions.EvalData evalData = new FileOptions.EvalData();

  /** Null where none was given. */
  public Long maxSteps() {
    return maxSteps;
  }

  public int gradientAccumulation() {
    return gradientAccumulation;
  }

  public float learningRate(float otherwise) {
    return learningRate == null ? otherwise : learningRate;
  }

  public float maxGradNorm() {
    return maxGradNorm;
  }

  public long checkpointEvery() {
    return checkpointEvery;
  }

  public int keepCheckpoints() {
    return keepCheckpoints;
  }

  /** The model's dropout; null where the model's own is kept. */
  public Float dropout() {
    return dropout;
  }

  /** The data to evaluate on. */
  public FileOptions.EvalData evaluation() {
    return evalData;
  }

  /** Refuses a dropout that is no probability below 1. */
  public void check(BaseCommand command) {
    if (dropout != null && !(dropout >= 0 && dropout < 1)) {
      throw command.usage("--dropout must be at least 0 and below 1, not " + dropout);
    }
  }
}
