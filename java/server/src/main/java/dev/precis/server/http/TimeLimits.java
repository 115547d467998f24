package dev.precis.server.http;

import java.time.Duration;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

/**
 * Ends work that takes too long, by an interrupt of its thread. Requests run on virtual threads,
 * where an interrupt also ends a read or a write that the other side holds up: it closes the
 * connection. The web server has a limit for a read of a few bytes, but none for a whole body and
 * none for a write.
 *
 * <p>Limits nest: a read or a write within a request. The inner one is in force alone, and an outer
 * one that passes meanwhile ends what comes after it. It would close the connection otherwise, and
 * the client could not be told.
 */
public final class TimeLimits implements AutoCloseable {
  private static final ScopedValue<Watched> OUTER = ScopedValue.newInstance();

  private final ScheduledThreadPoolExecutor clock;

  /** Starts the clock, which is one thread. */
  public TimeLimits() {
    clock =
        new ScheduledThreadPoolExecutor(
            1, Thread.ofPlatform().daemon().name("precis-server-clock").factory());
    clock.setRemoveOnCancelPolicy(true);
  }

  /** Thrown by work that took longer than it may. */
  public static final class TimeLimitException extends RuntimeException {
    private static final long serialVersionUID = 1;

    private TimeLimitException(String sentence, Throwable cause) {
      super(sentence, cause);
    }
  }

  /** The work of one thread, and whether it was interrupted by its limit. */
  private static final class Watched {
    private final Thread thread = Thread.currentThread();
    private boolean done; // guarded by this
    private boolean expired; // guarded by this
    private boolean paused; // guarded by this

    synchronized void expire() {
      if (!done) {
        expired = true;
        if (!paused) {
          thread.interrupt();
        }
      }
    }

    /** Holds the interrupt back until {@link #resume}, also one that the work did not meet yet. */
    synchronized void pause() {
      paused = true;
      if (expired) {
        Thread.interrupted();
      }
    }

    synchronized void resume() {
      paused = false;
      if (expired) {
        thread.interrupt();
      }
    }

    /** Ends the watch; true if the limit has passed. */
    synchronized boolean end() {
      done = true;
      if (expired) {
        Thread.interrupted(); // the interrupt was for this work alone
      }
      return expired;
    }
  }

  /**
   * Runs work on the calling thread. The limit of a call around this one does not end the work.
   *
   * @param sentence says which limit has passed, if it does
   * @throws TimeLimitException if the work ended because of its limit
   */
  public <T> T within(Duration limit, String sentence, Supplier<T> work) {
    if (!OUTER.isBound()) {
      return watched(limit, sentence, work);
    }
    OUTER.get().pause();
    try {
      return watched(limit, sentence, work);
    } finally {
      OUTER.get().resume();
    }
  }

  private <T> T watched(Duration limit, String sentence, Supplier<T> work) {
    Watched watched = new Watched();
    Future<?> alarm = clock.schedule(watched::expire, limit.toMillis(), TimeUnit.MILLISECONDS);
    T result;
    try {
      result = ScopedValue.where(OUTER, watched).call(work::get);
    } catch (RuntimeException e) {
      if (watched.end()) {
        throw new TimeLimitException(sentence, e);
      }
      throw e;
    } finally {
      alarm.cancel(false);
      watched.end();
    }
    return result;
  }

  /** Runs work without a result; see {@link #within(Duration, String, Supplier)}. */
  public void within(Duration limit, String sentence, Runnable work) {
    within(
        limit,
        sentence,
        () -> {
          work.run();
          return null;
        });
  }

  @Override
  public void close() {
    clock.shutdownNow();
  }
}
