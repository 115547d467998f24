package dev.precis.server.http;

import io.helidon.http.DirectHandler;
import io.helidon.http.DirectHandler.EventType;
import io.helidon.http.DirectHandler.TransportResponse;
import io.helidon.http.HeaderValues;
import io.helidon.http.NotFoundException;
import io.helidon.http.Status;
import io.helidon.webserver.http.DirectHandlers;
import io.helidon.webserver.http.HttpRouting;

/** The failures that the web server itself meets, in the form of the others. */
public final class DirectFailures {
  private DirectFailures() {}

  /** Returns the handlers of what fails before a request is routed. */
  public static DirectHandlers handlers() {
    DirectHandlers.Builder builder = DirectHandlers.builder();
    DirectHandler handler =
        (request, event, status, headers, message) ->
            TransportResponse.builder()
                .status(status)
                .headers(headers)
                .header(HeaderValues.CONTENT_TYPE_JSON)
                .keepAlive(false)
                .entity(failure(status).json())
                .build();
    for (EventType event : EventType.values()) {
      builder.addHandler(event, handler);
    }
    return builder.build();
  }

  /** Returns what a client is told of a status of the web server itself. */
  static HttpFailure failure(Status status) {
    int code = status.code();
    if (code == 413) {
      return HttpFailure.invalid(413, null, null, "The request's body is longer than is allowed.");
    }
    return code < 500
        ? HttpFailure.invalid(code, null, null, "The request is not valid HTTP, or is too long.")
        : HttpFailure.ofServer(code, null, "The server cannot answer this request.");
  }

  /**
   * Answers the requests that no other route has answered.
   *
   * @param hint names a path that there is, as a part of a sentence
   */
  public static void addTo(HttpRouting.Builder routing, String hint) {
    routing.error(
        NotFoundException.class,
        (request, response, failure) ->
            Refusals.send(
                request,
                response,
                HttpFailure.invalid(
                    404,
                    "not_found",
                    null,
                    "There is no such path here, or not for this method; " + hint + ".")));
  }
}
