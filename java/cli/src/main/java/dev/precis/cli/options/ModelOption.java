package dev.precis.cli.options;

import dev.precis.cli.common.BaseCommand;
import java.nio.file.Path;
import picocli.CommandLine.Option;

/** {@code --model}: the model that a command works on. */
public class ModelOption {
  @Option(
      names = "--model",
      required = true,
      paramLabel = "MODEL",
      description = "The model: a folder, or a hub ID that was downloaded. It is never changed.")
  private String model;

  /** The name as given; null where {@code --init} stands instead of it. */
  public final String name() {
    return model;
  }

  /** The model's folder. */
  public Path folder(BaseCommand command) {
    return command.resolve(model);
  }
}
