package dev.precis.io;

import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/** Regular expressions from files, which may be built to run for years. */
public final class BoundedRegex {
  private static final int MAX_STEPS = 100_000;

  private static final int STEPS_PER_CHARACTER = 200;

  private BoundedRegex() {}

  /** Takes the bounds of one match. */
  @FunctionalInterface
  public interface MatchConsumer {
    /** Takes a match from {@code start} (inclusive) to {@code end} (exclusive). */
    void accept(int start, int end);
  }

  /**
   * Finds all matches of an expression in a text, from left to right and without overlap. The steps
   * that it may take grow with the text's length.
   *
   * @param where the expression's origin, for the message
   * @throws InvalidInputException if the matches take too many steps
   */
  public static void findAll(Pattern pattern, String text, String where, MatchConsumer consumer) {
    try {
      long steps = MAX_STEPS + (long) STEPS_PER_CHARACTER * text.length();
      Matcher matcher = pattern.matcher(new CountedText(text, steps));
      while (matcher.find()) {
        consumer.accept(matcher.start(), matcher.end());
      }
    } catch (TooManySteps | StackOverflowError e) {
      throw tooLong(where, e);
    }
  }

  private static InvalidInputException tooLong(String where, Throwable cause) {
    return new InvalidInputException(
        where + " has a regular expression that takes too long to match: write a simpler one",
        cause);
  }

  /**
   * Returns true if the expression matches the whole text.
   *
   * @param where the expression's origin, for the message
   * @throws InvalidInputException if it is no regular expression, or takes too many steps
   */
  public static boolean matches(String regex, String text, String where) {
    try {
      return Pattern.compile(regex).matcher(new CountedText(text, MAX_STEPS)).matches();
    } catch (PatternSyntaxException e) {
      throw new InvalidInputException(
          where + " has a key that is not a regular expression: " + e.getDescription(), e);
    } catch (TooManySteps | StackOverflowError e) {
      throw tooLong(where, e);
    }
  }

  private static final class TooManySteps extends RuntimeException {
    private TooManySteps() {
      super(null, null, false, false);
    }
  }

  /** Counts how often it is looked at, the measure of a matcher's work. */
  private static final class CountedText implements CharSequence {
    private final String text;
    private long steps; // that are left

    private CountedText(String text, long steps) {
      this.text = text;
      this.steps = steps;
    }

    @Override
    public char charAt(int index) {
      if (--steps < 0) {
        throw new TooManySteps();
      }
      return text.charAt(index);
    }

    @Override
    public int length() {
      return text.length();
    }

    @Override
    public CharSequence subSequence(int start, int end) {
      return text.subSequence(start, end);
    }
  }
}
