package dev.precis.io;

/**
 * Thrown if something from outside (a file, an option, a text) cannot be used.
 *
 * <p>The message is one sentence for the person who supplied it: what is wrong, where (file, line,
 * tensor, option), and what to do about it. The command line prints it alone and exits with 2.
 */
public class InvalidInputException extends RuntimeException {
  public InvalidInputException(String message) {
    super(printable(message));
  }

  public InvalidInputException(String message, Throwable cause) {
    super(printable(message), cause);
  }

  /**
   * Returns a text on one line: control characters, which may come from a file and would move a
   * terminal's cursor, are written as their numbers.
   */
  public static String printable(String text) {
    if (text == null || text.chars().noneMatch(Character::isISOControl)) {
      return text;
    }
    StringBuilder shown = new StringBuilder();
    for (char c : text.toCharArray()) {
      if (Character.isISOControl(c)) {
        shown.append("\\u%04x".formatted((int) c));
      } else {
        shown.append(c);
      }
    }
    return shown.toString();
  }

  /**
   * Checks an option.
   *
   * @param valid the condition that the value must meet
   * @param name of the option
   * @param rule the condition in words, completing "must be"
   * @throws InvalidInputException if the condition is false
   */
  public static void require(boolean valid, String name, String rule, Object value) {
    if (!valid) {
      throw new InvalidInputException(name + " must be " + rule + ", not " + value);
    }
  }
}
