package dev.precis.cli.options;

import dev.precis.cli.common.BaseCommand;
import picocli.CommandLine.Option;

/** {@code --samples}. */
public class SamplesOption {
  /** The most results of one prompt that generation returns. */
  private static final int MOST = 1024;

  @Option(
      names = "--samples",
      paramLabel = "N",
      defaultValue = "8",
      description = "Results sampled for each dialogue (default: ${DEFAULT-VALUE}).")
  private int samples;

  /** The number of results of each dialogue. */
  public final int samples() {
    return samples;
  }

  /** Refuses a number among which there is nothing to choose, and one that is too large. */
  public final void checkSamples(BaseCommand command) {
    command.requireAtLeast(2, "--samples", samples);
    if (samples > MOST) {
      throw command.usage("--samples must be at most %d, not %d".formatted(MOST, samples));
    }
  }
}
