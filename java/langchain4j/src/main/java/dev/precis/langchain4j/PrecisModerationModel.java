package dev.precis.langchain4j;

import dev.langchain4j.model.moderation.Moderation;
import dev.langchain4j.model.moderation.ModerationModel;
import dev.langchain4j.model.moderation.ModerationRequest;
import dev.langchain4j.model.moderation.ModerationResponse;
import dev.precis.Classifier;
import dev.precis.io.InvalidInputException;
import java.util.List;
import java.util.Map;

/**
 * A classifier as a moderation model, in the process: no text leaves the program. A text is flagged
 * where one of the unwanted labels is more probable than the threshold. Thread-safe.
 */
public final class PrecisModerationModel implements ModerationModel {
  private final Classifier classifier;
  private final List<String> unwanted;
  private final double threshold;

  /**
   * Makes a model.
   *
   * @param classifier stays the caller's
   * @param unwanted labels of the classifier
   * @param threshold a probability from 0 to 1, such as 0.5
   * @throws InvalidInputException if there is no such label, or the threshold is no probability
   */
  public PrecisModerationModel(Classifier classifier, List<String> unwanted, double threshold) {
    if (!(threshold >= 0 && threshold <= 1)) {
      throw new InvalidInputException("The threshold must be 0 to 1, not " + threshold);
    }
    if (unwanted.isEmpty() || !classifier.labels().containsAll(unwanted)) {
      throw new InvalidInputException(
          "The unwanted labels must be some of %s, not %s"
              .formatted(classifier.labels(), unwanted));
    }
    this.classifier = classifier;
    this.unwanted = List.copyOf(unwanted);
    this.threshold = threshold;
  }

  /** Returns the first text that is flagged, and the largest probability as metadata. */
  @Override
  public ModerationResponse doModerate(ModerationRequest request) {
    List<Classifier.Scores> all = classifier.score(request.texts());
    Moderation moderation = Moderation.notFlagged();
    double largest = 0;
    for (int i = 0; i < all.size(); i++) {
      double probability = probability(all.get(i));
      if (probability > threshold && !moderation.flagged()) {
        moderation = Moderation.flagged(request.texts().get(i));
      }
      largest = Math.max(largest, probability);
    }
    return ModerationResponse.builder()
        .moderation(moderation)
        .metadata(Map.of("probability", largest))
        .build();
  }

  /** Returns the probability of the most probable unwanted label. */
  double probability(String text) {
    return probability(classifier.score(List.of(text)).getFirst());
  }

  private double probability(Classifier.Scores scores) {
    return unwanted.stream()
        .mapToDouble(label -> scores.probabilities().get(label))
        .max()
        .orElseThrow();
  }

  /** Returns whether a text is flagged. */
  boolean flags(String text) {
    return probability(text) > threshold;
  }
}
