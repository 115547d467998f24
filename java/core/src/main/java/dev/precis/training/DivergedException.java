package dev.precis.training;

/**
 * Reports a run whose loss or gradient is no longer finite, or that the watchdog has ended.
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
