package dev.precis.alignment.reward;

import dev.precis.io.InvalidInputException;
import java.util.List;

/**
 * Scores completions. A lambda is a reward:
 *
 * <pre>{@code
 * Reward shorter =
 *     all -> all.stream().map(c -> Score.of("short", -c.text().length())).toList();
 * }</pre>
 *
 * <p>A reward is a function of text: a completion's score does not depend on the others of its
 * batch. The caller owns it and must close it.
 */
@FunctionalInterface
public interface Reward extends AutoCloseable {
  /** Returns one score for each completion, in order. */
  List<Score> score(List<Completion> completions);

  /**
   * A sanity check: two texts of which one is clearly better, and their scores.
   *
   * @param term name of the reward's term
   */
  record Probe(String term, String better, double value, String worse, double worseValue) {
    /** Returns true if the better text has the higher score. */
    public boolean passed() {
      return value > worseValue;
    }
  }

  /**
   * Runs the reward's sanity checks before anything is trained on it. Rewards that are correct by
   * construction have none.
   */
  default List<Probe> probes() {
    return List.of();
  }

  /**
   * Scores completions and validates the scores, so that no NaN or infinity reaches a policy.
   *
   * @throws InvalidInputException where a score or one of its terms is not finite, naming both
   * @throws IllegalStateException where there are not as many scores as completions
   */
  default List<Score> checked(List<Completion> completions) {
    List<Score> scores = ScoreValidation.complete(score(completions), completions);
    for (int i = 0; i < scores.size(); i++) {
      Completion completion = completions.get(i);
      scores
          .get(i)
          .terms()
          .forEach((term, value) -> ScoreValidation.finite(term, value, completion));
      ScoreValidation.finite("sum", scores.get(i).value(), completion);
    }
    return scores;
  }

  @Override
  default void close() {}
}
