package dev.precis.cli.review;

import dev.precis.cli.common.BaseCommand;
import dev.precis.review.Gate;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

@Command(
    name = "show",
    header = "Shows a text of a queue and what it was made from.",
    description = "Prints the source, the text, and what the fact checker found.",
    footer = {"", "Example:", "  precis review show --queue queue.jsonl d1"})
final class ReviewShowCommand extends BaseCommand {
  @Mixin private QueueOption queue = new QueueOption();

  @Parameters(paramLabel = "ID", description = "The id of the text.")
  private String id;

  @Override
  public Integer call() {
    Gate.Item item = queue.find(id);
    terminal().println(item.candidate().source());
    terminal().println("");
    terminal().println(item.text());
    if (!item.text().equals(item.candidate().text())) {
      terminal().println("");
      terminal().println("Generated: " + item.candidate().text());
    }
    for (String reason : item.candidate().reasons()) {
      terminal().println("! " + reason);
    }
    return DONE;
  }
}
