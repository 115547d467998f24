package dev.precis.cli.options;

import dev.precis.cli.common.BaseCommand;
import picocli.CommandLine.Option;

/** {@code --batch-size}. */
public class BatchSizeOption {
  @Option(
      names = "--batch-size",
      paramLabel = "N",
      defaultValue = "8",
      description =
          "Sequences in one batch; for ppo, grpo and rloo the responses of a step (default:"
              + " ${DEFAULT-VALUE}). Generation gives the same results with any batch size.")
  private int batchSize;

  /** The size given, or the command's default. */
  public final int batchSize() {
    return batchSize;
  }

  /** Refuses an empty batch. */
  public final void checkBatchSize(BaseCommand command) {
    command.requireAtLeast(1, "--batch-size", batchSize);
  }
}
