package dev.precis.generation;

import dev.precis.io.InvalidInputException;
import dev.precis.t5.T5Model;
import dev.precis.t5.T5Weights.Adapters;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;

/**
 * Accepts the requests of many threads and runs them on one, in one batch.
 *
 * <p>{@link #accept} and {@link #load} may be called by any thread, {@link #add} and {@link #step}
 * by the thread that runs the model alone.
 */
public final class RequestScheduler implements AutoCloseable {
  private final T5Model model;
  private final RequestRunner runner;
  private final Function<String, Adapters> adapters;
  private final int maxWaiting;
  private final AtomicInteger waiting = new AtomicInteger();
  private volatile BatchLoad load = new BatchLoad(0, 0, 0, 0, 0, 0, 0, 0);

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
    runner = new RequestRunner(model, maxRows, maxCacheBytes);
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
    request.check(model.config().vocabSize());
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
    try {
      if (call.request().sources().isEmpty()) {
        if (call.begin()) {
          call.complete(List.of());
        }
        return;
      }
      runner.add(call, adapters(call.request()), call::isCancelled);
    } catch (RuntimeException | Error e) {
      call.fail(e); // such as: its adapter was removed meanwhile
    }
  }

  /** Returns what the model is doing. */
  public BatchLoad load() {
    BatchLoad last = load;
    return new BatchLoad(
        waiting.get(),
        last.running(),
        last.rows(),
        last.cacheBytes(),
        last.steps(),
        last.tokens(),
        last.drafted(),
        last.accepted());
  }

  /** Does a step of everything that runs, and returns whether there is more to do. */
  public boolean step() {
    boolean more = runner.step();
    if (!more) {
      adapters.apply(null).use(); // for who uses the model without requests
    }
    RowBatch rows = runner.rows();
    load =
        new BatchLoad(
            0,
            runner.running(),
            rows.rows(),
            rows.cacheBytes(),
            rows.steps(),
            rows.tokens(),
            rows.drafted(),
            rows.accepted());
    return more;
  }

  @Override
  public void close() {
    runner.close();
  }
}
