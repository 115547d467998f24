package dev.precis.cli.review;

import dev.precis.cli.common.BaseCommand;
import dev.precis.review.Gate;
import java.util.List;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

@Command(
    name = "reject",
    header = "Rejects texts of a queue.",
    description = "Records that somebody has read the texts, and why they must not leave.",
    footer = {"", "Example:", "  precis review reject --queue queue.jsonl --by Ann --reason R d1"})
final class ReviewRejectCommand extends BaseCommand {
  @Mixin private QueueOption queue = new QueueOption();
  @Mixin private ReviewerOption reviewer = new ReviewerOption();

  @Option(
      names = "--reason",
      required = true,
      paramLabel = "TEXT",
      description = "What is wrong, which is recorded.")
  private String reason;

  @Parameters(paramLabel = "ID", arity = "1..*", description = "The ids of the texts.")
  private List<String> ids;

  @Override
  public Integer call() {
    try (Gate gate = queue.open()) {
      for (String id : ids) {
        gate.reject(id, reviewer.by(), reason);
      }
    }
    note("%d rejected by %s".formatted(ids.size(), reviewer.by()));
    return DONE;
  }
}
