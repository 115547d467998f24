package dev.precis.cli.review;

import dev.precis.cli.common.BaseCommand;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

@Command(
    name = "review",
    header = "Lets people compare summaries, and approve texts before they leave.",
    description = {
      "precis review start serves a page where people compare summaries, blind; agreement says how"
          + " far they agree and which candidate they prefer, and export writes pairs that precis"
          + " reward and precis align learn from. Without a word, precis review is precis review"
          + " start and takes its options.",
      "precis generate --hold QUEUE puts texts into a queue. What somebody approves, edits or"
          + " rejects there is recorded with the name and the time, in a file in which every later"
          + " change shows. Only approved texts leave it. The page shows a queue too."
    },
    synopsisSubcommandLabel = "WHAT",
    commandListHeading = "%nWhat:%n",
    footer = {
      "",
      "Examples:",
      "  precis review --data dialogues.jsonl --candidate base=base.jsonl \\",
      "      --candidate tuned=tuned.jsonl --output votes",
      "  precis review agreement votes",
      "  precis review export votes --format dpo --output pairs.jsonl",
      "  precis reward --model R --pairs pairs.jsonl --output judge",
      "",
      "  precis generate --model M --input dialogues.jsonl --hold queue.jsonl",
      "  precis review list --queue queue.jsonl",
      "  precis review approve --queue queue.jsonl --by Ann d1 d2",
      "  precis review release --queue queue.jsonl --output summaries.jsonl"
    },
    subcommands = {
      ReviewStartCommand.class,
      ReviewAgreementCommand.class,
      ReviewExportCommand.class,
      ReviewImportCommand.class,
      ReviewListCommand.class,
      ReviewShowCommand.class,
      ReviewApproveCommand.class,
      ReviewRejectCommand.class,
      ReviewEditCommand.class,
      ReviewReleaseCommand.class,
      ReviewEraseCommand.class
    })
public final class ReviewCommand extends BaseCommand {
  @Mixin private StartOptions options = new StartOptions();

  @Override
  public Integer call() {
    if (options.output == null && !given("--queue")) {
      throw usage(
          "What to do is missing: start, agreement, export, import, list, show, approve, reject,"
              + " edit, release or erase");
    }
    return new ReviewStart(this, options).run();
  }
}
