package dev.precis.alignment.reward;

import dev.precis.Classifier;
import dev.precis.evaluation.PairJudge;
import dev.precis.evaluation.TextPair;
import dev.precis.io.InvalidInputException;
import java.util.List;

/**
 * Judges pairs by the probability of a classifier's label. An encoder reads the premise and the
 * claim as its tokenizer joins pairs; a T5 reads them in a prompt.
 */
public final class ClassifierJudge implements PairJudge {
  /** The label of models for natural language inference that is taken where none is named. */
  private static final String ENTAILMENT = "entailment";

  private final Classifier classifier;
  private final int label;
  private final RewardTemplate template; // null: as the tokenizer joins pairs

  /**
   * Makes a judge of a classifier, which it closes.
   *
   * @param label name of the label that means "supported"; null if the classifier has only one, or
   *     one is called entailment
   * @param template prompt with {prompt} and {completion} for the premise and the claim; null: the
   *     tokenizer joins pairs or, for a T5, {@link JudgePrompt#HHEM}
   * @throws InvalidInputException where there is no such label
   */
  public ClassifierJudge(Classifier classifier, String label, RewardTemplate template) {
    this.classifier = classifier;
    this.label = labelOf(classifier, label);
    this.template =
        template == null && !classifier.readsPairs() ? JudgePrompt.HHEM.template() : template;
  }

  private static int labelOf(Classifier classifier, String wanted) {
    List<String> labels = classifier.labels();
    if (wanted == null && labels.size() == 1) {
      return 0;
    }
    for (int i = 0; i < labels.size(); i++) {
      String name = labels.get(i);
      if (wanted == null ? name.equalsIgnoreCase(ENTAILMENT) : name.equals(wanted)) {
        return i;
      }
    }
    if (wanted == null && !classifier.readsPairs() && labels.size() == 2) {
      return 1; // HHEM's head, whose labels have no names: not supported, supported
    }
    throw new InvalidInputException(
        "%s has %s; its labels are: %s"
            .formatted(
                classifier.folder(),
                wanted == null
                    ? "several labels, none of them called entailment, and none is named"
                    : "no label '" + wanted + "'",
                String.join(", ", labels)));
  }

  /** Returns the label's name. */
  public String label() {
    return classifier.labels().get(label);
  }

  @Override
  public double[] judge(List<TextPair> pairs) {
    List<float[]> logits =
        template == null
            ? classifier.pairLogits(pairs, done -> {})
            : classifier.logits(pairs.stream().map(this::filled).toList(), done -> {});
    return logits.stream().mapToDouble(each -> classifier.probabilities(each)[label]).toArray();
  }

  private String filled(TextPair pair) {
    return template.fill(pair.first(), pair.second(), classifier::tokens, classifier.maxTokens());
  }

  @Override
  public void close() {
    classifier.close();
  }
}
