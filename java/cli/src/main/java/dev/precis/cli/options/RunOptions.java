package dev.precis.cli.options;

import java.nio.file.Path;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** The folder of a run, and whether the run is a new one. */
public final class RunOptions extends ResumeOption {
  @Option(
      names = "--output",
      required = true,
      paramLabel = "RUN",
      description = "The run folder: configuration, metrics, checkpoints, report and result.")
  private Path output;

  @Mixin private ConfigOption config = new ConfigOption();

  @Option(
      names = "--no-memory-check",
      description = "Start even where the plan of the run needs more memory than is available.")
  private boolean noMemoryCheck;

  /** Returns whether the plan of the run is compared with the memory that is available. */
  public boolean checksMemory() {
    return !noMemoryCheck;
  }

  /** Returns the run that is begun or resumed. */
  public RunTarget target() {
    return new RunTarget(output, resume(), checksMemory());
  }

  /** The run's folder. */
  public Path output() {
    return output;
  }
}
