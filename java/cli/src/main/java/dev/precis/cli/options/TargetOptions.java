package dev.precis.cli.options;

import dev.precis.cli.common.BaseCommand;
import java.nio.file.Path;
import picocli.CommandLine.Option;

/** The length of the texts that a model learns to write. */
public final class TargetOptions {
  @Option(
      names = "--max-target-length",
      paramLabel = "N",
      defaultValue = "256",
      description =
          "The longest summary or answer to learn from, in tokens; longer ones are left out"
              + " (default: ${DEFAULT-VALUE}).")
  private int maxTargetLength;

  /** The longest target, in tokens. */
  public int maxTargetLength() {
    return maxTargetLength;
  }

  /** Refuses a length that no target fits into. */
  public void check(BaseCommand command) {
    command.requireAtLeast(2, "--max-target-length", maxTargetLength);
  }

  /** Notes how many examples of a file were too long. */
  public void noteLeftOut(
      BaseCommand command, Path file, int leftOut, int kept, int maxSourceLength) {
    if (leftOut > 0) {
      command.note(
          "%s: %,d of %,d examples are left out: longer than %d source or %d target tokens."
              .formatted(file, leftOut, leftOut + kept, maxSourceLength, maxTargetLength));
    }
  }
}
