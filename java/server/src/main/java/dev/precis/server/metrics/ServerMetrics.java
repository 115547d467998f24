package dev.precis.server.metrics;

import io.helidon.metrics.api.Counter;
import io.helidon.metrics.api.Gauge;
import io.helidon.metrics.api.Meter;
import io.helidon.metrics.api.MeterRegistry;
import io.helidon.metrics.api.Tag;
import io.helidon.metrics.api.Timer;
import io.helidon.service.registry.Services;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;

/** Counts requests and tokens and measures their times. Thread-safe. */
public final class ServerMetrics implements AutoCloseable {
  private static final Duration[] FIRST_TOKEN = seconds(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100);
  private static final Duration[] PER_TOKEN = seconds(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1);
  private static final Duration[] REQUEST = seconds(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300);

  private final MeterRegistry registry = Services.get(MeterRegistry.class);
  private final Set<Meter> own = ConcurrentHashMap.newKeySet();

  private static Duration[] seconds(double... seconds) {
    Duration[] all = new Duration[seconds.length];
    for (int i = 0; i < all.length; i++) {
      all[i] = Duration.ofNanos(Math.round(seconds[i] * 1e9));
    }
    return all;
  }

  /** The times of one request for text. One thread uses it. */
  public final class Generation {
    private final String model;
    private final int sequences;
    private final long begin = System.nanoTime();
    private long first;
    private long last;
    private int tokens;

    private Generation(String model, int sequences) {
      this.model = model;
      this.sequences = sequences;
    }

    /** Takes the time of a token. */
    public void token() {
      last = System.nanoTime();
      if (tokens++ == 0) {
        first = last;
      }
    }

    /**
     * Counts the request's tokens, when it has ended in whatever way.
     *
     * @param generated number of tokens that the results have
     */
    public void end(int generated) {
      tokens("generated", model).increment(generated);
      if (tokens > 0) {
        timer("precis.first.token", "Time to the first token", FIRST_TOKEN, "model", model)
            .record(Duration.ofNanos(first - begin));
      }
      if (tokens > sequences) {
        timer("precis.token.time", "Time per token after the first one", PER_TOKEN, "model", model)
            .record(Duration.ofNanos((last - first) * sequences / (tokens - sequences)));
      }
    }
  }

  /**
   * Begins to measure a request for text.
   *
   * @param model name of the model
   * @param promptTokens tokens of its prompts
   * @param sequences results that it asks for
   */
  public Generation generation(String model, int promptTokens, int sequences) {
    tokens("prompt", model).increment(promptTokens);
    return new Generation(model, sequences);
  }

  /** Counts the tokens of texts that are only read. */
  public void read(String model, int promptTokens) {
    tokens("prompt", model).increment(promptTokens);
  }

  /**
   * Counts a request.
   *
   * @param endpoint its path, one of few
   * @param status of its response, or a word if there was none
   */
  public void request(String endpoint, String status, Duration time) {
    own(Counter.builder("precis.requests")
            .description("Requests by path and status")
            .addTag(Tag.create("endpoint", endpoint))
            .addTag(Tag.create("status", status)))
        .increment();
    timer("precis.request.time", "Time of a request", REQUEST, "endpoint", endpoint).record(time);
  }

  /** Shows a number of a model as it is at the time of asking. */
  public void gauge(String name, String description, String model, Supplier<Long> value) {
    own(Gauge.builder(name, value).description(description).addTag(Tag.create("model", model)));
  }

  private Counter tokens(String kind, String model) {
    return own(
        Counter.builder("precis.tokens")
            .description("Tokens of prompts and of generated texts")
            .addTag(Tag.create("kind", kind))
            .addTag(Tag.create("model", model)));
  }

  private Timer timer(
      String name, String description, Duration[] buckets, String tag, String value) {
    return own(
        Timer.builder(name)
            .description(description)
            .buckets(buckets)
            .percentiles(new double[0])
            .addTag(Tag.create(tag, value)));
  }

  private <B extends Meter.Builder<B, M>, M extends Meter> M own(B builder) {
    M meter = registry.getOrCreate(builder);
    own.add(meter);
    return meter;
  }

  /** Forgets the numbers: another server of this process counts anew. */
  @Override
  public void close() {
    List.copyOf(own).forEach(registry::remove);
  }
}
