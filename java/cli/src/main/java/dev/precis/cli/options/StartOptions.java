package dev.precis.cli.options;

import dev.precis.cli.common.BaseCommand;
import dev.precis.io.InvalidInputException;
import java.nio.file.Files;
import java.nio.file.Path;
import picocli.CommandLine.Option;

/** Selects the initial weights of training: a model's, or random ones. */
public final class StartOptions extends ModelOption {
  @Option(
      names = "--init",
      paramLabel = "FOLDER",
      description =
          "Instead of --model: start from random weights of the shape in config.json. Names the"
              + " folder with config.json and a tokenizer.")
  private Path init;

  /** Returns whether training starts from random weights. */
  public boolean random() {
    return init != null;
  }

  /** The folder or file given with {@code --init}. */
  public Path init() {
    return init;
  }

  /** Refuses both and neither of the two options. */
  public void check(BaseCommand command) {
    command.requireOneOf("--model", name(), "--init", init);
  }

  /** The folder with the configuration, the tokenizer and perhaps the weights. */
  @Override
  public Path folder(BaseCommand command) {
    if (init == null) {
      return super.folder(command);
    }
    if (Files.isDirectory(init)) {
      return init;
    }
    if (!init.endsWith("config.json")) {
      throw new InvalidInputException(
          init + " is neither a folder with config.json and a tokenizer nor such a config.json");
    }
    return init.toAbsolutePath().getParent();
  }
}
