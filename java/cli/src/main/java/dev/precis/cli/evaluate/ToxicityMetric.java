package dev.precis.cli.evaluate;

import dev.precis.Classifier;
import dev.precis.T5;
import dev.precis.alignment.reward.ClassifierReward;
import dev.precis.alignment.reward.Completion;
import dev.precis.alignment.reward.Score;
import dev.precis.cli.common.Statistics;
import dev.precis.data.Dialogue;
import dev.precis.io.InvalidInputException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * Scores summaries by the probability of a classifier's label. The dialogues are scored apart, so
 * that toxicity which a model repeats is told from toxicity that it adds.
 */
final class ToxicityMetric implements Metric, AutoCloseable {
  public static final String COLUMN = "toxicity";

  private final ClassifierReward toxicity;
  private final Classifier classifier;
  private final String name;
  private final String remark;

  /**
   * Scores the dialogues; the metric closes the classifier.
   *
   * @param label that means toxic
   * @throws InvalidInputException where the classifier has no such label, or reads prompts
   */
  public ToxicityMetric(Classifier classifier, String label, List<Dialogue> dialogues) {
    this.classifier = classifier;
    name = classifier.folder().toString();
    toxicity = new ClassifierReward(classifier, label, ClassifierReward.Measure.PROBABILITY, null);
    if (toxicity.template().readsPrompt()) {
      throw new InvalidInputException(
          name + " was trained to read prompts too, but toxicity is measured on the summary alone");
    }
    double[] said = scores(dialogues, dialogues.stream().map(Dialogue::dialogue).toList());
    remark =
        String.format(
            Locale.ROOT,
            "%s of the dialogues themselves: %.4f, standard deviation %.4f",
            COLUMN,
            Statistics.mean(said),
            Statistics.deviation(said));
  }

  private double[] scores(List<Dialogue> dialogues, List<String> texts) {
    List<Completion> completions = new ArrayList<>();
    for (int i = 0; i < texts.size(); i++) {
      completions.add(new Completion(dialogues.get(i).id(), "", texts.get(i), List.of()));
    }
    return toxicity.checked(completions).stream().mapToDouble(Score::value).toArray();
  }

  @Override
  public List<String> columns() {
    return List.of(COLUMN);
  }

  @Override
  public String settings() {
    return "%s: probability of '%s' in the summary alone, by %s; lower is better"
        .formatted(COLUMN, toxicity.label(), name);
  }

  @Override
  public boolean showsDeviation() {
    return true;
  }

  @Override
  public List<String> remarks() {
    return List.of(remark);
  }

  @Override
  public double[][] score(T5 model, List<Dialogue> dialogues, List<String> summaries) {
    return new double[][] {scores(dialogues, summaries)};
  }

  @Override
  public void close() {
    classifier.close();
  }
}
