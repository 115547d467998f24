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
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * A hub on the loopback interface, with one repository or the folders of {@link #main}, and a
 * second host that large files are redirected to. Its fields make it misbehave.
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

  /** The files of further repositories, by the path of their page, such as /datasets/org/name. */
  private final Map<String, Map<String, byte[]>> others = new LinkedHashMap<>();

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

  /** A repository: the paths of its listing and of its page, and its files. */
  private record Repository(String api, String page, Map<String, byte[]> files) {}

  FakeHub() {
    hub.createContext("/", exchange -> answer(exchange, false));
    storage.createContext("/", exchange -> answer(exchange, true));
    hub.start();
    storage.start();
  }

  /**
   * Serves the folders models/ORG/NAME and datasets/ORG/NAME of a folder until it is killed.
   *
   * <p>Usage: {@code java FakeHub.java FOLDER FILE}; FILE receives the address.
   */
  public static void main(String[] args) throws IOException {
    FakeHub server = new FakeHub();
    server.addFolders(Path.of(args[0], "models"), "/");
    server.addFolders(Path.of(args[0], "datasets"), "/datasets/");
    // Moved there when it is whole, because somebody waits for it.
    Path written = Files.writeString(Path.of(args[1] + ".partial"), server.endpoint().toString());
    Files.move(written, Path.of(args[1]), StandardCopyOption.ATOMIC_MOVE);
  }

  private void addFolders(Path folder, String pages) throws IOException {
    try (Stream<Path> all = Files.walk(folder)) {
      for (Path file : all.filter(Files::isRegularFile).toList()) {
        Path name = folder.relativize(file);
        others
            .computeIfAbsent(pages + name.subpath(0, 2), page -> new LinkedHashMap<>())
            .put(name.subpath(2, name.getNameCount()).toString(), Files.readAllBytes(file));
      }
    }
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
    return etag(name, files.get(name));
  }

  private static String etag(String name, byte[] content) {
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
        String name = URLDecoder.decode(path, StandardCharsets.UTF_8);
        Repository repository = repository(name, Repository::page);
        send(exchange, repository, name.substring(repository.page.length() + 1));
      } else if (token != null && !("Bearer " + token).equals(headers.getFirst("Authorization"))) {
        exchange.sendResponseHeaders(401, -1);
      } else if (repository(path, r -> r.api + "/revision") instanceof Repository repository) {
        String revision = path.substring((repository.api + "/revision/").length());
        info(exchange, repository, revision.replace("%2F", "/"));
      } else if (repository(path, r -> r.page + "/resolve") instanceof Repository repository) {
        String[] revisionAndName =
            path.substring((repository.page + "/resolve/").length()).split("/", 2);
        exchange.getResponseHeaders().set("X-Repo-Commit", COMMIT);
        resolve(exchange, repository, revisionAndName[1]);
      } else {
        exchange.sendResponseHeaders(404, -1);
      }
    }
  }

  /** Returns the repository whose part is at the start of a path; null if there is none. */
  private Repository repository(String path, Function<Repository, String> part) {
    Stream<Repository> further =
        others.entrySet().stream()
            .map(
                other -> {
                  String its = other.getKey();
                  String listing = its.startsWith("/datasets/") ? "/api" : "/api/models";
                  return new Repository(listing + its, its, other.getValue());
                });
    return Stream.concat(Stream.of(new Repository(api, page, files)), further)
        .filter(repository -> path.startsWith(part.apply(repository) + "/"))
        .findFirst()
        .orElse(null);
  }

  private void info(HttpExchange exchange, Repository repository, String revision)
      throws IOException {
    if (!revisions.contains(revision)) {
      exchange.getResponseHeaders().set("X-Error-Code", "RevisionNotFound");
      exchange.sendResponseHeaders(404, -1);
      return;
    }
    String siblings =
        repository.files.entrySet().stream()
            .map(file -> sibling(file.getKey(), file.getValue()))
            .collect(Collectors.joining(","));
    byte[] body =
        "{\"id\":\"%s\",\"sha\":\"%s\",\"siblings\":[%s]}"
            .formatted(repository.page.replaceFirst("^/(datasets/)?", ""), COMMIT, siblings)
            .getBytes(StandardCharsets.UTF_8);
    exchange.sendResponseHeaders(200, body.length);
    exchange.getResponseBody().write(body);
  }

  private String sibling(String name, byte[] content) {
    String quoted = "\"" + name.replace("\\", "\\\\") + "\"";
    if (tellsNothing) {
      return "{\"rfilename\":" + quoted + "}";
    }
    long size = claimedSize != null ? claimedSize : content.length;
    String lfs =
        isLarge(name)
            ? ",\"lfs\":{\"sha256\":\"%s\",\"size\":%d,\"pointerSize\":130}"
                .formatted(etag(name, content), size)
            : "";
    String blobId = isLarge(name) ? "f".repeat(40) : etag(name, content);
    return "{\"rfilename\":%s,\"size\":%d,\"blobId\":\"%s\"%s}"
        .formatted(quoted, size, blobId, lfs);
  }

  private void resolve(HttpExchange exchange, Repository repository, String encoded)
      throws IOException {
    String name = URLDecoder.decode(encoded, StandardCharsets.UTF_8);
    byte[] content = repository.files.get(name);
    var headers = exchange.getResponseHeaders();
    if (content == null) {
      headers.set("X-Error-Code", "EntryNotFound");
      exchange.sendResponseHeaders(404, -1);
    } else if (isLarge(name)) {
      headers.set("X-Linked-Etag", "\"" + etag(name, content) + "\"");
      headers.set("X-Linked-Size", "" + content.length);
      headers.set(
          "Location",
          "http://127.0.0.1:%d%s/%s"
              .formatted(storage.getAddress().getPort(), repository.page, encoded));
      exchange.sendResponseHeaders(302, -1);
    } else {
      headers.set("ETag", "W/\"" + etag(name, content) + "\"");
      send(exchange, repository, name);
    }
  }

  private void send(HttpExchange exchange, Repository repository, String name) throws IOException {
    byte[] content = repository.files.get(name).clone();
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
