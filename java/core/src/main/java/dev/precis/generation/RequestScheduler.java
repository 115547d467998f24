package dev.precis.generation;

import dev.precis.io.InvalidInputException;
import dev.precis.t5.T5Model;
import dev.precis.t5.T5Weights.Adapters;
import dev.precis.tensor.Ragged;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;

/**
 * Accepts the requests of many threads and runs them on one.
 *
 * <p>{@link #accept} may be called by any thread, {@link #add} and {@link #step} by the thread that
 * runs the model alone.
 */
public final class RequestScheduler implements AutoCloseable {
  private final T5Model model;
  private final Generator generator;
  private final Function<String, Adapters> adapters;
  private final int maxWaiting;
  private final AtomicInteger waiting = new AtomicInteger();
  private volatile int running;
  private final Deque<GenerationCall> queue = new ArrayDeque<>();

  /**
   * Makes a scheduler for a model, which must outlive it. The caller must close it.
   *
   * @param adapters gives the adapters of a name, the default ones for null; null if there are none
   *     of this name
   * @param maxRows sequences of all requests in one step; not followed while one request runs
   * @param maxCacheBytes of the KV cache of all requests; not followed while one request runs
   * @param maxWaiting the most requests that wait
   */
  public RequestScheduler(
      T5Model model,
      Function<String, Adapters> adapters,
      int maxRows,
      long maxCacheBytes,
      int maxWaiting) {
    this.model = model;
    this.adapters = adapters;
    this.maxWaiting = maxWaiting;
    generator = new Generator(model);
  }

  /**
   * Checks a request and makes a call that waits, which {@link #add} takes over.
   *
   * @param onToken receives each token as it is chosen; null for none
   * @param onResult receives each source's results as they are complete; null for none
   * @throws InvalidInputException if a source is empty, longer than maxSourceTokens, or has an id
   *     outside the vocabulary, if a rule of the options has one, or if the model keeps no such
   *     adapter
   * @throws TooManyRequestsException if too many requests wait already
   */
  public GenerationCall accept(
      GenerationRequest request, TokenListener onToken, ResultListener onResult) {
    generator.check(request.sources(), request.options());
    Ragged.check(request.sources(), model.config().vocabSize());
    adapters(request);
    if (waiting.incrementAndGet() > maxWaiting) {
      waiting.decrementAndGet();
      throw new TooManyRequestsException(maxWaiting);
    }
    return new GenerationCall(request, onToken, onResult, waiting);
  }

  private Adapters adapters(GenerationRequest request) {
    Adapters found = adapters.apply(request.adapter());
    if (found == null) {
      throw new InvalidInputException(
          "The model keeps no adapter of the name " + request.adapter() + ": add it first.");
    }
    return found;
  }

  /** Adds a call to those that wait. */
  public void add(GenerationCall call) {
    queue.add(call);
  }

  /** Returns what the model is doing. */
  public BatchLoad load() {
    return new BatchLoad(waiting.get(), running, 0, 0, 0, 0);
  }

  /** Runs the oldest call and returns whether others wait. */
  public boolean step() {
    GenerationCall call = queue.poll();
    if (call != null && call.begin()) {
      running = 1;
      try {
        run(call);
      } catch (Throwable e) {
        call.fail(e);
      }
      running = 0;
    }
    return !queue.isEmpty();
  }

  private void run(GenerationCall call) {
    GenerationRequest request = call.request();
    model.weights().use(adapters(request));
    try {
      call.complete(
          generator.generate(
              request.sources(),
              request.options(),
              request.batchSize(),
              request.firstSource(),
              call.wantsTokens() ? call::token : null,
              call.wantsResults() ? call::result : null,
              call::isCancelled));
    } finally {
      model.weights().use(adapters.apply(null));
    }
  }

  @Override
  public void close() {
    generator.close();
  }
}
