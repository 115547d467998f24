package dev.precis.io;

/**
 * Thrown if something from outside (a file, an option, a text) cannot be used.
 *
 * <p>The message is one sentence for the person who supplied it: what is wrong, where (file, line,
 * tensor, option), and what to do about it. The command line prints it alone and exits with 2.
 */
public class InvalidInputException extends RuntimeException {
  public InvalidInputException(String message) {
    super(line(message));
  }

  public InvalidInputException(String message, Throwable cause) {
    super(line(message), cause);
  }

  /**
   * Keeps the control characters of a file that is quoted from reaching whoever shows a message.
   */
  private static String line(String message) {
    return message == null ? null : Printable.line(message);
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
