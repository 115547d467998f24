package dev.precis.server.http;

import io.helidon.http.HeaderNames;
import io.helidon.http.HeaderValues;
import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http.ServerResponse;

/** Answers requests that reach no endpoint. */
final class Refusals {
  private Refusals() {}

  /** Sends a failure and ends the connection, because the request's body is not read. */
  static void send(ServerRequest request, ServerResponse response, HttpFailure failure) {
    response.status(failure.status());
    response.header(HeaderValues.CONTENT_TYPE_JSON);
    endConnection(request, response);
    if (failure.retryable()) {
      response.header(HeaderNames.RETRY_AFTER, "1");
    }
    response.send(failure.json());
  }

  /** Ends the connection after the response; HTTP/2 has no such header, and ends a stream alone. */
  static void endConnection(ServerRequest request, ServerResponse response) {
    if (request.prologue().protocolVersion().startsWith("1")) {
      response.headers().set(HeaderValues.CONNECTION_CLOSE);
    }
  }
}
