package dev.precis.server;

import dev.precis.T5;
import dev.precis.io.InvalidInputException;
import dev.precis.server.api.ChatEndpoint;
import dev.precis.server.api.CompletionsEndpoint;
import dev.precis.server.api.EmbeddingsEndpoint;
import dev.precis.server.api.ModelsEndpoint;
import dev.precis.server.api.ModerationsEndpoint;
import dev.precis.server.api.RerankEndpoint;
import dev.precis.server.api.TokenizeEndpoint;
import dev.precis.server.http.AccessFilter;
import dev.precis.server.http.ApiHandler;
import dev.precis.server.http.DirectFailures;
import dev.precis.server.http.Draining;
import dev.precis.server.http.Endpoint;
import dev.precis.server.http.Listener;
import dev.precis.server.http.ShortRequests;
import dev.precis.server.http.TimeLimits;
import dev.precis.server.metrics.RequestMetrics;
import dev.precis.server.metrics.ServerMetrics;
import dev.precis.server.models.ServedModels;
import dev.precis.server.pages.Playground;
import io.helidon.health.HealthCheckResponse;
import io.helidon.health.HealthCheckType;
import io.helidon.webserver.http.HttpRouting;
import io.helidon.webserver.observe.ObserveFeature;
import io.helidon.webserver.observe.health.HealthObserver;
import io.helidon.webserver.observe.metrics.MetricsObserver;
import java.net.URI;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * An HTTP server for models, in the form of OpenAI's API.
 *
 * <pre>{@code
 * try (ServedModels models = new ServedModels()) {
 *   models.add("flan-t5-base", T5.load(Path.of("flan-t5-base")));
 *   try (Server server = Server.start(models, new ServerOptions().port(8080))) {
 *     ...
 *   }
 * }
 * }</pre>
 */
public final class Server implements AutoCloseable {
  private final TimeLimits clock = new TimeLimits();
  private final ServerMetrics metrics = new ServerMetrics();
  private final Draining draining = new Draining();
  private final ServerOptions options;
  private final Listener listener;

  private Server(ServedModels models, ServerOptions options) {
    this.options = options;
    listener =
        new Listener(
            options.address(),
            options.port(),
            options.limits(),
            options.certificates(),
            options.privateKey(),
            builder -> builder.addFeature(observers()).routing(routing -> routes(routing, models)));
  }

  /**
   * Starts a server.
   *
   * @param models to serve; the caller closes them, after the server
   * @throws InvalidInputException if the options do not fit together, or name files that cannot be
   *     used
   * @throws java.io.UncheckedIOException if it cannot listen on the address and port
   */
  public static Server start(ServedModels models, ServerOptions options) {
    options.check();
    Server server = new Server(models, options);
    try {
      server.listener.start();
    } catch (RuntimeException | Error e) {
      server.clock.close();
      server.metrics.close();
      throw e;
    }
    return server;
  }

  private ObserveFeature observers() {
    return ObserveFeature.builder()
        .observersDiscoverServices(false)
        .endpoint("/")
        .addObserver(
            HealthObserver.builder()
                .endpoint("/health")
                .useSystemServices(false)
                .details(true)
                .addCheck(
                    () -> HealthCheckResponse.builder().status(true).build(),
                    HealthCheckType.LIVENESS,
                    "server")
                .addCheck(
                    () -> HealthCheckResponse.builder().status(!draining.isDraining()).build(),
                    HealthCheckType.READINESS,
                    "models")
                .build())
        .addObserver(MetricsObserver.builder().endpoint("/metrics").build())
        .build();
  }

  private void routes(HttpRouting.Builder routing, ServedModels models) {
    Map<String, Endpoint> posts = new TreeMap<>();
    posts.put("/v1/completions", new CompletionsEndpoint(models, metrics));
    posts.put("/v1/chat/completions", new ChatEndpoint(models, metrics, options.template()));
    posts.put("/v1/embeddings", new EmbeddingsEndpoint(models, metrics));
    posts.put("/v1/moderations", new ModerationsEndpoint(models, metrics));
    posts.put("/v1/rerank", new RerankEndpoint(models, metrics));
    posts.put("/v1/tokenize", new TokenizeEndpoint(models));
    Set<String> counted = new HashSet<>(posts.keySet());
    counted.add("/v1/models");
    routing.addFilter(new RequestMetrics(metrics, counted));
    routing.addFilter(new ShortRequests(options.limits(), clock));
    routing.addFilter(draining);
    routing.addFilter(
        new AccessFilter(
            Listener.names(options.address(), options.hosts()),
            options.key(),
            List.of("/", "/style.css", "/playground.js", "/health/live", "/health/ready")));
    posts.forEach((path, endpoint) -> routing.post(path, handler(endpoint)));
    ApiHandler listing = handler(new ModelsEndpoint(models));
    routing.get("/v1/models", listing);
    routing.get("/v1/models/*", listing);
    routing.register(Playground.files());
    models.engines().forEach(this::gauges);
    DirectFailures.addTo(routing, "GET /v1/models lists the models");
  }

  private ApiHandler handler(Endpoint endpoint) {
    return new ApiHandler(endpoint, options.limits(), clock);
  }

  private void gauges(String name, T5 t5) {
    metrics.gauge(
        "precis.queue", "Requests that wait", name, () -> (long) t5.batchLoad().waiting());
    metrics.gauge(
        "precis.running", "Requests that run", name, () -> (long) t5.batchLoad().running());
    metrics.gauge(
        "precis.batch", "Sequences of a decoding step", name, () -> (long) t5.batchLoad().rows());
    metrics.gauge(
        "precis.kv.bytes", "Memory of keys and values", name, () -> t5.batchLoad().cacheBytes());
  }

  /** Returns the address that it listens on. */
  public URI address() {
    return listener.uri();
  }

  /**
   * Refuses new requests with 503 and waits until those that run are complete.
   *
   * @param patience the longest wait
   * @return false if the wait was too short for some requests
   * @throws InterruptedException if the thread is interrupted meanwhile
   */
  public boolean drain(Duration patience) throws InterruptedException {
    return draining.drain(patience);
  }

  /** Stops listening and ends the requests that run. */
  @Override
  public void close() {
    listener.close();
    clock.close();
    metrics.close();
  }
}
