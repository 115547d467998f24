package dev.precis.cli.review;

import dev.precis.cli.common.BaseCommand;
import dev.precis.review.Gate;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
    name = "edit",
    header = "Replaces a text of a queue by a better one.",
    description =
        "The new text is approved by who wrote it; what others approved before does not count for"
            + " it. The generated text is kept beside it.",
    footer = {"", "Example:", "  precis review edit --queue queue.jsonl --by Ann --text T d1"})
final class ReviewEditCommand extends BaseCommand {
  @Mixin private QueueOption queue = new QueueOption();
  @Mixin private ReviewerOption reviewer = new ReviewerOption();

  @Option(names = "--text", required = true, paramLabel = "TEXT", description = "The new text.")
  private String text;

  @Parameters(paramLabel = "ID", description = "The id of the text.")
  private String id;

  @Override
  public Integer call() {
    try (Gate gate = queue.open()) {
      gate.edit(id, reviewer.by(), text);
    }
    note("%s edited by %s".formatted(id, reviewer.by()));
    return DONE;
  }
}
