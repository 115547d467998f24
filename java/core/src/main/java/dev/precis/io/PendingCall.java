package dev.precis.io;

import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CancellationException;
import java.util.concurrent.LinkedBlockingQueue;

/**
 * A call that one thread makes and another one runs: it ends with a result or an exception, and its
 * callbacks run on the thread that awaits it. The thread that runs it never waits for them.
 *
 * @param <R> the result
 */
public final class PendingCall<R> {
  /** Ends the events. */
  private static final Runnable LAST = () -> {};

  private final String what;
  private final Runnable cancel;
  private final BlockingQueue<Runnable> events = new LinkedBlockingQueue<>();
  private volatile boolean done;
  private R result; // written before done
  private Throwable failure; // written before done

  /**
   * Makes a call.
   *
   * @param what begins the sentence that it was interrupted, such as {@code Generation}
   * @param cancel asks the other thread to end the call early, which then ends it
   */
  public PendingCall(String what, Runnable cancel) {
    this.what = what;
    this.cancel = cancel;
  }

  /**
   * Waits until the call has ended and meanwhile runs its callbacks. If one of them throws, the
   * call is cancelled and this throws the same.
   *
   * @throws CancellationException if the call was cancelled, or this thread is interrupted, which
   *     cancels it
   */
  public R await() {
    Throwable thrown = null;
    boolean interrupted = false;
    boolean complete = true; // every callback has run
    while (true) {
      Runnable event;
      try {
        event = events.take();
      } catch (InterruptedException e) {
        interrupted = true;
        cancel.run();
        continue;
      }
      if (event == LAST) {
        events.add(LAST); // for the next one who awaits
        break;
      }
      if (interrupted || thrown != null) {
        complete = false;
        continue;
      }
      try {
        event.run();
      } catch (Throwable e) {
        thrown = e;
        cancel.run();
      }
    }
    return outcome(thrown, interrupted, complete);
  }

  private R outcome(Throwable thrown, boolean interrupted, boolean complete) {
    boolean ended = failure instanceof CancellationException || !complete;
    if (interrupted && thrown == null && ended) {
      throw new CancellationException(what + " was interrupted.");
    }
    if (interrupted) {
      // The caller has yet to see the interrupt: the call was faster, or ends for another reason.
      Thread.currentThread().interrupt();
    }
    return switch (thrown != null ? thrown : failure) {
      case null -> result;
      case RuntimeException e -> throw e;
      case Error e -> throw e;
      case Throwable e -> throw new AssertionError(e);
    };
  }

  /** Runs the callbacks that there are, without waiting for others. */
  public void runCallbacks() {
    for (Runnable event = events.peek(); event != null && event != LAST; event = events.peek()) {
      events.remove();
      event.run();
    }
  }

  /** Has the thread that awaits the call run something. */
  public void callback(Runnable callback) {
    events.add(callback);
  }

  /** Returns whether the call has ended. */
  public boolean isDone() {
    return done;
  }

  /** Ends the call with its result; once. */
  public void complete(R result) {
    end(result, null);
  }

  /** Ends the call with an exception; once, and not after its result. */
  public void fail(Throwable reason) {
    end(null, reason);
  }

  private void end(R result, Throwable reason) {
    this.result = result;
    failure = reason;
    done = true;
    events.add(LAST);
  }
}
