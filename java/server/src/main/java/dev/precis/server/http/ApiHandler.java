package dev.precis.server.http;

import dev.precis.generation.GenerationTimeoutException;
import dev.precis.io.InvalidInputException;
import dev.precis.server.http.Exchange.ClientGoneException;
import dev.precis.server.http.TimeLimits.TimeLimitException;
import io.helidon.http.HttpException;
import io.helidon.http.RequestException;
import io.helidon.webserver.CloseConnectionException;
import io.helidon.webserver.http.Handler;
import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http.ServerResponse;
import java.util.UUID;
import java.util.concurrent.CancellationException;
import java.util.concurrent.RejectedExecutionException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Calls an endpoint within the limits and turns its failures into responses. */
public final class ApiHandler implements Handler {
  private static final Logger LOG = LoggerFactory.getLogger(ApiHandler.class);

  private final Endpoint endpoint;
  private final Limits limits;
  private final TimeLimits clock;

  /** Makes the handler of an endpoint. */
  public ApiHandler(Endpoint endpoint, Limits limits, TimeLimits clock) {
    this.endpoint = endpoint;
    this.limits = limits;
    this.clock = clock;
  }

  @Override
  public void handle(ServerRequest request, ServerResponse response) {
    Exchange exchange = new Exchange(request, response, limits, clock);
    try {
      try {
        clock.within(
            limits.requestTime(),
            "The request took longer than %d seconds, which is the most here: ask for less."
                .formatted(limits.requestTime().toSeconds()),
            () -> endpoint.handle(exchange));
      } catch (ClientGoneException e) {
        throw e;
      } catch (RuntimeException | Error e) {
        exchange.fail(failure(e));
      }
    } catch (ClientGoneException e) {
      throw new CloseConnectionException(e.getMessage(), e);
    }
  }

  private static HttpFailure failure(Throwable thrown) {
    return switch (thrown) {
      case HttpFailure e -> e;
      case RequestException e -> DirectFailures.failure(e.status());
      case HttpException e -> DirectFailures.failure(e.status()); // such as: a body is too large
      case InvalidInputException e -> HttpFailure.badRequest(null, sentence(e));
      case TimeLimitException e -> HttpFailure.ofServer(504, "timeout", e.getMessage());
      case GenerationTimeoutException e -> HttpFailure.ofServer(504, "timeout", e.getMessage());
      case RejectedExecutionException e ->
          HttpFailure.tooManyRequests("Too many requests are waiting: try again later.");
      case CancellationException e -> stopping();
      default -> {
        String id = UUID.randomUUID().toString();
        LOG.error("Request {} failed", id, thrown);
        yield HttpFailure.ofServer(
            500, null, "Internal error; the server's log says more under " + id + ".");
      }
    };
  }

  private static HttpFailure stopping() {
    return HttpFailure.ofServer(503, "stopping", "The server is stopping: try again elsewhere.");
  }

  private static String sentence(InvalidInputException e) {
    String message = e.getMessage();
    return message.endsWith(".") ? message : message + ".";
  }
}
