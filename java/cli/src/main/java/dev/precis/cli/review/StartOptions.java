package dev.precis.cli.review;

import dev.precis.cli.options.BatchSizeOption;
import dev.precis.cli.options.ColumnOptions;
import dev.precis.cli.options.DecodingOptions;
import dev.precis.cli.options.GenerationConfigOption;
import dev.precis.cli.options.ListenOptions;
import dev.precis.cli.options.PromptOptions;
import dev.precis.cli.options.RewardModelOption;
import java.nio.file.Path;
import java.util.List;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Declares the options of a review page: what people see, who they are, and where they find it. */
final class StartOptions {
  @Option(
      names = "--data",
      paramLabel = "FILE",
      description = "The dialogues; they need no summaries.")
  Path data;

  @Option(
      names = "--candidate",
      paramLabel = "NAME=FILE|MODEL[+ADAPTER]...",
      description = {
        "A file with summaries, as precis generate writes them, or a model (a folder or a hub ID)"
            + " that makes them now, optionally with PEFT adapters. Give two or more; the same name"
            + " again is another sample of the same candidate.",
        "The names are in the project and in exports, and nowhere on the page."
      })
  List<String> candidates = List.of();

  @Option(
      names = "--output",
      paramLabel = "FOLDER",
      description =
          "The project: a new or empty folder. For one that exists, leave --data and --candidate"
              + " out: the work goes on where it was.")
  Path output;

  @ArgGroup(validate = false)
  QueueOption queue = new QueueOption();

  @Option(
      names = "--annotator",
      paramLabel = "NAME",
      description =
          "Who works on it; repeat it for several. Everybody gets an address of their own (default:"
              + " one who is called reviewer).")
  List<String> annotators = List.of();

  @Option(
      names = "--manager",
      paramLabel = "NAME",
      description =
          "Who sees the agreement and the ranking of the candidates while people work, at an"
              + " address of their own; nobody who answers, because the ranking has the candidates'"
              + " names.")
  List<String> managers = List.of();

  @Option(
      names = "--overlap",
      paramLabel = "K",
      defaultValue = "1",
      description = "How many annotators answer each pair (default: ${DEFAULT-VALUE}).")
  int overlap;

  @Option(
      names = "--repeats",
      paramLabel = "S",
      defaultValue = "0.05",
      description =
          "The share of pairs that an annotator gets a second time, unmarked, with places changed"
              + " (default: ${DEFAULT-VALUE}).")
  double repeats;

  @Option(
      names = "--gold",
      paramLabel = "FILE",
      description =
          "Pairs whose answer is known, mixed in unmarked: objects with 'chosen', 'rejected' and"
              + " 'dialogue' (or 'prompt'). They are left out of exports.")
  Path gold;

  @Option(
      names = "--guidelines",
      paramLabel = "FILE",
      description = "A text that annotators find beside the pairs.")
  Path guidelines;

  @ArgGroup(validate = false)
  RewardModelOption rewardModel = new RewardModelOption();

  @Option(
      names = "--reward-label",
      paramLabel = "NAME",
      description =
          "The label whose logit is the score, if the reward model has several. With a reward model"
              + " the pair comes first of which it is least sure; without, pairs come in an order"
              + " drawn by --seed. For a project that exists, the scores and the order are replaced"
              + " by those of this model.")
  String rewardLabel;

  @Mixin ListenOptions listen = new ListenOptions();
  @Mixin ColumnOptions reading = new ColumnOptions();
  @Mixin PromptOptions prompts = new PromptOptions();
  @Mixin DecodingOptions.MaxNewTokens length = new DecodingOptions.MaxNewTokens();
  @Mixin DecodingOptions.NumBeams beams = new DecodingOptions.NumBeams();
  @Mixin GenerationConfigOption folderSettings = new GenerationConfigOption();
  @Mixin BatchSizeOption batch = new BatchSizeOption();
}
