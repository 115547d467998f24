package dev.precis.server.http;

import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.io.JsonObject;
import dev.precis.server.http.TimeLimits.TimeLimitException;
import io.helidon.common.buffers.DataReader.InsufficientDataAvailableException;
import io.helidon.http.HeaderNames;
import io.helidon.http.HeaderValues;
import io.helidon.webserver.http.ServerRequest;
import io.helidon.webserver.http.ServerResponse;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;

/** A request and its response. One thread uses it. */
public final class Exchange {
  private final ServerRequest request;
  private final ServerResponse response;
  private final Limits limits;
  private final TimeLimits clock;
  private EventStream events; // null: the response is no event stream

  Exchange(ServerRequest request, ServerResponse response, Limits limits, TimeLimits clock) {
    this.request = request;
    this.response = response;
    this.limits = limits;
    this.clock = clock;
  }

  /** Thrown if the client has gone, or takes its response too slowly: nobody can be told. */
  static final class ClientGoneException extends RuntimeException {
    private static final long serialVersionUID = 1;

    ClientGoneException(Throwable cause) {
      super("The client has gone, or takes its response too slowly.", cause);
    }
  }

  /** Returns the bounds of what the client may ask for. */
  public Limits limits() {
    return limits;
  }

  /** Returns the rest of the request's path, decoded, without slashes at its ends. */
  public String pathBelow(String prefix) {
    String path = request.path().path();
    return path.substring(Math.min(prefix.length() + 1, path.length()));
  }

  /** Returns the token of the request; empty if it has none. */
  public String bearerToken() {
    String given = request.headers().first(HeaderNames.AUTHORIZATION).orElse("");
    return given.regionMatches(true, 0, AccessFilter.BEARER, 0, AccessFilter.BEARER.length())
        ? given.substring(AccessFilter.BEARER.length()).strip()
        : "";
  }

  /** Returns a parameter of the address; empty if it has none of that name. */
  public String query(String name) {
    return request.query().first(name).orElse("");
  }

  /**
   * Reads the body, which must be one JSON object.
   *
   * @throws HttpFailure if it is too long, comes too slowly, or is no JSON object
   */
  public JsonObject json() {
    String type = request.headers().first(HeaderNames.CONTENT_TYPE).orElse("application/json");
    if (!type.split(";", 2)[0].strip().equalsIgnoreCase("application/json")) {
      throw HttpFailure.invalid(
          415, null, null, "The request's Content-Type must be application/json.");
    }
    byte[] body;
    try {
      body = clock.within(limits.bodyTime(), "The request's body came too slowly.", this::read);
    } catch (TimeLimitException | UncheckedIOException | InsufficientDataAvailableException e) {
      throw new ClientGoneException(e);
    }
    if (body.length > limits.bodyBytes()) {
      throw HttpFailure.invalid(
          413,
          null,
          null,
          "The request's body is longer than %,d bytes.".formatted(limits.bodyBytes()));
    }
    try {
      return Json.parseObject(text(body), "The request");
    } catch (InvalidInputException e) {
      throw HttpFailure.badRequest(null, e.getMessage() + ".");
    }
  }

  private byte[] read() {
    try {
      // Not closed: that would read on to the end, and the body may be too long for that.
      return request.content().inputStream().readNBytes(limits.bodyBytes() + 1);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static String text(byte[] utf8) {
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(utf8)).toString();
    } catch (CharacterCodingException e) {
      throw new InvalidInputException("The request is not UTF-8 text", e);
    }
  }

  /** Sends a JSON document with the status 200. */
  public void send(byte[] json) {
    send(200, json);
  }

  private void send(int status, byte[] json) {
    response.status(status);
    response.header(HeaderValues.CONTENT_TYPE_JSON);
    write(() -> response.send(json));
  }

  /** Begins an event stream, of which the client receives the header at once. */
  public EventStream events() {
    response.header(HeaderNames.CONTENT_TYPE, "text/event-stream; charset=utf-8");
    response.header(HeaderNames.CACHE_CONTROL, "no-store");
    // A proxy in front must pass each event on as it comes.
    response.header("X-Accel-Buffering", "no");
    events = new EventStream(this::write, response::outputStream);
    return events;
  }

  /** Tells the client of a failure, as far as it can still be told. */
  void fail(HttpFailure failure) {
    if (events != null) {
      events.send(failure.json());
      events.end();
      return;
    }
    if (failure.retryable()) {
      response.header(HeaderNames.RETRY_AFTER, "1");
    }
    if (failure.status() == 413) {
      // The rest of the body is not worth reading.
      Refusals.endConnection(request, response);
    }
    send(failure.status(), failure.json());
  }

  /** Writes a piece of the response, which the client must take in time. */
  private void write(Runnable work) {
    try {
      clock.within(limits.writeTime(), "The client takes its response too slowly.", work);
    } catch (RuntimeException e) {
      throw new ClientGoneException(e);
    }
  }
}
