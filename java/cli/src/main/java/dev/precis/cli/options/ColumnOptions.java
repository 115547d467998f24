package dev.precis.cli.options;

import dev.precis.cli.common.BaseCommand;
import dev.precis.data.Columns;
import picocli.CommandLine.Option;

/** Declares how dialogues are read: the policy for bad rows, and the names of columns. */
public class ColumnOptions extends ReadOptions {
  @Option(
      names = "--dialogue-column",
      paramLabel = "NAME",
      description =
          "The column with the dialogue. Default: dialogue, or a well-known one, which is named:"
              + " article (with highlights), document, conversation, ...")
  private String dialogue;

  @Option(
      names = "--prompt-column",
      paramLabel = "NAME",
      description =
          "The column with a whole prompt, which no template is applied to. Default: text, prompt,"
              + " instruction (with input), source, messages, ...")
  private String prompt;

  @Option(
      names = "--summary-column",
      paramLabel = "NAME",
      description =
          "The column with the summary or the answer. Default: summary, summary1 to summary3, or"
              + " the well-known one that goes with the text.")
  private String summary;

  @Override
  protected Columns columns(BaseCommand command) {
    return columns(command, null, null);
  }

  final Columns columns(BaseCommand command, String chosen, String rejected) {
    if (dialogue != null && prompt != null) {
      throw command.exclusive("--dialogue-column", "--prompt-column");
    }
    return new Columns(dialogue, prompt, summary, chosen, rejected);
  }
}
