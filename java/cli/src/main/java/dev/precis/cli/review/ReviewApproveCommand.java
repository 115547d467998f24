package dev.precis.cli.review;

import dev.precis.cli.common.BaseCommand;
import dev.precis.review.Gate;
import java.util.List;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

@Command(
    name = "approve",
    header = "Approves texts of a queue as they are.",
    description = "Records that somebody has read the texts and found them right.",
    footer = {"", "Example:", "  precis review approve --queue queue.jsonl --by Ann d1 d2"})
final class ReviewApproveCommand extends BaseCommand {
  @Mixin private QueueOption queue = new QueueOption();
  @Mixin private ReviewerOption reviewer = new ReviewerOption();

  @Parameters(paramLabel = "ID", arity = "1..*", description = "The ids of the texts.")
  private List<String> ids;

  @Override
  public Integer call() {
    try (Gate gate = queue.open()) {
      for (String id : ids) {
        gate.approve(id, reviewer.by());
      }
    }
    note("%d approved by %s".formatted(ids.size(), reviewer.by()));
    return DONE;
  }
}
