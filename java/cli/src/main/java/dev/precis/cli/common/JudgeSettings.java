package dev.precis.cli.common;

import dev.precis.Classifier;
import dev.precis.T5;
import dev.precis.alignment.reward.AnswerJudge;
import dev.precis.alignment.reward.ClassifierJudge;
import dev.precis.alignment.reward.JudgePrompt;
import dev.precis.alignment.reward.RewardTemplate;
import dev.precis.evaluation.PairJudge;
import dev.precis.io.InvalidInputException;
import java.nio.file.Path;
import java.util.List;

/**
 * Settings of a judge of pairs.
 *
 * @param label that means "supported", of a classifier; null: the only one, or entailment
 * @param prompt name of a published prompt, or a text with {completion} and {prompt} in it; null:
 *     none
 * @param answers words with / between them; null: those of the published prompt
 */
public record JudgeSettings(String label, String prompt, String answers) {
  /**
   * Loads the judge of a folder, which the caller must close.
   *
   * @param classifier options of a classifier
   * @param generator options of a model that answers with a word
   * @throws InvalidInputException if the folder holds no judge, or the settings do not fit it
   */
  public PairJudge load(Path folder, Classifier.LoadOptions classifier, T5.LoadOptions generator) {
    RewardTemplate template =
        prompt == null ? null : JudgePrompt.template(prompt.replace("\\n", "\n"));
    if (Classifier.isClassifier(folder)) {
      if (answers != null) {
        throw new InvalidInputException(
            folder + " is a classifier: name its label, not answers of a model that generates");
      }
      return classifier(folder, template, classifier);
    }
    if (label != null) {
      throw new InvalidInputException(
          folder + " is a T5 that answers with a word: it has no label, but answers");
    }
    List<String> words = words(folder);
    T5 model = T5.load(folder, generator);
    try {
      return new AnswerJudge(model, template, words);
    } catch (RuntimeException | Error e) {
      model.close();
      throw e;
    }
  }

  private PairJudge classifier(
      Path folder, RewardTemplate template, Classifier.LoadOptions options) {
    Classifier loaded = Classifier.load(folder, options);
    try {
      return new ClassifierJudge(loaded, label, template);
    } catch (RuntimeException | Error e) {
      loaded.close();
      throw e;
    }
  }

  private List<String> words(Path folder) {
    if (prompt == null) {
      throw new InvalidInputException(
          "%s is a T5 that answers with a word: name the prompt that it was trained with, %s, or give a text with {prompt} and {completion} in it"
              .formatted(folder, JudgePrompt.names()));
    }
    if (answers != null) {
      return List.of(answers.split("/", -1));
    }
    List<String> published = JudgePrompt.named(prompt).map(JudgePrompt::answers).orElse(List.of());
    if (published.isEmpty()) {
      throw new InvalidInputException(
          "%s is a T5 that answers with a word, and its prompt names no answers: give them, such as Yes/No, the wanted one first"
              .formatted(folder));
    }
    return published;
  }
}
