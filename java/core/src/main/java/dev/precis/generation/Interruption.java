package dev.precis.generation;

import dev.precis.device.NativeException;
import dev.precis.ops.Ops;
import java.time.Duration;
import java.util.concurrent.CancellationException;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;

/**
 * Ends a request that is cancelled or whose time is over: between two operations by {@link #check},
 * and inside long ones, which do not look, by {@link #watch}.
 */
final class Interruption {
  private static final long POLL_NANOS = 10_000_000;

  private final BooleanSupplier cancelled;
  private final Duration timeout;
  private long start = System.nanoTime();

  /**
   * Makes it for a request.
   *
   * @param timeout after which the request ends; null: never
   * @param cancelled whether the request is to end, asked from several threads
   */
  Interruption(Duration timeout, BooleanSupplier cancelled) {
    this.timeout = timeout;
    this.cancelled = cancelled;
  }

  /** Begins to count the time. */
  void begin() {
    start = System.nanoTime();
  }

  private boolean timeIsOver() {
    return timeout != null && System.nanoTime() - start > timeout.toNanos();
  }

  /** Returns whether the request must end. */
  boolean isOver() {
    return cancelled.getAsBoolean() || timeIsOver();
  }

  /**
   * Returns if the request may continue.
   *
   * @throws CancellationException if it was cancelled
   * @throws GenerationTimeoutException if its time is over
   */
  void check() {
    if (cancelled.getAsBoolean()) {
      throw new CancellationException("Generation was cancelled.");
    }
    if (timeIsOver()) {
      throw new GenerationTimeoutException(timeout);
    }
  }

  /**
   * Runs operations that take long, and cancels them when nobody wants them any more; they then
   * have no result.
   *
   * @param over whether nobody does, asked from another thread
   */
  static void watch(Ops ops, BooleanSupplier over, Runnable operations) {
    Watch watch = new Watch(ops, over);
    try {
      operations.run();
    } catch (NativeException e) {
      if (e.status() != NativeException.Status.CANCELLED) {
        throw e;
      }
    } finally {
      watch.end();
      ops.cancel(false);
    }
  }

  /** A thread that looks after the requests while theirs is inside the library. */
  private static final class Watch implements Runnable {
    private final Ops ops;
    private final BooleanSupplier over;
    private final Thread thread;
    private volatile boolean ended;

    Watch(Ops ops, BooleanSupplier over) {
      this.ops = ops;
      this.over = over;
      thread = Thread.ofPlatform().daemon().name("precis-interrupts").start(this);
    }

    @Override
    public void run() {
      while (!ended) {
        if (over.getAsBoolean()) {
          ops.cancel(true);
          return;
        }
        LockSupport.parkNanos(POLL_NANOS);
      }
    }

    /** Waits until the thread has ended, so that it cancels nothing later. */
    void end() {
      ended = true;
      LockSupport.unpark(thread);
      boolean interrupted = false;
      while (thread.isAlive()) {
        try {
          thread.join();
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }
}
