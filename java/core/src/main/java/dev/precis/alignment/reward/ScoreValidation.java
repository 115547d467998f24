package dev.precis.alignment.reward;

import dev.precis.io.InvalidInputException;
import java.util.List;

/** Validation of scores before they reach a policy. */
final class ScoreValidation {
  private static final int SHOWN = 60;

  private ScoreValidation() {}

  /** Checks that there is one score for each completion. */
  static List<Score> complete(List<Score> scores, List<Completion> completions) {
    if (scores.size() != completions.size()) {
      throw new IllegalStateException(
          "The reward gave %d scores for %d completions"
              .formatted(scores.size(), completions.size()));
    }
    return scores;
  }

  /** Checks that a term is finite. */
  static void finite(String term, double value, Completion completion) {
    if (!Double.isFinite(value)) {
      String text = completion.text().replace('\n', ' ');
      throw new InvalidInputException(
          "The reward's term %s is %s for the completion of '%s' (\"%s\"): a reward must be finite"
              .formatted(
                  term,
                  value,
                  completion.id(),
                  text.length() > SHOWN ? text.substring(0, SHOWN) + "..." : text));
    }
  }
}
