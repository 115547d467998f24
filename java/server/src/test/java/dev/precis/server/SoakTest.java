package dev.precis.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.server.ServerRun.Answer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
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

/**
 * Many clients at once, some of them bad: every good request gets its own right answer, and nothing
 * is left behind. {@code -Dprecis.soak.requests=10000} makes it longer.
 */
class SoakTest {
  private static final int REQUESTS = Integer.getInteger("precis.soak.requests", 200);
  private static final int CLIENTS = 8;

  private static final List<String> GOOD =
      List.of(
          "{'model':'t5-tiny','prompt':'Hello','max_tokens':8}",
          "{'model':'tuned','prompt':'Hello','max_tokens':8}",
          "{'model':'t5-tiny','prompt':'Who is there?','max_tokens':12,'temperature':1,'seed':3}",
          "{'model':'tuned','prompt':['a','b c"
              + " d'],'max_tokens':5,'n':2,'temperature':0.7,'seed':9}",
          "{'model':'t5-tiny','prompt':'A stream','max_tokens':10,'stream':true}");

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

  private static Answer post(ServerRun run, String json) throws Exception {
    return run.post("/v1/completions", json.replace('\'', '"'));
  }

  @Test
  void manyClientsGetTheirOwnAnswers() throws Exception {
    try (ServerRun run = new ServerRun(new ServerOptions());
        ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      Map<String, String> expected = new ConcurrentHashMap<>();
      for (String good : GOOD) {
        expected.put(good, texts(post(run, good), good.contains("stream")));
      }
      long before = 0;
      int left = REQUESTS;
      while (left > 0) {
        int part = Math.min(left, Math.max(REQUESTS / 4, 1));
        left -= part;
        List<Future<?>> clients = new ArrayList<>();
        for (int c = 0; c < CLIENTS; c++) {
          Random random = new Random(31L * left + c);
          int share = part / CLIENTS + 1;
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
        System.gc();
        long used = Runtime.getRuntime().totalMemory() - Runtime.getRuntime().freeMemory();
        if (before == 0) {
          before = used;
        }
        assertTrue(used < 2 * before + (32 << 20), used + " bytes in use, after " + before);
      }
    }
  }

  private static void one(ServerRun run, Random random, Map<String, String> expected)
      throws Exception {
    switch (random.nextInt(10)) {
      case 0 -> {
        String bad = BAD.get(random.nextInt(BAD.size()));
        int status = post(run, bad).status();
        assertTrue(status == 400 || status == 404, bad + ": " + status);
      }
      case 1 -> assertEquals(404, run.get("/" + random.nextInt()).status());
      case 2 -> leave(run, random);
      default -> {
        String good = GOOD.get(random.nextInt(GOOD.size()));
        Answer answer = post(run, good);
        assertEquals(200, answer.status(), answer.body());
        assertEquals(expected.get(good), texts(answer, good.contains("stream")), good);
      }
    }
  }

  /** Sends a request and leaves, before or amid its response. */
  private static void leave(ServerRun run, Random random) throws IOException {
    try (Socket socket =
        new Socket(InetAddress.getLoopbackAddress(), run.server.address().getPort())) {
      String body =
          "{\"model\":\"t5-tiny\",\"prompt\":\"Hi\",\"max_tokens\":200,\"min_tokens\":200,\"stream\":true}";
      String request =
          "POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
              .formatted(body.length(), body);
      int end = random.nextBoolean() ? request.length() : random.nextInt(request.length());
      socket.getOutputStream().write(request.substring(0, end).getBytes(StandardCharsets.UTF_8));
      socket.getOutputStream().flush();
      if (end == request.length()) {
        assertTrue(socket.getInputStream().read() >= 0);
      }
    }
  }
}
