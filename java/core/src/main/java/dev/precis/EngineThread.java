package dev.precis;

import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.function.Supplier;

/**
 * The thread that a model's calls run on, one after another, in the order in which they came. It is
 * pinned to a core as the workers are; the callers only wait, and stay as they were.
 *
 * <p>Beside the calls it has work of many steps, the batch of requests: messages to it are handled
 * between its steps, and a call runs when all work that was there before it is complete.
 *
 * <p>A caller that is interrupted interrupts its own call, or takes it back if it has not begun.
 */
final class EngineThread {
  /** Work of many steps. */
  @FunctionalInterface
  interface Work {
    /** Does a step and returns whether there is more to do; one that has nothing to do returns. */
    boolean step();
  }

  private final String owner;
  private final BlockingQueue<Call<?>> calls = new LinkedBlockingQueue<>();
  private final Thread thread;
  private Call<?> running; // guarded by this
  private boolean closed; // guarded by this
  private volatile Work work = () -> false;

  /**
   * Starts the thread.
   *
   * @param owner what it is for, such as {@code model}: messages name it
   */
  EngineThread(String owner) {
    this.owner = owner;
    thread =
        Thread.ofPlatform()
            .daemon()
            .name("precis-engine")
            .inheritInheritableThreadLocals(false)
            .unstarted(this::serve);
    // The host's loader would stay reachable as long as the model.
    thread.setContextClassLoader(EngineThread.class.getClassLoader());
    thread.start();
  }

  private enum Kind {
    /** Runs between two steps of the work. */
    MESSAGE,
    /** Runs when the work is complete. */
    CALL,
    /** Likewise, and ends the thread. */
    LAST
  }

  /** A call of a thread that waits for it. */
  private final class Call<T> {
    private final Supplier<T> work;
    private final CountDownLatch done = new CountDownLatch(1);
    private final Kind kind;
    private boolean cancelled; // guarded by the engine thread's object
    private T result; // written before done
    private Throwable failure; // written before done

    Call(Supplier<T> work, Kind kind) {
      this.work = work;
      this.kind = kind;
    }

    /** Runs the call, on the engine's thread. */
    void run() {
      boolean begins;
      synchronized (EngineThread.this) {
        begins = !cancelled;
        running = this;
      }
      try {
        if (!begins) {
          throw new CancellationException("The call was interrupted before it began.");
        }
        result = work.get();
      } catch (Throwable e) {
        failure = e;
      }
      synchronized (EngineThread.this) {
        running = null;
        Thread.interrupted(); // an interrupt that came too late is nobody else's
      }
      done.countDown();
    }

    void cancel() {
      synchronized (EngineThread.this) {
        cancelled = true;
        if (running == this) {
          thread.interrupt();
        }
      }
    }

    /** Waits on the caller's thread. */
    T await() {
      boolean interrupted = false;
      while (true) {
        try {
          done.await();
          break;
        } catch (InterruptedException e) {
          interrupted = true;
          cancel();
        }
      }
      if (interrupted && !(failure instanceof CancellationException)) {
        // The call was faster than the interrupt, which the caller has yet to see.
        Thread.currentThread().interrupt();
      }
      rethrow(failure);
      return result;
    }
  }

  private void serve() {
    try {
      boolean busy = false; // the work has more to do
      while (true) {
        Call<?> call = busy ? calls.peek() : calls.take();
        if (busy && (call == null || call.kind != Kind.MESSAGE)) {
          busy = work.step();
          continue;
        }
        if (busy) {
          calls.remove();
        }
        call.run();
        if (call.kind == Kind.LAST) {
          return;
        }
        busy |= call.kind == Kind.MESSAGE;
      }
    } catch (InterruptedException e) {
      throw new AssertionError("only a running call is interrupted", e);
    }
  }

  /** Sets the work, whose steps run after each message until it is complete. */
  void work(Work work) {
    this.work = work;
  }

  /**
   * Has the engine's thread handle a message to the work between two of its steps; does not wait.
   *
   * @throws IllegalStateException if the engine is closed
   */
  void post(Runnable message) {
    submit(
        () -> {
          message.run();
          return null;
        },
        Kind.MESSAGE);
  }

  /** Runs a short call between two steps of the work, and waits for it; see {@link #run}. */
  <T> T ask(Supplier<T> work) {
    return submit(work, Kind.MESSAGE).await();
  }

  /**
   * Runs a call on the engine's thread when all earlier ones, and the work that they have made, are
   * complete, and waits for it.
   *
   * @throws CancellationException if the caller was interrupted
   * @throws IllegalStateException if the engine is closed
   */
  <T> T run(Supplier<T> work) {
    return submit(work, Kind.CALL).await();
  }

  /** Runs a last call, after all that were accepted, and ends the thread; once. */
  void close(Runnable work) {
    Call<Void> call;
    synchronized (this) {
      if (closed) {
        return;
      }
      call =
          submit(
              () -> {
                work.run();
                return null;
              },
              Kind.LAST);
      closed = true;
    }
    call.await();
  }

  private synchronized <T> Call<T> submit(Supplier<T> work, Kind kind) {
    if (closed) {
      throw new IllegalStateException("This " + owner + " is closed.");
    }
    if (Thread.currentThread() == thread) {
      throw new IllegalStateException("This " + owner + " is called from its own thread.");
    }
    Call<T> call = new Call<>(work, kind);
    calls.add(call);
    return call;
  }

  /** Throws an unchecked failure; null: there was none. */
  private static void rethrow(Throwable failure) {
    if (failure instanceof RuntimeException exception) {
      throw exception;
    }
    if (failure instanceof Error error) {
      throw error;
    }
    if (failure != null) {
      throw new AssertionError(failure);
    }
  }
}
