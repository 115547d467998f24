package dev.precis.cli.options;

import picocli.CommandLine.Option;

/** {@code --truncate}: what happens to texts that are too long. */
public class TruncateOption {
  @Option(names = "--truncate", description = "Truncate what is too long instead, at its end.")
  private boolean truncate;

  /** Whether texts that are too long are truncated. */
  public final boolean truncate() {
    return truncate;
  }
}
