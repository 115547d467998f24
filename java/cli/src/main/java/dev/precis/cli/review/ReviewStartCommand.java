package dev.precis.cli.review;

import dev.precis.cli.common.BaseCommand;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

@Command(
    name = "start",
    header = "Serves a page where people compare summaries, blind.",
    description = {
      "People see a dialogue and two summaries of it, and not who wrote them. Which one stands"
          + " first is drawn for each annotator and pair, so that every candidate is first as often"
          + " as second. The page works with keys alone: f and j choose, t is a tie, b both bad, s"
          + " skips, e edits the winner, u takes back, 1 to 9 is the confidence.",
      "Every answer is on the disk before the page goes on. The command can be ended and started"
          + " again at any time; it serves this machine alone unless --host says otherwise.",
      "With --queue, the page also shows the texts that precis generate --hold put into a queue, to"
          + " approve, edit or reject them."
    },
    footer = {
      "",
      "Examples:",
      "  precis generate --model M --input dialogues.jsonl --output base.jsonl",
      "  precis generate --model M --adapter run/adapter --input dialogues.jsonl \\",
      "      --output tuned.jsonl",
      "  precis review start --data dialogues.jsonl --candidate base=base.jsonl \\",
      "      --candidate tuned=tuned.jsonl --output votes --annotator Ann",
      "  precis review start --output votes",
      "  precis review start --queue queue.jsonl --annotator Ann --annotator Bob"
    })
final class ReviewStartCommand extends BaseCommand {
  @Mixin private StartOptions options = new StartOptions();

  @Override
  public Integer call() {
    return new ReviewStart(this, options).run();
  }
}
