package dev.precis.generation;

import dev.precis.device.NativeException;
import dev.precis.ops.Ops;
import java.time.Duration;
import java.util.concurrent.CancellationException;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;

/**
 * Ends a call that is cancelled or whose time is over: between two operations by {@link #check},
 * and inside long ones, which do not look, by {@link #watch}.
 */
final class Interruption {
  private static final long POLL_NANOS = 10_000_000;

  private final Ops ops;
  private final BooleanSupplier cancelled;
  private final long start = System.nanoTime();
  private final Duration timeout;

  /**
   * Begins a call.
   *
   * @param timeout after which the call ends; null: never
   * @param cancelled whether the call is to end, asked from several threads
   */
  Interruption(Ops ops, Duration timeout, BooleanSupplier cancelled) {
    this.ops = ops;
    this.timeout = timeout;
    this.cancelled = cancelled;
  }

  private boolean timeIsOver() {
    return timeout != null && System.nanoTime() - start > timeout.toNanos();
  }

  /**
   * Returns if the call may continue.
   *
   * @throws CancellationException if the call was cancelled
   * @throws GenerationTimeoutException if the time is over
   */
  void check() {
    if (cancelled.getAsBoolean()) {
      throw new CancellationException("Generation was interrupted.");
    }
    if (timeIsOver()) {
      throw new GenerationTimeoutException(timeout);
    }
  }

  /**
   * Runs operations that take long, and cancels them when the call must end.
   *
   * @throws CancellationException if the call was cancelled
   * @throws GenerationTimeoutException if the time is over
   */
  void watch(Runnable operations) {
    Watch watch = new Watch();
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
    // Also where the last operation was over before it could be cancelled.
    check();
  }

  /** A thread that looks after the call while that is inside the library. */
  private final class Watch implements Runnable {
    private final Thread thread =
        Thread.ofPlatform().daemon().name("precis-interrupts").start(this);
    private volatile boolean over;

    @Override
    public void run() {
      while (!over) {
        if (cancelled.getAsBoolean() || timeIsOver()) {
          ops.cancel(true);
          return;
        }
        LockSupport.parkNanos(POLL_NANOS);
      }
    }

    /** Waits until the thread has ended, so that it cancels nothing later. */
    void end() {
      over = true;
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
