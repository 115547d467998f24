package dev.precis.cli.options;

import dev.precis.cli.common.BaseCommand;
import java.nio.file.Path;
import java.util.List;
import picocli.CommandLine.Option;

/** {@code --adapter}: PEFT adapters on a model. */
public final class AdapterOption {
  @Option(
      names = "--adapter",
      required = true,
      paramLabel = "ADAPTER",
      description =
          "A PEFT adapter: a folder, or a hub ID that was downloaded. Repeat the option to add up"
              + " several.")
  private List<String> adapters = List.of();

  /** The adapters' folders, in the order given. */
  public List<Path> folders(BaseCommand command) {
    return adapters.stream().map(command::resolve).toList();
  }
}
