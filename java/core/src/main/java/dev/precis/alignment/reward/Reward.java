package dev.precis.alignment.reward;

import dev.precis.io.InvalidInputException;
import java.util.List;

/**
 * Says what completions are worth. A lambda is one:
 *
 * <pre>{@code
 * Reward shorter =
 *     all -> all.stream().map(c -> Score.of("short", -c.text().length())).toList();
 * }</pre>
 *
 * <p>A reward is a function of text: the same completion gets the same score, whichever it is
 * scored with. Whoever made it closes it.
 */
@FunctionalInterface
public interface Reward extends AutoCloseable {
  /** One score for each completion, in order. */
  List<Score> score(List<Completion> completions);

  /**
   * Two texts of which everybody knows the better one, and what they got.
   *
   * @param term what was asked
   */
  record Probe(String term, String better, double value, String worse, double worseValue) {
    /** Whether the better text got more. */
    public boolean passed() {
      return value > worseValue;
    }
  }

  /**
   * Asks the reward what it should know, before anything is trained on it. Rewards that are right
   * by construction have nothing to be asked.
   */
  default List<Probe> probes() {
    return List.of();
  }

  /**
   * As {@link #score}, made sure of: what is not a number must not reach a policy.
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
