package dev.precis.cli.review;

import dev.precis.cli.common.BaseCommand;
import dev.precis.io.InvalidInputException;
import dev.precis.review.Gate;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

@Command(
    name = "erase",
    header = "Erases a text from a queue for good.",
    description =
        "Takes the source, the text and all decisions on it out of the file, as people may demand."
            + " That something was there stays on record.",
    footer = {"", "Example:", "  precis review erase --queue queue.jsonl d1"})
final class ReviewEraseCommand extends BaseCommand {
  @Mixin private QueueOption queue = new QueueOption();

  @Parameters(paramLabel = "ID", description = "The id of the text.")
  private String id;

  @Override
  public Integer call() {
    try (Gate gate = queue.open()) {
      if (!gate.erase(id)) {
        throw new InvalidInputException("The queue holds no text of the id " + id);
      }
    }
    note(id + " is erased");
    return DONE;
  }
}
