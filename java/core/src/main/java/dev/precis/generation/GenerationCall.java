package dev.precis.generation;

import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CancellationException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A request that a model has accepted: it waits, runs, and ends with results, an exception or a
 * cancellation. Its listeners are called by {@link #await}, on the thread that awaits: however slow
 * they are, they hold up nobody else.
 *
 * <p>Thread-safe; one thread at a time should await.
 */
public final class GenerationCall implements AutoCloseable {
  /** Ends the events. */
  private static final Runnable LAST = () -> {};

  private enum State {
    WAITING,
    RUNNING,
    DONE
  }

  private final GenerationRequest request;
  private final TokenListener onToken;
  private final ResultListener onResult;
  private final AtomicInteger waiting;
  private final BlockingQueue<Runnable> events = new LinkedBlockingQueue<>();
  private State state = State.WAITING; // guarded by this
  private volatile boolean cancelled;
  private volatile boolean done;
  private List<List<GeneratedTokens>> results; // written before done
  private Throwable failure; // written before done

  /**
   * Makes a call that waits.
   *
   * @param onToken null: none
   * @param onResult null: none
   * @param waiting counts the calls that wait; the call takes itself out
   */
  GenerationCall(
      GenerationRequest request,
      TokenListener onToken,
      ResultListener onResult,
      AtomicInteger waiting) {
    this.request = request;
    this.onToken = onToken;
    this.onResult = onResult;
    this.waiting = waiting;
  }

  /** Returns the request. */
  public GenerationRequest request() {
    return request;
  }

  /**
   * Waits until the request is complete and meanwhile calls its listeners on this thread. If a
   * listener throws, the request is cancelled and this throws the same.
   *
   * @return for each source, in order, numReturnSequences results, the best first
   * @throws CancellationException if the request was cancelled, or this thread is interrupted,
   *     which cancels it
   * @throws GenerationTimeoutException if the options' timeout passes
   */
  public List<List<GeneratedTokens>> await() {
    Throwable thrown = null;
    boolean interrupted = false;
    boolean complete = true; // every listener was called
    while (true) {
      Runnable event;
      try {
        event = events.take();
      } catch (InterruptedException e) {
        interrupted = true;
        cancel();
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
        cancel();
      }
    }
    return outcome(thrown, interrupted, complete);
  }

  /** Calls the listeners for what there is, without waiting. */
  void runEvents() {
    for (Runnable event = events.peek(); event != null && event != LAST; event = events.peek()) {
      events.remove();
      event.run();
    }
  }

  private List<List<GeneratedTokens>> outcome(
      Throwable thrown, boolean interrupted, boolean complete) {
    boolean ended = failure instanceof CancellationException || !complete;
    if (interrupted && thrown == null && ended) {
      throw new CancellationException("Generation was interrupted.");
    }
    if (interrupted) {
      // The caller has yet to see the interrupt: the call was faster, or ends for another reason.
      Thread.currentThread().interrupt();
    }
    return switch (thrown != null ? thrown : failure) {
      case null -> results;
      case RuntimeException e -> throw e;
      case Error e -> throw e;
      case Throwable e -> throw new AssertionError(e);
    };
  }

  /**
   * Cancels the request unless it is complete: one that waits ends at once, one that runs leaves
   * the batch after the step, or the piece of the encoder, that is running.
   */
  public void cancel() {
    cancelled = true;
    synchronized (this) {
      if (state != State.WAITING) {
        return;
      }
      state = State.DONE;
    }
    waiting.decrementAndGet();
    end(null, new CancellationException("Generation was cancelled before it began."));
  }

  /** Returns whether the request has ended, with results or without. */
  public boolean isDone() {
    return done;
  }

  /** Cancels the request unless it is complete. */
  @Override
  public void close() {
    cancel();
  }

  /** Returns whether the request is to end. */
  boolean isCancelled() {
    return cancelled;
  }

  /** Begins to run, unless the request was cancelled before. */
  boolean begin() {
    synchronized (this) {
      if (state != State.WAITING) {
        return false;
      }
      state = State.RUNNING;
    }
    waiting.decrementAndGet();
    return true;
  }

  /** Returns whether each token is to be passed on. */
  boolean wantsTokens() {
    return onToken != null;
  }

  /** Returns whether each source's results are to be passed on. */
  boolean wantsResults() {
    return onResult != null;
  }

  void token(int source, int sequence, int token, float logProbability) {
    events.add(() -> onToken.token(source, sequence, token, logProbability));
  }

  void result(int source, List<GeneratedTokens> of) {
    events.add(() -> onResult.done(source, of));
  }

  /** Ends the request with its results. */
  void complete(List<List<GeneratedTokens>> all) {
    end(all, null);
  }

  /** Ends the request, whether it runs or waits. */
  void fail(Throwable reason) {
    synchronized (this) {
      if (state == State.DONE) {
        return;
      }
      if (state == State.WAITING) {
        waiting.decrementAndGet();
      }
      state = State.DONE;
    }
    end(null, reason);
  }

  private void end(List<List<GeneratedTokens>> all, Throwable reason) {
    results = all;
    failure = reason;
    done = true;
    events.add(LAST);
  }
}
