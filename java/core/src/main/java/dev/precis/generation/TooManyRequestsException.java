package dev.precis.generation;

import java.util.concurrent.RejectedExecutionException;

/** Thrown if a model refuses a request because as many as it allows are waiting already. */
public final class TooManyRequestsException extends RejectedExecutionException {
  private static final long serialVersionUID = 1;

  /**
   * Makes the exception.
   *
   * @param waiting number of the requests that wait, which is the bound
   */
  public TooManyRequestsException(int waiting) {
    super(
        waiting
            + " requests wait for this model already, as many as it allows: try again later, or"
            + " load it with a larger maxWaitingRequests.");
  }
}
