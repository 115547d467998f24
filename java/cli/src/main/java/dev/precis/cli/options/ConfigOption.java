package dev.precis.cli.options;

import java.nio.file.Path;
import picocli.CommandLine.Option;

/** {@code --config}: a file with options. They are read before the command line is parsed. */
public final class ConfigOption {
  @Option(
      names = "--config",
      paramLabel = "FILE",
      description =
          "Read options from a YAML or JSON file, whose keys are their names without the dashes."
              + " train, align and reward also read the config.json of a run. The command line"
              + " wins.")
  private Path config;
}
