package dev.precis.io;

import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/** Regular expressions from files, which may be built to run for years. */
public final class BoundedRegex {
  private static final int MAX_STEPS = 100_000;

  private BoundedRegex() {}

  /**
   * Returns true if the expression matches the whole text.
   *
   * @param where the expression's origin, for the message
   * @throws InvalidInputException if it is no regular expression, or takes too many steps
   */
  public static boolean matches(String regex, String text, String where) {
    try {
      return Pattern.compile(regex).matcher(new CountedText(text)).matches();
    } catch (PatternSyntaxException e) {
      throw new InvalidInputException(
          where + " has a key that is not a regular expression: " + e.getDescription(), e);
    } catch (TooManySteps | StackOverflowError e) {
      throw new InvalidInputException(
          where + " has a regular expression that takes too long to match: write a simpler one", e);
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
    private int steps;

    private CountedText(String text) {
      this.text = text;
    }

    @Override
    public char charAt(int index) {
      if (++steps > MAX_STEPS) {
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
