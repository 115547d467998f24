package dev.precis.cli.align;

import dev.precis.alignment.preference.FeedbackExample;
import dev.precis.alignment.preference.PreferenceExample;
import dev.precis.alignment.preference.PreferenceExampleReader;
import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.options.PromptOptions;
import dev.precis.cli.options.ReadOptions;
import dev.precis.cli.options.TargetOptions;
import dev.precis.cli.train.RunConfig;
import dev.precis.text.Tokenizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Reads what a policy learns preferences from, and notes what is too long. */
final class PreferenceData implements AutoCloseable {
  private final BaseCommand command;
  private final PromptOptions prompts;
  private final TargetOptions targets;
  private final Tokenizer tokenizer;
  private final PreferenceExampleReader reader;

  PreferenceData(BaseCommand command, Path model, PromptOptions prompts, TargetOptions targets) {
    this.command = command;
    this.prompts = prompts;
    this.targets = targets;
    tokenizer = Tokenizer.load(model);
    reader =
        new PreferenceExampleReader(
            tokenizer,
            prompts.template(),
            prompts.maxSourceLength(),
            targets.maxTargetLength(),
            prompts.truncate());
  }

  /** Reads pairs; none from null. */
  List<PreferenceExample> pairs(ReadOptions.Data data) {
    return data == null
        ? List.of()
        : noted(data, reader.readPairs(RunConfig.regular(data.path()), data.options()));
  }

  /** Reads answers with labels; none from null. */
  List<FeedbackExample> feedback(ReadOptions.Data data) {
    return data == null
        ? List.of()
        : noted(data, reader.readFeedback(RunConfig.regular(data.path()), data.options()));
  }

  /** Reads pairs as answers: each side is one, good or bad. */
  List<FeedbackExample> sides(ReadOptions.Data data) {
    List<FeedbackExample> sides = new ArrayList<>();
    for (PreferenceExample pair : pairs(data)) {
      sides.add(new FeedbackExample(pair.source(), pair.chosen(), true));
      sides.add(new FeedbackExample(pair.source(), pair.rejected(), false));
    }
    return sides;
  }

  private <T> List<T> noted(ReadOptions.Data data, PreferenceExampleReader.Examples<T> read) {
    targets.noteLeftOut(
        command, data.given(), read.leftOut(), read.examples().size(), prompts.maxSourceLength());
    return read.examples();
  }

  @Override
  public void close() {
    tokenizer.close();
  }
}
