package dev.precis.server;

import dev.precis.server.api.CompletionsEndpoint;
import dev.precis.server.http.ApiHandler;
import dev.precis.server.http.Endpoint;
import dev.precis.server.http.Limits;
import dev.precis.server.http.TimeLimits;
import dev.precis.server.models.ServedModels;
import io.helidon.webserver.WebServer;
import io.helidon.webserver.http.HttpRouting;
import java.net.URI;
import java.util.Locale;

/**
 * An HTTP server for models, in the form of OpenAI's API.
 *
 * <pre>{@code
 * ServedModels models = new ServedModels();
 * models.add("flan-t5-base", T5.load(Path.of("flan-t5-base")));
 * try (models; Server server = Server.start(models, ServerOptions.DEFAULT)) {
 *   System.out.println(server.address());
 *   ...
 * }
 * }</pre>
 */
public final class Server implements AutoCloseable {
  private final TimeLimits clock = new TimeLimits();
  private final Limits limits;
  private final WebServer web;

  private Server(ServedModels models, ServerOptions options) {
    limits = options.limits();
    web =
        WebServer.builder()
            .address(options.address())
            .port(options.port())
            .shutdownHook(false)
            .maxPayloadSize(limits.bodyBytes())
            .maxTcpConnections(limits.connections())
            .routing(routing -> routes(routing, models))
            .build();
  }

  /**
   * Starts a server.
   *
   * @param models to serve; the caller closes them, after the server
   * @throws RuntimeException if it cannot listen on the address and port
   */
  public static Server start(ServedModels models, ServerOptions options) {
    Server server = new Server(models, options);
    try {
      server.web.start();
    } catch (RuntimeException | Error e) {
      server.clock.close();
      throw e;
    }
    return server;
  }

  private void routes(HttpRouting.Builder routing, ServedModels models) {
    routing.post("/v1/completions", handler(new CompletionsEndpoint(models)));
  }

  private ApiHandler handler(Endpoint endpoint) {
    return new ApiHandler(endpoint, limits, clock);
  }

  /** Returns the address that it listens on. */
  public URI address() {
    String host = web.prototype().address().getHostAddress();
    String shown = host.contains(":") ? "[" + host + "]" : host;
    return URI.create("http://%s:%d/".formatted(shown, web.port()).toLowerCase(Locale.ROOT));
  }

  /** Stops listening and ends the requests that run. */
  @Override
  public void close() {
    web.stop();
    clock.close();
  }
}
