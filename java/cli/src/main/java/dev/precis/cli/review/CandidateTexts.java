package dev.precis.cli.review;

import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.common.Prompts;
import dev.precis.cli.evaluate.Candidate;
import dev.precis.cli.evaluate.CandidateRunner;
import dev.precis.cli.evaluate.EvaluationResult;
import dev.precis.cli.options.GenerationConfigOption;
import dev.precis.cli.options.ReadOptions;
import dev.precis.data.DataOptions;
import dev.precis.data.Dialogue;
import dev.precis.data.DialogueReader;
import dev.precis.data.PreferencePair;
import dev.precis.data.PreferenceReader;
import dev.precis.generation.GenerationOptions;
import dev.precis.io.InvalidInputException;
import dev.precis.review.comparison.CandidateText;
import dev.precis.review.comparison.ComparisonItem;
import java.util.ArrayList;
import java.util.List;

/** Makes the items of a project: reads the dialogues, and reads or generates the summaries. */
final class CandidateTexts {
  private final BaseCommand command;
  private final StartOptions options;
  private final Prompts prompts;

  CandidateTexts(BaseCommand command, StartOptions options) {
    this.command = command;
    this.options = options;
    prompts = Prompts.of(options.prompts.template());
  }

  /** Returns the items of the data and those whose answer is known. */
  List<ComparisonItem> items() {
    List<Candidate> candidates = candidates();
    ReadOptions.Data data = options.reading.complete(command, options.data);
    List<Dialogue> dialogues = DialogueReader.read(data.path(), data.options());
    List<ComparisonItem> gold = options.gold == null ? List.of() : gold();
    List<EvaluationResult> results =
        new CandidateRunner(
                command,
                dialogues,
                dialogues,
                prompts,
                options.prompts.maxSourceLength(),
                options.prompts.truncate(),
                options.folderSettings.follows())
            .run(
                candidates,
                options.data.toString(),
                model -> GenerationConfigOption.complete(command, model.defaults(), generation()),
                DataOptions.STRICT,
                options.batch.batchSize(),
                List.of());
    List<ComparisonItem> items = new ArrayList<>();
    for (int i = 0; i < dialogues.size(); i++) {
      Dialogue dialogue = dialogues.get(i);
      List<CandidateText> texts = new ArrayList<>();
      for (EvaluationResult result : results) {
        texts.add(new CandidateText(result.name(), result.summaries().get(i), null));
      }
      items.add(
          new ComparisonItem(dialogue.id(), dialogue.dialogue(), dialogue.raw(), texts, false));
    }
    items.addAll(gold);
    return items;
  }

  private List<Candidate> candidates() {
    List<Candidate> all = new ArrayList<>();
    for (String text : options.candidates) {
      Candidate candidate = Candidate.parse(text, command::resolve);
      if (candidate == null) {
        throw command.usage(
            "--candidate must be NAME=FILE or NAME=MODEL[+ADAPTER]..., not '" + text + "'");
      }
      all.add(candidate);
    }
    return all;
  }

  private GenerationOptions.Builder generation() {
    GenerationOptions.Builder builder =
        GenerationOptions.builder().maxSourceTokens(options.prompts.maxSourceLength());
    if (command.given("--max-new-tokens")) {
      builder.maxNewTokens(options.length.maxNewTokens());
    }
    if (command.given("--num-beams")) {
      builder.numBeams(options.beams.numBeams());
    }
    return builder;
  }

  /** Returns the gold pairs, whose ids get a mark in front: they may be the data's ids again. */
  private List<ComparisonItem> gold() {
    ReadOptions.Data data = options.reading.complete(command, options.gold);
    List<PreferencePair> pairs =
        PreferenceReader.readPairs(data.path(), DataOptions.STRICT, pair -> pair);
    return pairs.stream()
        .map(
            pair ->
                new ComparisonItem(
                    "gold:" + pair.id(),
                    pair.text(),
                    pair.raw(),
                    List.of(
                        new CandidateText("gold:chosen", pair.chosen(), null),
                        new CandidateText("gold:rejected", pair.rejected(), null)),
                    true))
        .toList();
  }

  /** Refuses options that do not go together, before anything is read or generated. */
  void check() {
    if (options.data == null) {
      throw new InvalidInputException(
          options.output + " holds no comparison project yet: give --data and --candidate");
    }
    if (options.candidates.size() < 2) {
      throw command.usage("--candidate must be given two times or more: people compare two texts");
    }
    options.prompts.check(command);
    options.batch.checkBatchSize(command);
  }
}
