package dev.precis.hub;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;
import java.util.stream.Collectors;

/**
 * A hub on the loopback interface, with one repository and a second host that large files are
 * redirected to. Its fields make it misbehave.
 */
final class FakeHub implements AutoCloseable {
  static final String COMMIT = "0123456789abcdef0123456789abcdef01234567";

  /** One request as it arrived. */
  record Request(String method, String host, String path, String range, String authorization) {}

  private final HttpServer hub = server();
  private final HttpServer storage = server();

  final Map<String, byte[]> files = new LinkedHashMap<>();
  final List<Request> requests = new CopyOnWriteArrayList<>();

  String api = "/api/models/org/name";
  String page = "/org/name";
  List<String> revisions = List.of("main", "v1.0", "refs/pr/1", COMMIT);

  /** Token that a request needs; null for none. */
  volatile String token;

  /** The code and status of every answer; null for right ones. */
  volatile String errorCode;

  volatile int errorStatus;

  /** Number of requests that are answered with {@link #errorStatus}; -1 for all. */
  volatile int errors = -1;

  /** Bytes of a large file that arrive before the connection ends; -1 for all. */
  volatile int cut = -1;

  /** Milliseconds of silence after {@link #cut} before that. */
  volatile int stall;

  volatile boolean ignoresRange;
  volatile boolean tellsNothing;

  /** A large file whose content is another one than announced. */
  volatile String falsified = "";

  /** Replaces the size of every file in the listing. */
  volatile Long claimedSize;

  FakeHub() {
    hub.createContext("/", exchange -> answer(exchange, false));
    storage.createContext("/", exchange -> answer(exchange, true));
    hub.start();
    storage.start();
  }

