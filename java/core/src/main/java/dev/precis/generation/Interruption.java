package dev.precis.generation;

import dev.precis.device.NativeException;
import dev.precis.ops.Ops;
import java.time.Duration;
import java.util.concurrent.CancellationException;
import java.util.concurrent.locks.LockSupport;

/**
 * Ends a call whose thread is interrupted or whose time is over: between two operations by {@link
 * #check}, and inside long ones, which do not look, by {@link #watch}.
 */
final class Interruption {
  private static final long POLL_NANOS = 10_000_000;

  private final Ops ops;
  private final Thread caller = Thread.currentThread();
  private final long start = System.nanoTime();
  private final Duration timeout;

  /**
   * Begins a call of the current thread.
   *
   * @param timeout after which the call ends; null: never
   */
  Interruption(Ops ops, Duration timeout) {
    this.ops = ops;
    this.timeout = timeout;
  }

  private boolean timeIsOver() {
    return timeout != null && System.nanoTime() - start > timeout.toNanos();
  }

  /**
   * Returns if the call may continue.
   *
   * @throws CancellationException if the thread was interrupted; its interrupt status is cleared
   * @throws GenerationTimeoutException if the time is over
   */
  void check() {
    if (Thread.interrupted()) {
      throw new CancellationException("Generation was interrupted.");
    }
    if (timeIsOver()) {
      throw new GenerationTimeoutException(timeout);
    }
  }

  /**
   * Runs operations that take long, and cancels them when the call must end.
   *
   * @throws CancellationException if the thread was interrupted; its interrupt status is cleared
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

  /** A thread that looks after the caller while that is inside the library. */
  private final class Watch implements Runnable {
    private final Thread thread =
        Thread.ofPlatform().daemon().name("precis-interrupts").start(this);
    private volatile boolean over;

    @Override
    public void run() {
      while (!over) {
        if (caller.isInterrupted() || timeIsOver()) {
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
