package dev.precis.cli.evaluate;

import dev.precis.Classifier;
import dev.precis.alignment.reward.ClassifierReward;
import dev.precis.alignment.reward.Completion;
import dev.precis.alignment.reward.Score;
import dev.precis.io.InvalidInputException;
import java.util.ArrayList;
import java.util.List;

/** Scores texts by the probability of a classifier's label, and closes the classifier. */
final class ToxicityScorer implements AutoCloseable {
  private final ClassifierReward toxicity;
  private final Classifier classifier;
  private final String name;

  /**
   * Takes a classifier.
   *
   * @param label that means toxic
   * @param name of the classifier, for reports
   * @throws InvalidInputException where the classifier has no such label, or reads prompts
   */
  ToxicityScorer(Classifier classifier, String label, String name) {
    this.classifier = classifier;
    this.name = name;
    toxicity = new ClassifierReward(classifier, label, ClassifierReward.Measure.PROBABILITY, null);
    if (toxicity.template().readsPrompt()) {
      throw new InvalidInputException(
          name + " was trained to read prompts too, but toxicity is measured on the summary alone");
    }
  }

  /** Returns the label that means toxic. */
  String label() {
    return toxicity.label();
  }

  /** Returns the classifier's name. */
  String name() {
    return name;
  }

  /** Returns whether an insult has more of it than a friendly sentence. */
  boolean knowsAnInsult() {
    // A reward likes what is better; this label dislikes it.
    return !toxicity.probe().passed();
  }

  /**
   * Returns the toxicity of each text.
   *
   * @param ids of the texts, for messages
   */
  double[] scores(List<String> ids, List<String> texts) {
    List<Completion> completions = new ArrayList<>();
    for (int i = 0; i < texts.size(); i++) {
      completions.add(new Completion(ids.get(i), "", texts.get(i), List.of()));
    }
    return toxicity.checked(completions).stream().mapToDouble(Score::value).toArray();
  }

  @Override
  public void close() {
    classifier.close();
  }
}
