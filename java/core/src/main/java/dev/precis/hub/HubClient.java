package dev.precis.hub;

import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.io.JsonObject;
import dev.precis.io.Reason;
import dev.precis.io.Utf8;
import java.io.IOException;
import java.io.InputStream;
import java.io.InterruptedIOException;
import java.io.UncheckedIOException;
import java.net.ConnectException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.channels.UnresolvedAddressException;
import java.time.Duration;
import java.util.Optional;
import java.util.Set;
import javax.net.ssl.SSLException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The hub's HTTP side: redirects, the token, attempts, and answers turned into sentences. The token
 * goes to the endpoint only, wherever that redirects to.
 */
final class HubClient {
  private static final Logger LOG = LoggerFactory.getLogger(HubClient.class);
  private static final Set<Integer> REDIRECTS = Set.of(301, 302, 303, 307, 308);
  private static final Set<Integer> PASSING = Set.of(408, 429, 500, 502, 503, 504);
  private static final int MAX_REDIRECTS = 10;
  private static final Duration CONNECT = Duration.ofSeconds(10);
  private static final Duration LONGEST_PAUSE = Duration.ofSeconds(60);

  /** The subject of a request; the whole repository if the file is empty. */
  private record Subject(Repository repository, Optional<String> file) {
    @Override
    public String toString() {
      return file.map(name -> name + " of " + repository).orElse(repository.toString());
    }
  }

  /**
   * An answer, and what the hub said about the file on the way to it: a redirect to a storage host
   * carries what that host does not know.
   */
  record Answer(HttpResponse<InputStream> response, Optional<String> etag, Optional<Long> size)
      implements AutoCloseable {
    @Override
    public void close() throws IOException {
      response.body().close();
    }
  }

  /** An answer that may be another one at the next attempt. */
  private static final class PassingFailure extends IOException {
    private static final long serialVersionUID = 1;
    private final Duration retryAfter;

    private PassingFailure(String message, Duration retryAfter) {
      super(message);
      this.retryAfter = retryAfter;
    }
  }

  /** The repository does not exist, or its existence is not for everybody. */
  static final class RepositoryNotFound extends InvalidInputException {
    private static final long serialVersionUID = 1;

    private RepositoryNotFound(String message) {
      super(message);
    }
  }

  private final HubConfig config;
  private final HttpClient http;

  HubClient(HubConfig config) {
    this.config = config;
    HttpClient.Builder builder =
        HttpClient.newBuilder()
            .version(HttpClient.Version.HTTP_1_1)
            .followRedirects(HttpClient.Redirect.NEVER)
            .connectTimeout(CONNECT);
    config.proxy().ifPresent(builder::proxy);
    http = builder.build();
  }

  /** Returns the hub's description of the repository at its revision. */
  JsonObject info(Repository repository) {
    URI uri = address(repository.infoAddress());
    return retrying(
        new Subject(repository, Optional.empty()),
        subject -> {
          try (Answer answer = open("GET", uri, 0, subject);
              StallGuard body = new StallGuard(answer.response().body(), config.stall())) {
            ByteBuffer bytes = ByteBuffer.wrap(body.readNBytes(Json.MAX_BYTES));
            return Json.parseObject(Utf8.decode(bytes, uri.toString()), uri.toString());
          }
        });
  }

  /** Asks the hub about a file, without its content. */
  Answer head(Repository repository, String commit, String file) {
    URI uri = address(repository.fileAddress(commit, file));
    return retrying(
        new Subject(repository, Optional.of(file)),
        subject -> {
          try (Answer answer = open("HEAD", uri, 0, subject)) {
            return answer;
          }
        });
  }

  /**
   * Requests a file's content from an offset on, in one attempt, since only the caller knows where
   * to go on. The status is 200, 206 or 416.
   */
  Answer get(Repository repository, String commit, String file, long offset) throws IOException {
    return open(
        "GET",
        address(repository.fileAddress(commit, file)),
        offset,
        new Subject(repository, Optional.of(file)));
  }

  private URI address(String path) {
    return URI.create(config.endpoint() + path);
  }

  private interface Attempt<T> {
    T run(Subject subject) throws IOException;
  }

  private <T> T retrying(Subject subject, Attempt<T> attempt) {
    for (int failures = 1; ; failures++) {
      try {
        return attempt.run(subject);
      } catch (IOException e) {
        pauseAfter(e, failures, subject.toString());
      }
    }
  }

  /**
   * Waits before the next attempt, longer each time or as the server asks.
   *
   * @param failures attempts that failed in a row
   * @throws UncheckedIOException if there should be no next one
   */
  void pauseAfter(IOException e, int failures, String what) {
    if (Thread.currentThread().isInterrupted()) {
      throw interrupted(what);
    }
    boolean hopeless = e instanceof SSLException || e instanceof ConnectException;
    String sentence =
        "Fetching %s from %s failed: %s".formatted(what, config.endpoint(), reason(e));
    if (hopeless || failures >= config.attempts()) {
      throw new UncheckedIOException(
          sentence + "; check the network, HF_ENDPOINT and HTTPS_PROXY, then start again", e);
    }
    Duration pause =
        e instanceof PassingFailure passing && passing.retryAfter != null
            ? passing.retryAfter
            : config.pause().multipliedBy(1L << Math.min(failures - 1, 10));
    pause = pause.compareTo(LONGEST_PAUSE) > 0 ? LONGEST_PAUSE : pause;
    LOG.info("{}; trying again in {} ms", sentence, pause.toMillis());
    try {
      Thread.sleep(pause);
    } catch (InterruptedException interruption) {
      Thread.currentThread().interrupt();
      throw interrupted(what);
    }
  }

