package dev.precis.cli.review;

import dev.precis.cli.common.BaseCommand;
import picocli.CommandLine.Command;

@Command(
    name = "review",
    header = "Lets people approve generated texts before they leave.",
    description =
        "precis generate --hold QUEUE puts texts into a queue. What somebody approves, edits or"
            + " rejects there is recorded with the name and the time, in a file in which every"
            + " later change shows. Only approved texts leave it.",
    synopsisSubcommandLabel = "WHAT",
    commandListHeading = "%nWhat:%n",
    footer = {
      "",
      "Example:",
      "  precis generate --model M --input dialogues.jsonl --hold queue.jsonl",
      "  precis review list --queue queue.jsonl",
      "  precis review approve --queue queue.jsonl --by Ann d1 d2",
      "  precis review release --queue queue.jsonl --output summaries.jsonl"
    },
    subcommands = {
      ReviewListCommand.class,
      ReviewShowCommand.class,
      ReviewApproveCommand.class,
      ReviewRejectCommand.class,
      ReviewEditCommand.class,
      ReviewReleaseCommand.class,
      ReviewEraseCommand.class
    })
public final class ReviewCommand extends BaseCommand {
  @Override
  public Integer call() {
    throw usage("What to do is missing: list, show, approve, reject, edit, release or erase");
  }
}
