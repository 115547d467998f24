package dev.precis.server.review;

import dev.precis.io.Json;
import dev.precis.review.Gate;
import dev.precis.review.comparison.ComparisonSession;
import dev.precis.review.comparison.Ratings;
import dev.precis.server.http.AccessFilter;
import dev.precis.server.http.ApiHandler;
import dev.precis.server.http.DirectFailures;
import dev.precis.server.http.Draining;
import dev.precis.server.http.Exchange;
import dev.precis.server.http.Listener;
import dev.precis.server.http.ShortRequests;
import dev.precis.server.http.TimeLimits;
import dev.precis.server.pages.ReviewPage;
import io.helidon.webserver.http.HttpRouting;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.Map;

/**
 * Serves the page on which people compare summaries, blind, and approve, edit or reject the texts
 * of a gate. Everybody has a token of their own, which stands behind the {@code #} of the page's
 * address, so that no request and no log has it in its address. Managers see how far the answers
 * agree and which candidate wins; they cannot answer, and nobody else gets a candidate's name.
 */
public final class ReviewServer implements AutoCloseable {
  private final TimeLimits clock = new TimeLimits();
  private final Draining draining = new Draining();
  private final ReviewServerOptions options;
  private final ComparisonSession session;
  private final Gate gate;
  private final Reviewers reviewers;
  private final Listener listener;

  private ReviewServer(
      ComparisonSession session,
      Gate gate,
      Map<String, String> tokens,
      Map<String, String> managers,
      ReviewServerOptions options) {
    this.session = session;
    this.gate = gate;
    this.options = options;
    reviewers = new Reviewers(tokens, managers);
    listener =
        new Listener(
            options.address(),
            options.port(),
            options.limits(),
            options.certificates(),
            options.privateKey(),
            builder -> builder.routing(this::routes));
  }

  /**
   * Starts a server.
   *
   * @param session what people compare, which the caller closes after the server; null: nothing
   * @param gate whose queue people decide on, likewise; null: none
   * @param tokens of the people who answer and decide, by their names
   * @param managers tokens of the people who see the agreement, likewise
   * @throws dev.precis.io.InvalidInputException if the certificate cannot be used
   * @throws java.io.UncheckedIOException if it cannot listen on the address and port
   */
  public static ReviewServer start(
      ComparisonSession session,
      Gate gate,
      Map<String, String> tokens,
      Map<String, String> managers,
      ReviewServerOptions options) {
    ReviewServer server = new ReviewServer(session, gate, tokens, managers, options);
    try {
      server.listener.start();
    } catch (RuntimeException | Error e) {
      server.clock.close();
      throw e;
    }
    return server;
  }

  private void routes(HttpRouting.Builder routing) {
    routing.addFilter(new ShortRequests(options.limits(), clock));
    routing.addFilter(draining);
    // No key: every request for data is checked for its person's token.
    routing.addFilter(
        new AccessFilter(Listener.names(options.address(), options.hosts()), null, List.of()));
    routing.get(
        "/v1/review/session",
        new ApiHandler(
            exchange -> describe(exchange, reviewers.require(exchange)), options.limits(), clock));
    if (session != null) {
      ComparisonEndpoints comparisons = new ComparisonEndpoints(session);
      routing.get("/v1/review/next", handler(comparisons::next, false));
      routing.post("/v1/review/choices", handler(comparisons::choose, false));
      routing.post("/v1/review/undo", handler(comparisons::undo, false));
      routing.get("/v1/review/agreement", handler(new AgreementEndpoint(session)::report, true));
    }
    if (gate != null) {
      QueueEndpoints queue = new QueueEndpoints(gate);
      routing.get("/v1/review/queue", handler(queue::list, false));
      routing.post("/v1/review/queue/approve", handler(queue::approve, false));
      routing.post("/v1/review/queue/edit", handler(queue::edit, false));
      routing.post("/v1/review/queue/reject", handler(queue::reject, false));
    }
    routing.register(ReviewPage.files());
    DirectFailures.addTo(routing, "the page is at /");
  }

  private ApiHandler handler(ReviewEndpoint endpoint, boolean manager) {
    return new ApiHandler(
        exchange -> endpoint.handle(exchange, reviewers.require(exchange, manager)),
        options.limits(),
        clock);
  }

  /** Sends who the reviewer is and what there is to do. */
  private void describe(Exchange exchange, Reviewers.Person person) {
    exchange.send(
        Json.bytes(
            json -> {
              json.writeStartObject();
              json.writeStringProperty("reviewer", person.name());
              json.writeBooleanProperty("compare", session != null && !person.manager());
              json.writeBooleanProperty("queue", gate != null && !person.manager());
              json.writeBooleanProperty("agreement", session != null && person.manager());
              json.writeStringProperty(
                  "guidelines", session == null ? "" : session.project().settings().guidelines());
              json.writeArrayPropertyStart("axes");
              Ratings.AXES.forEach(json::writeString);
              json.writeEndArray();
              json.writeEndObject();
            }));
  }

  /** Returns the address that it listens on. */
  public URI address() {
    return listener.uri();
  }

  /** Returns the address of the page for somebody with a token. */
  public static URI page(URI address, String token) {
    return address.resolve("/#" + token);
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
  }
}
