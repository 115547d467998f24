package dev.precis.server.http;

/** Answers the requests of one path. */
@FunctionalInterface
public interface Endpoint {
  /**
   * Answers a request: sends one response, or an event stream that it ends.
   *
   * @throws HttpFailure if the request is refused or fails
   * @throws dev.precis.io.InvalidInputException if the request asks for something that cannot be
   */
  void handle(Exchange exchange);
}
