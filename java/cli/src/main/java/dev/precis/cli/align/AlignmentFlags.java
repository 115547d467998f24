package dev.precis.cli.align;

import java.nio.file.Path;
import picocli.CommandLine.Option;

/** The steps of an alignment: what every algorithm has options for, with defaults of its own. */
public final class AlignmentFlags {
  @Option(
      names = "--eval-data",
      paramLabel = "FILE",
      description = {
        "ppo: dialogues that responses before and after are compared on (default: the last tenth"
            + " of --data, at most 256, which are then not trained on).",
        "dpo: pairs, or for kto judged answers, to evaluate on; the best weights are the result."
      })
  private Path evalData;

  @Option(
      names = "--max-steps",
      paramLabel = "N",
      description = "Steps (default: ppo 100; dpo as many as --epochs have).")
  private Long maxSteps;

  @Option(
      names = "--batch-size",
      paramLabel = "N",
      description = "Responses of a step (ppo, default: 16) or pairs computed at once (dpo: 8).")
  private Integer batchSize;

  @Option(
      names = "--gradient-accumulation",
      paramLabel = "N",
      defaultValue = "1",
      description = "(Mini-)batches of one optimizer step (default: ${DEFAULT-VALUE}).")
  private int gradientAccumulation;

  @Option(
      names = "--learning-rate",
      paramLabel = "X",
      description =
          "Default: ppo 1.41e-5, constant; dpo 1e-4 for lora and 5e-6 for full, after the"
              + " warm-up.")
  private Float learningRate;

  @Option(
      names = "--max-grad-norm",
      paramLabel = "X",
      description = "The gradients' norm is cut to it; 0: not (default: ppo 0, dpo 1).")
  private Float maxGradNorm;

  @Option(
      names = "--checkpoint-every",
      paramLabel = "N",
      description = "Steps between checkpoints (default: ppo 10; dpo 0, each epoch).")
  private Long checkpointEvery;

  @Option(
      names = "--keep-checkpoints",
      paramLabel = "N",
      defaultValue = "2",
      description = "Of the newest (default: ${DEFAULT-VALUE}).")
  private int keepCheckpoints;

  /** Null where none was given. */
  public Path evalData() {
    return evalData;
  }

  /** Null where none was given. */
  public Long maxSteps() {
    return maxSteps;
  }

  public int batchSize(int otherwise) {
    return batchSize == null ? otherwise : batchSize;
  }

  public int gradientAccumulation() {
    return gradientAccumulation;
  }

  public float learningRate(float otherwise) {
    return learningRate == null ? otherwise : learningRate;
  }

  public float maxGradNorm(float otherwise) {
    return maxGradNorm == null ? otherwise : maxGradNorm;
  }

  public long checkpointEvery(long otherwise) {
    return checkpointEvery == null ? otherwise : checkpointEvery;
  }

  public int keepCheckpoints() {
    return keepCheckpoints;
  }
}