  private static HttpServer server() {
    try {
      HttpServer server =
          HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
      server.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
      return server;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  URI endpoint() {
    return URI.create("http://127.0.0.1:" + hub.getAddress().getPort());
  }

  int port() {
    return hub.getAddress().getPort();
  }

  long count(String method, String pathPart) {
    return requests.stream()
        .filter(r -> r.method.equals(method) && r.path.contains(pathPart))
        .count();
  }

  static boolean isLarge(String name) {
    return name.endsWith(".safetensors") || name.endsWith(".bin");
  }

  /** The name of the content in the cache. */
  String etag(String name) {
    byte[] content = files.get(name);
    return isLarge(name)
        ? digest("SHA-256", content)
        : digest("SHA-1", ("blob " + content.length + "\0").getBytes(), content);
  }

  static String digest(String algorithm, byte[]... parts) {
    try {
      MessageDigest digest = MessageDigest.getInstance(algorithm);
      Arrays.stream(parts).forEach(digest::update);
      return HexFormat.of().formatHex(digest.digest());
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError(e);
    }
  }

  private void answer(HttpExchange exchange, boolean isStorage) throws IOException {
    try (exchange) {
      String path = exchange.getRequestURI().getRawPath();
      var headers = exchange.getRequestHeaders();
      requests.add(
          new Request(
              exchange.getRequestMethod(),
              isStorage ? "storage" : headers.getFirst("Host"),
              path,
              headers.getFirst("Range"),
              headers.getFirst("Authorization")));
      if (errorStatus != 0 && errors != 0) {
        errors--;
        if (errorCode != null) {
          exchange.getResponseHeaders().set("X-Error-Code", errorCode);
        }
        exchange.getResponseHeaders().set("Retry-After", "0");
        exchange.sendResponseHeaders(errorStatus, -1);
      } else if (isStorage) {
        send(exchange, URLDecoder.decode(path.substring(1), StandardCharsets.UTF_8));
      } else if (token != null && !("Bearer " + token).equals(headers.getFirst("Authorization"))) {
        exchange.sendResponseHeaders(401, -1);
      } else if (path.startsWith(api + "/revision/")) {
        info(exchange, path.substring((api + "/revision/").length()).replace("%2F", "/"));
      } else if (path.startsWith(page + "/resolve/")) {
        String[] revisionAndName = path.substring((page + "/resolve/").length()).split("/", 2);
        exchange.getResponseHeaders().set("X-Repo-Commit", COMMIT);
        resolve(exchange, revisionAndName[1]);
      } else {
        exchange.sendResponseHeaders(404, -1);
      }
    }
  }

  private void info(HttpExchange exchange, String revision) throws IOException {
    if (!revisions.contains(revision)) {
      exchange.getResponseHeaders().set("X-Error-Code", "RevisionNotFound");
      exchange.sendResponseHeaders(404, -1);
      return;
    }
    String siblings = files.keySet().stream().map(this::sibling).collect(Collectors.joining(","));
    byte[] body =
        "{\"id\":\"org/name\",\"sha\":\"%s\",\"siblings\":[%s]}"
            .formatted(COMMIT, siblings)
            .getBytes(StandardCharsets.UTF_8);
    exchange.sendResponseHeaders(200, body.length);
    exchange.getResponseBody().write(body);
  }

  private String sibling(String name) {
    String quoted = "\"" + name.replace("\\", "\\\\") + "\"";
    if (tellsNothing) {
      return "{\"rfilename\":" + quoted + "}";
    }
    long size = claimedSize != null ? claimedSize : files.get(name).length;
    String lfs =
        isLarge(name)
            ? ",\"lfs\":{\"sha256\":\"%s\",\"size\":%d,\"pointerSize\":130}"
                .formatted(etag(name), size)
            : "";
    String blobId = isLarge(name) ? "f".repeat(40) : etag(name);
    return "{\"rfilename\":%s,\"size\":%d,\"blobId\":\"%s\"%s}"
        .formatted(quoted, size, blobId, lfs);
  }

  private void resolve(HttpExchange exchange, String encoded) throws IOException {
    String name = URLDecoder.decode(encoded, StandardCharsets.UTF_8);
    if (!files.containsKey(name)) {
      exchange.getResponseHeaders().set("X-Error-Code", "EntryNotFound");
      exchange.sendResponseHeaders(404, -1);
    } else if (isLarge(name)) {
      var headers = exchange.getResponseHeaders();
      headers.set("X-Linked-Etag", "\"" + etag(name) + "\"");
      headers.set("X-Linked-Size", "" + files.get(name).length);
      headers.set("Location", "http://127.0.0.1:" + storage.getAddress().getPort() + "/" + encoded);
      exchange.sendResponseHeaders(302, -1);
    } else {
      exchange.getResponseHeaders().set("ETag", "W/\"" + etag(name) + "\"");
      send(exchange, name);
    }
  }

  private void send(HttpExchange exchange, String name) throws IOException {
    byte[] content = files.get(name).clone();
    if (falsified.equals(name)) {
      content[0]++;
    }
    String range = exchange.getRequestHeaders().getFirst("Range");
    int from = 0;
    if (range != null && !ignoresRange) {
      from = Integer.parseInt(range.replaceAll("\\D", ""));
      if (from >= content.length) {
        exchange.sendResponseHeaders(416, -1);
        return;
      }
      exchange
          .getResponseHeaders()
          .set(
              "Content-Range",
              "bytes %d-%d/%d".formatted(from, content.length - 1, content.length));
    }
    int count = content.length - from;
    if (exchange.getRequestMethod().equals("HEAD")) {
      exchange.getResponseHeaders().set("Content-Length", "" + count);
      exchange.sendResponseHeaders(200, -1);
      return;
    }
    exchange.sendResponseHeaders(
        range != null && !ignoresRange ? 206 : 200, count == 0 ? -1 : count);
    OutputStream body = exchange.getResponseBody();
    boolean cuts = cut >= 0 && isLarge(name) && count > cut;
    body.write(content, from, cuts ? cut : count);
    body.flush();
    if (cuts && stall > 0) {
      try {
        Thread.sleep(stall);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
  }

  @Override
  public void close() {
    hub.stop(0);
    storage.stop(0);
  }
}
