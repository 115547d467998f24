package dev.precis.cli.options;

import java.nio.file.Path;
import picocli.CommandLine.Option;

/** The folder of a run, and whether the run is a new one. */
public final class RunOptions extends ResumeOption {
  @Option(
      names = "--output",
      required = true,
      paramLabel = "RUN",
      description = "The run folder: configuration, metrics, checkpoints, report and result.")
  private Path output;

  @Option(
      names = "--config",
      paramLabel = "FILE",
      description =
          "Read options from a YAML or JSON file, whose keys are their names without the dashes, or"
              + " from the config.json of a run. The command line wins.")
  private Path config;

  @Option(
      names = "--no-memory-check",
      description = "Start even where the plan of the run needs more memory than is available.")
  private boolean noMemoryCheck;

  /** Returns whether the plan of the run is compared with the memory that is available. */
  public boolean checksMemory() {
    return !noMemoryCheck;
  }

  /** The run's folder. */
  public Path output() {
    return output;
  }
}
