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
 * <p>A caller that is interrupted interrupts its own call, or takes it back if it has not begun.
 */
final class EngineThread {
  private final String owner;
  private final BlockingQueue<Call<?>> calls = new LinkedBlockingQueue<>();
  private final Thread thread;
  private Call<?> running; // guarded by this
  private boolean closed; // guarded by this

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
            .unstarted(this::work);
    // The host's loader would stay reachable as long as the model.
    thread.setContextClassLoader(EngineThread.class.getClassLoader());
    thread.start();
  }

  /** A call, and what it wants its caller to run meanwhile. */
  private final class Call<T> {
    private final Supplier<T> work;
    private final BlockingQueue<Runnable> forCaller = new LinkedBlockingQueue<>();
    private final Thread caller = Thread.currentThread();
    private final boolean last;
    private boolean cancelled; // guarded by the engine thread's object
    private T result;
    private Throwable failure;
    private boolean done; // written and read by the caller alone

    Call(Supplier<T> work, boolean last) {
      this.work = work;
      this.last = last;
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
      forCaller.add(() -> done = true);
    }

    void cancel() {
      synchronized (EngineThread.this) {
        cancelled = true;
        if (running == this) {
          thread.interrupt();
        }
      }
    }

    /** Waits on the caller's thread, and runs there what the call asks for. */
    T await() {
      boolean interrupted = false;
      while (!done) {
        try {
          forCaller.take().run();
        } catch (InterruptedException e) {
          interrupted = true;
          cancel();
        }
      }
      if (interrupted && !(failure instanceof CancellationException)) {
        // The call was faster than the interrupt, which the caller has yet to see.
        caller.interrupt();
      }
      rethrow(failure);
      return result;
    }
  }

  private void work() {
    try {
      Call<?> call;
      do {
        call = calls.take();
        call.run();
      } while (!call.last);
    } catch (InterruptedException e) {
      throw new AssertionError("only a running call is interrupted", e);
    }
  }

  /**
   * Runs a call on the engine's thread when all earlier ones are complete, and waits for it.
   *
   * @throws CancellationException if the caller was interrupted
   * @throws IllegalStateException if the engine is closed, or the caller is inside a call already
   */
  <T> T run(Supplier<T> work) {
    return submit(work, false).await();
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
              true);
      closed = true;
    }
    call.await();
  }

  private synchronized <T> Call<T> submit(Supplier<T> work, boolean last) {
    if (closed) {
      throw new IllegalStateException("This " + owner + " is closed.");
    }
    Thread current = Thread.currentThread();
    if (current == thread || (running != null && running.caller == current)) {
      throw new IllegalStateException(
          "This " + owner + " is called from a callback of its own call: call it afterwards.");
    }
    Call<T> call = new Call<>(work, last);
    calls.add(call);
    return call;
  }

  /**
   * Has the present call's caller run something on its own thread, and waits for it. Called by the
   * call, on the engine's thread. What it throws, this throws.
   */
  void onCaller(Runnable callback) {
    Call<?> call;
    synchronized (this) {
      call = running;
    }
    CountDownLatch ready = new CountDownLatch(1);
    Throwable[] failure = new Throwable[1];
    call.forCaller.add(
        () -> {
          try {
            callback.run();
          } catch (Throwable e) {
            failure[0] = e;
          } finally {
            ready.countDown();
          }
        });
    boolean interrupted = false;
    while (true) {
      try {
        ready.await();
        break;
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      thread.interrupt();
    }
    rethrow(failure[0]);
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
