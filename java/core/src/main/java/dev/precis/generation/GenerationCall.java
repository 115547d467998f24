package dev.precis.generation;

import dev.precis.io.PendingCall;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A request that a model has accepted: it waits, runs, and ends with results, an exception or a
 * cancellation. Its listeners are called by {@link #await}, on the thread that awaits: however slow
 * they are, they hold up nobody else.
 *
 * <p>Thread-safe; one thread at a time should await.
 */
public final class GenerationCall implements AutoCloseable {
  private enum State {
    WAITING,
    RUNNING,
    DONE
  }

  private final GenerationRequest request;
  private final TokenListener onToken;
  private final ResultListener onResult;
  private final AtomicInteger waiting;
  private final PendingCall<List<List<GeneratedTokens>>> pending =
      new PendingCall<>("Generation", this::cancel);
  private State state = State.WAITING; // guarded by this
  private volatile boolean cancelled;

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
    return pending.await();
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
    pending.fail(new CancellationException("Generation was cancelled before it began."));
  }

  /** Returns whether the request has ended, with results or without. */
  public boolean isDone() {
    return pending.isDone();
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

  /** Passes a token on, if anyone wants it. */
  void token(int source, int sequence, int token, float logProbability) {
    if (onToken != null) {
      pending.callback(() -> onToken.token(source, sequence, token, logProbability));
    }
  }

  /** Passes the alternatives to the next token on, if anyone wants them. */
  void alternatives(int source, int sequence, int[] tokens, float[] logProbabilities) {
    if (onToken != null) {
      pending.callback(() -> onToken.alternatives(source, sequence, tokens, logProbabilities));
    }
  }

  /** Passes a source's results on, if anyone wants them. */
  void result(int source, List<GeneratedTokens> of) {
    if (onResult != null) {
      pending.callback(() -> onResult.done(source, of));
    }
  }

  /** Calls the listeners for what there is, without waiting. */
  void runListeners() {
    pending.runCallbacks();
  }

  /** Ends the request, which runs, with its results. */
  void complete(List<List<GeneratedTokens>> all) {
    pending.complete(all);
  }

  /** Ends the request, whether it runs or waits, with an exception. */
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
    pending.fail(reason);
  }
}
