package dev.precis.server.review;

import dev.precis.server.http.Exchange;

/** Answers the requests of one path that a known person sends. */
@FunctionalInterface
interface ReviewEndpoint {
  /**
   * Answers a request.
   *
   * @param reviewer the name of who sends it
   */
  void handle(Exchange exchange, String reviewer);
}
