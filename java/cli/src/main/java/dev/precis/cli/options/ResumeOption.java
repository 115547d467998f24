package dev.precis.cli.options;

import picocli.CommandLine.Option;

/** {@code --resume}. */
public class ResumeOption {
  @Option(
      names = "--resume",
      description =
          "Resume what the same command left when it was interrupted: a run from its newest"
              + " checkpoint, results from FILE.partial.")
  private boolean resume;

  /** Returns whether an interrupted command is resumed. */
  public final boolean resume() {
    return resume;
  }
}
