package dev.precis.spring;

import dev.precis.Classifier;
import dev.precis.io.InvalidInputException;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.UUID;
import java.util.function.BiConsumer;
import org.springframework.ai.moderation.Categories;
import org.springframework.ai.moderation.CategoryScores;
import org.springframework.ai.moderation.Generation;
import org.springframework.ai.moderation.Moderation;
import org.springframework.ai.moderation.ModerationModel;
import org.springframework.ai.moderation.ModerationPrompt;
import org.springframework.ai.moderation.ModerationResponse;
import org.springframework.ai.moderation.ModerationResult;

/**
 * A classifier as Spring AI's moderation model: no text leaves the application. A text is flagged
 * where an unwanted label is more probable than the threshold. Thread-safe.
 */
public final class PrecisModerationModel implements ModerationModel {
  /** A category of Spring AI, and how its result is set. */
  private record Category(
      BiConsumer<Categories.Builder, Boolean> flag,
      BiConsumer<CategoryScores.Builder, Double> score) {}

  private static final Map<String, Category> CATEGORIES =
      Map.of(
          "hate", new Category(Categories.Builder::hate, CategoryScores.Builder::hate),
          "harassment",
              new Category(Categories.Builder::harassment, CategoryScores.Builder::harassment),
          "sexual", new Category(Categories.Builder::sexual, CategoryScores.Builder::sexual),
          "selfharm", new Category(Categories.Builder::selfHarm, CategoryScores.Builder::selfHarm),
          "violence", new Category(Categories.Builder::violence, CategoryScores.Builder::violence),
          "criminal", new Category(Categories.Builder::criminal, CategoryScores.Builder::criminal),
          "dangerous",
              new Category(Categories.Builder::dangerous, CategoryScores.Builder::dangerous),
          "pii", new Category(Categories.Builder::pii, CategoryScores.Builder::pii));

  private final Classifier classifier;
  private final List<String> unwanted;
  private final double threshold;

  /**
   * Makes a model.
   *
   * @param classifier stays the caller's
   * @param unwanted labels of the classifier; null or empty: those that are named as a category
   * @param threshold a probability from 0 to 1
   * @throws InvalidInputException if there is no such label, or the threshold is no probability
   */
  public PrecisModerationModel(Classifier classifier, List<String> unwanted, double threshold) {
    List<String> labels = classifier.labels();
    boolean given = unwanted != null && !unwanted.isEmpty();
    this.unwanted =
        given ? List.copyOf(unwanted) : labels.stream().filter(l -> category(l) != null).toList();
    if (this.unwanted.isEmpty() || !labels.containsAll(this.unwanted)) {
      throw new InvalidInputException(
          "precis.unwanted-labels must name some of the labels of %s, which are: %s"
              .formatted(classifier.folder(), String.join(", ", labels)));
    }
    if (!(threshold >= 0 && threshold <= 1)) {
      throw new InvalidInputException("precis.threshold must be 0 to 1, not " + threshold);
    }
    this.classifier = classifier;
    this.threshold = threshold;
  }

  private static Category category(String label) {
    return CATEGORIES.get(label.toLowerCase(Locale.ROOT).replaceAll("[^a-z]", ""));
  }

  @Override
  public ModerationResponse call(ModerationPrompt prompt) {
    String text = prompt.getInstructions().getText();
    Map<String, Double> probabilities = classifier.score(List.of(text)).getFirst().probabilities();
    Categories.Builder categories = Categories.builder();
    CategoryScores.Builder scores = CategoryScores.builder();
    boolean flagged = false;
    for (String label : unwanted) {
      double probability = probabilities.get(label);
      flagged |= probability > threshold;
      Category category = category(label);
      if (category != null) {
        category.flag.accept(categories, probability > threshold);
        category.score.accept(scores, probability);
      }
    }
    ModerationResult result =
        ModerationResult.builder()
            .flagged(flagged)
            .categories(categories.build())
            .categoryScores(scores.build())
            .build();
    return new ModerationResponse(
        new Generation(
            Moderation.builder()
                .id(UUID.randomUUID().toString())
                .model(classifier.folder().getFileName().toString())
                .results(List.of(result))
                .build()));
  }
}
