package dev.precis.server.models;

import dev.precis.Classifier;
import dev.precis.Classifier.Scores;
import dev.precis.alignment.reward.RewardModelFile;
import dev.precis.alignment.reward.RewardTemplate;
import dev.precis.io.InvalidInputException;
import dev.precis.text.Tokenizer;
import java.util.List;
import java.util.Set;

/** A classifier as requests use it. Thread-safe. */
public final class TextClassifier {
  /** Labels that flag a text unless others are named. */
  private static final Set<String> USUAL_FLAGS = Set.of("hate", "toxic", "toxicity", "offensive");

  private final Classifier classifier;
  private final List<String> flags;
  private final RewardTemplate template;

  /**
   * Wraps a classifier.
   *
   * @param flags labels that flag a text; empty: those of them that are usual
   * @throws InvalidInputException if it has no label of such a name
   */
  TextClassifier(Classifier classifier, List<String> flags) {
    this.classifier = classifier;
    this.template = RewardModelFile.template(classifier.folder(), null);
    for (String flag : flags) {
      if (!classifier.labels().contains(flag)) {
        throw new InvalidInputException(
            "%s has no label %s; its labels are %s"
                .formatted(classifier.folder(), flag, String.join(", ", classifier.labels())));
      }
    }
    this.flags =
        flags.isEmpty()
            ? classifier.labels().stream().filter(USUAL_FLAGS::contains).toList()
            : List.copyOf(flags);
  }

  /** Returns the names of the labels, in the order of the logits. */
  public List<String> labels() {
    return classifier.labels();
  }

  /** Returns the labels that flag a text; empty: none is known to. */
  public List<String> flags() {
    return flags;
  }

  /** Returns true if it reads a prompt beside the text, as its template says. */
  public boolean readsPrompt() {
    return template.readsPrompt();
  }

  /**
   * Scores texts.
   *
   * @param prompt that goes before each text; null only if it reads none
   * @return the scores in the order of the texts
   */
  public List<Scores> score(String prompt, List<String> texts) {
    return classifier.score(
        texts.stream()
            .map(text -> template.fill(prompt, text, classifier::tokens, classifier.maxTokens()))
            .toList());
  }

  /** Returns its tokenizer. */
  public Tokenizer tokenizer() {
    return classifier.tokenizer();
  }

  /** Returns the token ids of a text as the model reads them. */
  public int[] encode(String text) {
    return classifier.encode(text);
  }

  /** Returns the most tokens of a text that are read: a longer one is cut at its end. */
  public int maxTokens() {
    return classifier.maxTokens();
  }
}
