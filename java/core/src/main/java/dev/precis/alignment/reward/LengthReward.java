package dev.precis.alignment.reward;

import dev.precis.io.InvalidInputException;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Penalizes the distance of a completion's length from a target: {@code -penalty |length -
 * target|}.
 *
 * @param penalty per word or character of distance, above 0
 */
public record LengthReward(Unit unit, int target, double penalty) implements Reward {
  private static final Pattern WORD = Pattern.compile("\\S+");

  /** Units of length. */
  public enum Unit {
    WORDS,
    CHARACTERS
  }

  /** Checks the ranges. */
  public LengthReward {
    if (target < 0 || !(penalty > 0 && penalty < Double.POSITIVE_INFINITY)) {
      throw new InvalidInputException(
          "A length to aim at must be 0 or more and its penalty above 0, not %d and %s"
              .formatted(target, penalty));
    }
  }

  @Override
  public List<Score> score(List<Completion> completions) {
    return completions.stream()
        .map(each -> Score.of("length", 0 - penalty * Math.abs(length(each.text()) - target)))
        .toList();
  }

  private long length(String text) {
    Matcher words = WORD.matcher(text);
    return unit == Unit.WORDS ? words.results().count() : text.codePointCount(0, text.length());
  }
}
