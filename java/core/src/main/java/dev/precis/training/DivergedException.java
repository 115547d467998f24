package dev.precis.training;

/**
 * A run whose loss or gradient is not a number any more, or that a watchdog has given up.
 *
 * <p>Neither the input nor the program is at fault: the message is one sentence that says at which
 * step, what was seen, and what to change. The command line prints it alone and exits with 1.
 */
public class DivergedException extends IllegalStateException {
  private static final long serialVersionUID = 1;

  public DivergedException(String message) {
    super(message);
  }
}
