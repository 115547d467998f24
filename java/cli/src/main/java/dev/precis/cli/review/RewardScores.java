package dev.precis.cli.review;

import dev.precis.alignment.reward.ClassifierReward;
import dev.precis.alignment.reward.Completion;
import dev.precis.alignment.reward.Score;
import dev.precis.checkpoint.ModelFolder;
import dev.precis.cli.common.BaseCommand;
import dev.precis.review.comparison.ComparisonItem;
import dev.precis.text.PromptTemplate;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Scores the texts of a project with a reward model, whose doubt decides what is asked first. */
final class RewardScores {
  private final BaseCommand command;
  private final StartOptions options;
  private final Path folder;

  RewardScores(BaseCommand command, StartOptions options) {
    this.command = command;
    this.options = options;
    folder = command.resolve(options.rewardModel.rewardModel());
  }

  /** Returns the hash of the model's weights. */
  String modelHash() {
    return ModelFolder.weightsHash(folder);
  }

  /**
   * Returns the items with scores; pairs whose answer is known need none.
   *
   * @param template makes prompts of dialogues
   */
  List<ComparisonItem> of(List<ComparisonItem> items, PromptTemplate template) {
    List<ComparisonItem> scored = new ArrayList<>();
    try (ClassifierReward reward =
        ClassifierReward.load(
            folder,
            command.common().classifierOptions(),
            options.rewardLabel,
            ClassifierReward.Measure.LOGIT,
            null)) {
      for (ComparisonItem item : items) {
        scored.add(item.gold() ? item : item.withScores(scores(reward, item, template)));
      }
    }
    return scored;
  }

  private static List<Double> scores(
      ClassifierReward reward, ComparisonItem item, PromptTemplate template) {
    String prompt = item.raw() ? item.dialogue() : template.fill(item.dialogue());
    List<Completion> completions =
        item.texts().stream()
            .map(text -> new Completion(item.id(), prompt, text.text(), List.of()))
            .toList();
    return reward.checked(completions).stream().map(Score::value).toList();
  }
}