  /** Returns a reason in words: the HTTP client's refused connections carry none. */
  private static String reason(IOException e) {
    if (e instanceof ConnectException && e.getMessage() == null) {
      for (Throwable cause = e; cause != null; cause = cause.getCause()) {
        if (cause instanceof UnresolvedAddressException) {
          return "its name is unknown";
        }
      }
      return "it takes no connection";
    }
    return Reason.of(e);
  }

  private static UncheckedIOException interrupted(String what) {
    return new UncheckedIOException(
        "Fetching " + what + " was interrupted", new InterruptedIOException());
  }

  /** Sends one request and follows its redirects. */
  private Answer open(String method, URI start, long offset, Subject subject) throws IOException {
    URI uri = start;
    Optional<String> etag = Optional.empty();
    Optional<Long> size = Optional.empty();
    for (int hop = 0; hop <= MAX_REDIRECTS; hop++) {
      HttpResponse<InputStream> response = send(method, uri, offset);
      int status = response.statusCode();
      etag = etag.or(() -> etag(response, "X-Linked-Etag"));
      size = size.or(() -> number(response, "X-Linked-Size"));
      if (status == 200 || status == 206 || status == 416) {
        etag = isEndpoint(uri) ? etag.or(() -> etag(response, "ETag")) : etag;
        size = status == 200 ? size.or(() -> number(response, "Content-Length")) : size;
        return new Answer(response, etag, size);
      }
      if (REDIRECTS.contains(status) && method.equals("HEAD") && etag.isPresent()) {
        return new Answer(response, etag, size);
      }
      response.body().close();
      if (!REDIRECTS.contains(status)) {
        throw failure(status, response, subject);
      }
      uri = redirected(uri, response);
    }
    throw new ConnectException(start.getHost() + " redirects without end");
  }

  private static URI redirected(URI from, HttpResponse<?> response) throws IOException {
    try {
      URI to = from.resolve(response.headers().firstValue("Location").orElse(""));
      boolean asSafe = "https".equals(to.getScheme()) || from.getScheme().equals(to.getScheme());
      if (asSafe && to.getHost() != null && !to.equals(from)) {
        return to;
      }
    } catch (IllegalArgumentException e) {
      // Falls through to the sentence below.
    }
    throw new ConnectException(from.getHost() + " redirects to an address that cannot be used");
  }

  private HttpResponse<InputStream> send(String method, URI uri, long offset) throws IOException {
    HttpRequest.Builder request =
        HttpRequest.newBuilder(uri)
            .method(method, HttpRequest.BodyPublishers.noBody())
            .timeout(config.stall())
            .header("User-Agent", "precis; java/" + Runtime.version().feature())
            .header("Accept-Encoding", "identity");
    if (offset > 0) {
      request.header("Range", "bytes=" + offset + "-");
    }
    if (isEndpoint(uri)) {
      config.token().ifPresent(token -> request.header("Authorization", "Bearer " + token));
    }
    try {
      return http.send(request.build(), HttpResponse.BodyHandlers.ofInputStream());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("interrupted");
    }
  }

  private boolean isEndpoint(URI uri) {
    return uri.getScheme().equals(config.endpoint().getScheme())
        && uri.getHost().equalsIgnoreCase(config.endpoint().getHost())
        && uri.getPort() == config.endpoint().getPort();
  }

  /** Returns the exception of a status: one that is retried, or the final message. */
  private IOException failure(int status, HttpResponse<?> response, Subject subject) {
    String answer = response.uri().getHost() + " answers " + status;
    if (PASSING.contains(status)) {
      return new PassingFailure(
          answer, number(response, "Retry-After").map(Duration::ofSeconds).orElse(null));
    }
    Repository repository = subject.repository;
    String page = config.endpoint() + "/" + repository.page();
    String code = response.headers().firstValue("X-Error-Code").orElse("");
    boolean hasToken = config.token().isPresent();
    if (code.equals("GatedRepo")) {
      throw new InvalidInputException(
          "%s is gated: accept its conditions at %s and set HF_TOKEN to a token of that account"
              .formatted(repository, page));
    }
    if (code.equals("RevisionNotFound")) {
      throw new InvalidInputException(
          "%s has no revision \"%s\": use a branch, tag or commit that %s lists"
              .formatted(repository, repository.revision(), page));
    }
    if (code.equals("EntryNotFound") || status == 404 && subject.file.isPresent()) {
      throw new InvalidInputException(
          subject + " is listed by " + config.endpoint() + " but cannot be fetched from it");
    }
    if (status == 401 || status == 404) {
      throw new RepositoryNotFound(
          "%s does not have %s: check the name, %s"
              .formatted(
                  config.endpoint(),
                  repository,
                  hasToken
                      ? "and that the token in use is valid and may read it"
                      : "or set HF_TOKEN if it is private"));
    }
    if (status == 403) {
      throw new InvalidInputException(
          "%s does not let %s be read: %s"
              .formatted(
                  config.endpoint(),
                  subject,
                  hasToken ? "the token in use has no right to it" : "set HF_TOKEN"));
    }
    return new ConnectException(answer);
  }

  private static Optional<String> etag(HttpResponse<?> response, String header) {
    return response
        .headers()
        .firstValue(header)
        .map(value -> value.replaceFirst("^W/", "").replace("\"", ""))
        .filter(value -> !value.isEmpty());
  }

  private static Optional<Long> number(HttpResponse<?> response, String header) {
    return response
        .headers()
        .firstValue(header)
        .filter(value -> value.matches("\\d{1,18}"))
        .map(Long::valueOf);
  }
}
