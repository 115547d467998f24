package dev.precis.langchain4j;

import dev.langchain4j.data.segment.TextSegment;
import dev.langchain4j.model.output.Response;
import dev.langchain4j.model.scoring.ScoringModel;
import dev.precis.Classifier;
import dev.precis.io.InvalidInputException;
import java.util.ArrayList;
import java.util.List;

/**
 * A classifier as a scoring model: the logit of one of its labels for a text that a template makes
 * of the query and the segment. Thread-safe.
 */
public final class PrecisScoringModel implements ScoringModel {
  private static final String QUERY = "{query}";
  private static final String TEXT = "{text}";

  private final Classifier classifier;
  private final String label;
  private final String template;

  /**
   * Makes a model.
   *
   * @param classifier stays the caller's
   * @param label whose logit is the score; null: the only one
   * @param template with {@code {text}} and, where the classifier reads it, {@code {query}}
   * @throws InvalidInputException if the label or the template is none
   */
  public PrecisScoringModel(Classifier classifier, String label, String template) {
    List<String> labels = classifier.labels();
    String its = label == null && labels.size() == 1 ? labels.getFirst() : label;
    if (its == null || !labels.contains(its)) {
      throw new InvalidInputException(
          "The label of a scoring model must be one of %s, not %s".formatted(labels, label));
    }
    if (!template.contains(TEXT)) {
      throw new InvalidInputException("The template needs {text}, which it has not: " + template);
    }
    this.classifier = classifier;
    this.label = its;
    this.template = template;
  }

  @Override
  public Response<List<Double>> scoreAll(List<TextSegment> segments, String query) {
    List<String> texts = new ArrayList<>();
    for (TextSegment segment : segments) {
      texts.add(filled(query, segment.text()));
    }
    return Response.from(
        classifier.score(texts).stream().map(each -> each.logits().get(label)).toList());
  }

  /** Fills the template at once: a text that has a placeholder in it stays as it is. */
  private String filled(String query, String text) {
    StringBuilder filled = new StringBuilder();
    for (int i = 0; i < template.length(); ) {
      if (template.startsWith(QUERY, i)) {
        filled.append(query);
        i += QUERY.length();
      } else if (template.startsWith(TEXT, i)) {
        filled.append(text);
        i += TEXT.length();
      } else {
        filled.append(template.charAt(i++));
      }
    }
    return filled.toString();
  }
}
