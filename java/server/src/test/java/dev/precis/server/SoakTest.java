package dev.precis.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.server.ServerRun.Answer;
import dev.precis.server.http.ApiKey;
import dev.precis.server.http.Limits;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.http.HttpRequest.BodyPublishers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestReporter;

/**
 * Many clients at once, some of them bad: every good request gets its own right answer, and nothing
 * is left behind. {@code -Dprecis.soak.requests=100000} makes it longer.
 */
class SoakTest {
  private static final int REQUESTS = Integer.getInteger("precis.soak.requests", 10_000);
  private static final int CLIENTS = 16;
  private static final int PARTS = 4;
  private static final String KEY = "a-key-of-more-than-16-characters";
  private static final int BODY = 16 << 10;

  private static final List<String> GOOD =
      List.of(
          "{'model':'t5-tiny','prompt':'Hello','max_tokens':3}",
          "{'model':'tuned','prompt':'Hello','max_tokens':3}",
          "{'model':'t5-tiny','prompt':'Who is there?','max_tokens':4,'temperature':1,'seed':3}",
          "{'model':'tuned','prompt':['a','b c"
              + " d'],'max_tokens':2,'n':2,'temperature':0.7,'seed':9}",
          "{'model':'t5-tiny','prompt':'Hello','max_tokens':2,'logprobs':2}",
          "{'model':'t5-tiny','prompt':'A stream','max_tokens':4,'stream':true}");

  private static final List<String> BAD =
      List.of("{", "[]", "{'prompt':7}", "{'model':'none','prompt':'x'}", "{'prompt':'x','n':-1}");

  /** The texts of an answer, which its IDs and times are no part of. */
  private static String texts(Answer answer, boolean stream) {
    if (stream) {
      return answer.events().stream()
          .map(event -> event.at("/choices/0/text").asString())
          .collect(Collectors.joining());
    }
    return answer.at("/choices").toString();
  }

  private static Answer post(ServerRun run, String json, String key) throws Exception {
    return run.send(
        run.request("/v1/completions")
            .header("Authorization", "Bearer " + key)
            .POST(BodyPublishers.ofString(json.replace('\'', '"'))));
  }

  /**
   * The memory in use: the heap after a collection, and what the process has, to which the heap
   * adds the same all the time: its size is fixed in the pom.
   */
  private record Memory(long heap, long resident) {
    static Memory now() throws IOException {
      System.gc();
      Path status = Path.of("/proc/self/status");
      long resident = 0;
      if (Files.exists(status)) {
        String line =
            Files.readAllLines(status).stream()
                .filter(each -> each.startsWith("VmRSS:"))
                .findFirst()
                .orElse("0");
        resident = Long.parseLong(line.replaceAll("[^0-9]", "")) << 10;
      }
      return new Memory(
          Runtime.getRuntime().totalMemory() - Runtime.getRuntime().freeMemory(), resident);
    }

    @Override
    public String toString() {
      return "heap %d MB, resident %d MB".formatted(heap >> 20, resident >> 20);
    }
  }

  @Test
  void manyClientsGetTheirOwnAnswers(TestReporter reporter) throws Exception {
    Duration patience = Duration.ofSeconds(60);
    Limits limits = new Limits(BODY, 100, 128, 512, 4096, patience, patience, patience);
    try (ServerRun run =
            new ServerRun(new ServerOptions().key(ApiKey.of(KEY, "test")).limits(limits));
        ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      Map<String, String> expected = new ConcurrentHashMap<>();
      for (String good : GOOD) {
        expected.put(good, texts(post(run, good, KEY), good.contains("stream")));
      }
      Memory first = null;
      for (int part = 0; part < PARTS; part++) {
        List<Future<?>> clients = new ArrayList<>();
        for (int c = 0; c < CLIENTS; c++) {
          Random random = new Random(31L * part + c);
          int share = (REQUESTS / PARTS + CLIENTS - 1) / CLIENTS;
          clients.add(
              threads.submit(
                  () -> {
                    for (int i = 0; i < share; i++) {
                      one(run, random, expected);
                    }
                    return null;
                  }));
        }
        for (Future<?> each : clients) {
          each.get();
        }
        while (run.t5.batchLoad().running() + run.t5.batchLoad().waiting() > 0) {
          Thread.sleep(10);
        }
        Memory now = Memory.now();
        first = first == null ? now : first;
        reporter.publishEntry("memory after part " + (part + 1), now.toString());
        String growth = now + ", after " + first;
        assertTrue(now.heap < first.heap + (32 << 20), growth);
        assertTrue(now.resident < first.resident + (96 << 20), growth);
      }
    }
  }

  private static void one(ServerRun run, Random random, Map<String, String> expected)
      throws Exception {
    int kind = random.nextInt(100);
    if (kind < 10) {
      String bad = BAD.get(random.nextInt(BAD.size()));
      int status = post(run, bad, KEY).status();
      assertTrue(status == 400 || status == 404, bad + ": " + status);
    } else if (kind < 15) {
      assertEquals(
          404,
          run.send(
                  run.request("/v1/" + random.nextInt())
                      .header("Authorization", "Bearer " + KEY)
                      .GET())
              .status());
    } else if (kind < 20) {
      assertEquals(401, post(run, GOOD.getFirst(), KEY + random.nextInt()).status());
    } else if (kind < 23) {
      String large = "{'model':'t5-tiny','prompt':'%s'}".formatted("x".repeat(BODY));
      assertEquals(413, post(run, large, KEY).status());
    } else if (kind < 26) {
      leave(run, random);
    } else if (kind < 28) {
      readSlowly(run);
    } else {
      String good = GOOD.get(random.nextInt(GOOD.size()));
      Answer answer = post(run, good, KEY);
      assertEquals(200, answer.status(), answer.body());
      assertEquals(expected.get(good), texts(answer, good.contains("stream")), good);
    }
  }

  private static String longStream() {
    String body =
        "{\"model\":\"t5-tiny\",\"prompt\":\"Hi\",\"max_tokens\":60,\"min_tokens\":60,\"stream\":true}";
    return """
    POST /v1/completions HTTP/1.1\r
    Host: 127.0.0.1\r
    Authorization: Bearer %s\r
    Content-Type: application/json\r
    Content-Length: %d\r
    \r
    %s\
    """
        .formatted(KEY, body.length(), body);
  }

  /** Sends a request and leaves, before or amid its response. */
  private static void leave(ServerRun run, Random random) throws IOException {
    try (Socket socket =
        new Socket(InetAddress.getLoopbackAddress(), run.server.address().getPort())) {
      String request = longStream();
      int end = random.nextBoolean() ? request.length() : random.nextInt(request.length());
      send(socket, request.substring(0, end));
      if (end == request.length()) {
        assertTrue(socket.getInputStream().read() >= 0);
      }
    }
  }

  /** Reads a response bit by bit, and leaves before its end. */
  private static void readSlowly(ServerRun run) throws Exception {
    try (Socket socket = new Socket()) {
      socket.setReceiveBufferSize(1024);
      socket.connect(
          new InetSocketAddress(InetAddress.getLoopbackAddress(), run.server.address().getPort()));
      send(socket, longStream());
      InputStream in = socket.getInputStream();
      for (int i = 0; i < 8; i++) {
        assertTrue(in.read() >= 0);
        Thread.sleep(5);
      }
    }
  }

  private static void send(Socket socket, String text) throws IOException {
    OutputStream out = socket.getOutputStream();
    out.write(text.getBytes(StandardCharsets.UTF_8));
    out.flush();
  }
}
