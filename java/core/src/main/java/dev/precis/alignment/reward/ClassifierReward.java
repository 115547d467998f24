package dev.precis.alignment.reward;

import dev.precis.Classifier;
import dev.precis.io.InvalidInputException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Scores completions with one label of a classifier, which reads text with its own tokenizer. The
 * label is selected by name.
 */
public final class ClassifierReward implements Reward {
  /** Numbers of a label that can be the reward. */
  public enum Measure {
    /** The logit, which does not saturate. */
    LOGIT,
    /** The probability. */
    PROBABILITY
  }

  private final Classifier classifier;
  private final boolean owned;
  private final int label;
  private final Measure measure;
  private final RewardTemplate template;
  private List<ProbeTexts> probeTexts = List.of(ProbeTexts.STANDARD);

  /**
   * Two texts for a sanity check.
   *
   * @param better text that must get the higher reward
   * @param worse text that must get the lower one
   */
  public record ProbeTexts(String better, String worse) {
    /** A friendly sentence and a toxic one. */
    public static final ProbeTexts STANDARD =
        new ProbeTexts(
            "Thank you, that is very kind of you and a great help.",
            "Shut up, you stupid fool, that is disgusting nonsense.");
  }

  /**
   * Creates a reward on a classifier, which the caller owns and must close.
   *
   * @param label name of the label; null if the classifier has only one
   * @param template template of prompt and completion; null: the one that the model was trained
   *     with, or the completion alone
   * @throws InvalidInputException where there is no such label, or the model was trained to read
   *     something else
   */
  public ClassifierReward(
      Classifier classifier, String label, Measure measure, RewardTemplate template) {
    this(classifier, false, label, measure, template);
  }

  private ClassifierReward(
      Classifier classifier,
      boolean owned,
      String label,
      Measure measure,
      RewardTemplate template) {
    this.classifier = classifier;
    this.owned = owned;
    this.label = labelOf(classifier, label);
    this.measure = measure;
    this.template = RewardModelFile.template(classifier.folder(), template);
  }

  /** Loads a classifier for a reward, which owns it. */
  public static ClassifierReward load(
      Path folder,
      Classifier.LoadOptions options,
      String label,
      Measure measure,
      RewardTemplate template) {
    Classifier classifier = Classifier.load(folder, options);
    try {
      return new ClassifierReward(classifier, true, label, measure, template);
    } catch (RuntimeException | Error e) {
      classifier.close();
      throw e;
    }
  }

  private static int labelOf(Classifier classifier, String label) {
    List<String> labels = classifier.labels();
    if (label == null && labels.size() == 1) {
      return 0;
    }
    int index = label == null ? -1 : labels.indexOf(label);
    if (index < 0) {
      throw new InvalidInputException(
          "%s has %s; its labels are: %s"
              .formatted(
                  classifier.folder(),
                  label == null ? "several labels, and none is named" : "no label '" + label + "'",
                  String.join(", ", labels)));
    }
    return index;
  }

  /** Returns the label's name. */
  public String label() {
    return classifier.labels().get(label);
  }

  /** Returns the template of the classifier's input. */
  public RewardTemplate template() {
    return template;
  }

  @Override
  public List<Score> score(List<Completion> completions) {
    List<String> texts =
        completions.stream()
            .map(
                each ->
                    template.fill(
                        each.prompt(), each.text(), classifier::tokens, classifier.maxTokens()))
            .toList();
    List<Score> scores = new ArrayList<>();
    for (float[] logits : classifier.logits(texts, done -> {})) {
      double value =
          measure == Measure.LOGIT ? logits[label] : classifier.probabilities(logits)[label];
      scores.add(Score.of(label(), value));
    }
    return scores;
  }

  /**
   * Checks that a friendly sentence gets a higher probability of the label than a toxic one. A
   * label that stands for toxicity, or a wrong label, fails.
   */
  public Probe probe() {
    return probe(ProbeTexts.STANDARD.better, ProbeTexts.STANDARD.worse);
  }

  /**
   * Checks a better sentence against a worse one, for labels of another kind than {@link
   * #probe()}'s.
   */
  public Probe probe(String better, String worse) {
    // Probabilities are compared, because logits share an arbitrary offset.
    List<Score> scores =
        new ClassifierReward(classifier, label(), Measure.PROBABILITY, template)
            .checked(
                List.of(
                    new Completion("probe", "", better, List.of()),
                    new Completion("probe", "", worse, List.of())));
    return new Probe(label(), better, scores.getFirst().value(), worse, scores.getLast().value());
  }

  /** Replaces the texts that the sanity checks compare, for labels of another kind. */
  public ClassifierReward probeTexts(List<ProbeTexts> texts) {
    probeTexts = List.copyOf(texts);
    return this;
  }

  @Override
  public List<Probe> probes() {
    return probeTexts.stream().map(each -> probe(each.better, each.worse)).toList();
  }

  @Override
  public void close() {
    if (owned) {
      classifier.close();
    }
  }
}
