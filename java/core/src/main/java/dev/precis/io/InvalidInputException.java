package dev.precis.io;

/**
 * Something that came from outside (a file, an option, a text) cannot be used.
 *
 * <p>The message is one sentence for the person who supplied it: what is wrong, where (file, line,
 * tensor, option), and what to do about it. The command line prints it alone and exits with 2.
 */
public class InvalidInputException extends RuntimeException {
  public InvalidInputException(String message) {
    super(message);
  }

  public InvalidInputException(String message, Throwable cause) {
    super(message, cause);
  }
}
