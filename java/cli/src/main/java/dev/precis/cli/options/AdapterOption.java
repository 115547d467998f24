package dev.precis.cli.options;

import dev.precis.cli.common.BaseCommand;
import java.nio.file.Path;
import java.util.List;
import picocli.CommandLine.Option;

/** {@code --model} and {@code --adapter}: a model with PEFT adapters. */
public final class AdapterOption extends ModelOption {
  @Option(
      names = "--adapter",
      paramLabel = "ADAPTER",
      description =
          "A PEFT adapter: a folder, or a hub ID that was downloaded. Repeat the option to add up"
              + " several.")
  private List<String> adapters = List.of();

  /** The adapters' folders, in the order given. */
  public List<Path> adapters(BaseCommand command) {
    return adapters.stream().map(command::resolve).toList();
  }
}
