package dev.precis.cli.options;

import dev.precis.cli.common.BaseCommand;
import dev.precis.data.Columns;
import picocli.CommandLine.Option;

/** Declares how dialogues and preferences are read. */
public final class PairColumnOptions extends ColumnOptions {
  @Option(
      names = "--chosen-column",
      paramLabel = "NAME",
      description = "The column with the preferred answer (default: chosen).")
  private String chosen;

  @Option(
      names = "--rejected-column",
      paramLabel = "NAME",
      description = "The column with the other answer (default: rejected).")
  private String rejected;

  @Override
  protected Columns columns(BaseCommand command) {
    return columns(command, chosen, rejected);
  }
}
