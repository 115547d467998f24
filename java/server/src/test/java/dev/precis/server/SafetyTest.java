package dev.precis.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.T5;
import dev.precis.io.InvalidInputException;
import dev.precis.server.ServerRun.Answer;
import dev.precis.server.http.ApiKey;
import dev.precis.server.http.Limits;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.http.HttpRequest.BodyPublishers;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Attacks, overload and the end of a server. */
class SafetyTest {
  private static final String KEY = "a-key-of-more-than-16-characters";

  /** Limits with short times. */
  private static Limits limits(Duration request, Duration client) {
    return new Limits(64 << 10, 100, 128, 512, 4096, request, client, client);
  }

  private static final Limits PATIENT = limits(Duration.ofSeconds(300), Duration.ofSeconds(60));

  /** A request that keeps the tiny model busy for a while. */
  private static String longRequest(int results, int tokens, boolean stream) {
    return "{\"model\":\"t5-tiny\",\"prompt\":\"Hi\",\"n\":%d,\"temperature\":1,\"seed\":1,\"min_tokens\":%d,\"max_tokens\":%d,\"stream\":%s}"
        .formatted(results, tokens, tokens, stream);
  }

  private static String get(String path, String... headers) {
    return "GET %s HTTP/1.1\r\nConnection: close\r\n%s\r\n\r\n"
        .formatted(path, String.join("\r\n", headers));
  }

  private static void await(Callable<Boolean> condition) throws Exception {
    long end = System.nanoTime() + Duration.ofSeconds(120).toNanos();
    while (!condition.call()) {
      assertTrue(System.nanoTime() < end, "waited in vain");
      Thread.sleep(20);
    }
  }

  private static void awaitIdle(ServerRun run) throws Exception {
    await(() -> run.t5.batchLoad().running() == 0 && run.t5.batchLoad().waiting() == 0);
  }

  @Test
  void aKeyIsNeededWhereThereIsOne() throws Exception {
    try (ServerRun run = new ServerRun(new ServerOptions().key(ApiKey.of(KEY, "test")))) {
      assertEquals(401, run.get("/v1/models").status());
      assertEquals(401, run.get("/metrics").status());
      for (String wrong : List.of(KEY + "x", KEY.substring(1), "", "Bearer", KEY.toUpperCase())) {
        Answer answer =
            run.send(run.request("/v1/models").header("Authorization", "Bearer " + wrong).GET());
        assertEquals(401, answer.status(), wrong);
        assertEquals("invalid_api_key", answer.at("/error/code").asString());
        assertFalse(answer.body().contains(KEY));
      }
      assertEquals(
          200,
          run.send(run.request("/v1/models").header("Authorization", "Bearer " + KEY).GET())
              .status());
      assertEquals(200, run.get("/health/live").status());
      assertEquals(200, run.get("/").status());
    }
    assertThrows(InvalidInputException.class, () -> ApiKey.of("short", "test"));
    assertThrows(InvalidInputException.class, () -> ApiKey.of("with a space in between", "test"));
    assertFalse(ApiKey.of(KEY, "test").toString().contains(KEY));
  }

  @Test
  void anOpenAddressNeedsAKey() throws Exception {
    ServerOptions options = new ServerOptions().address(InetAddress.getByName("0.0.0.0"));
    InvalidInputException e = assertThrows(InvalidInputException.class, options::check);
    assertTrue(e.getMessage().contains("--api-key-file"), e.getMessage());
    options.key(ApiKey.of(KEY, "test")).check();
  }

  @Test
  void otherSitesPagesAreRefused() throws Exception {
    try (ServerRun run =
        new ServerRun(new ServerOptions().hosts(java.util.Set.of("proxy.example")))) {
      String own = "Host: 127.0.0.1:" + run.server.address().getPort();
      assertTrue(
          RawRequest.send(run.server.address(), get("/v1/models", own)).startsWith("HTTP/1.1 200"));
      assertTrue(
          RawRequest.send(run.server.address(), get("/v1/models", "Host: proxy.example"))
              .startsWith("HTTP/1.1 200"));
      for (String host :
          List.of("evil.example", "evil.example:80", "127.0.0.1.evil.example", "[::2]")) {
        assertTrue(
            RawRequest.send(run.server.address(), get("/v1/models", "Host: " + host))
                .startsWith("HTTP/1.1 421"),
            host);
        assertTrue(
            RawRequest.send(run.server.address(), get("/metrics", "Host: " + host))
                .startsWith("HTTP/1.1 421"),
            host);
      }
      for (String origin :
          List.of("http://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1")) {
        String refused =
            RawRequest.send(run.server.address(), get("/v1/models", own, "Origin: " + origin));
        assertTrue(refused.startsWith("HTTP/1.1 403"), origin + ": " + refused);
        assertFalse(refused.contains("Access-Control-Allow-Origin"), refused);
      }
      String ownOrigin = own.replace("Host: ", "Origin: http://");
      assertTrue(
          RawRequest.send(run.server.address(), get("/v1/models", own, ownOrigin))
              .startsWith("HTTP/1.1 200"));
      assertTrue(
          RawRequest.send(
                  run.server.address(), get("/v1/models", own, "Sec-Fetch-Site: cross-site"))
              .startsWith("HTTP/1.1 403"));
      assertTrue(
          RawRequest.send(
                  run.server.address(), get("/v1/models", own, "Sec-Fetch-Site: same-origin"))
              .startsWith("HTTP/1.1 200"));
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "null",
        "[]",
        "{",
        "{\"prompt\":}",
        "{\"prompt\":\"x\"} trailing",
        "{\"prompt\":\"x\",\"prompt\":\"y\"}",
        "{\"prompt\":NaN}",
        "{\"prompt\":\"\\ud800\"}",
        "{\"prompt\":\"x\",\"max_tokens\":1e999}",
        "{\"prompt\":\"x\",\"seed\":99999999999999999999999999}",
        "\u0000\u0001"
      })
  void badJsonIsRefused(String body) throws Exception {
    try (ServerRun run = new ServerRun(new ServerOptions().limits(PATIENT))) {
      Answer answer = run.post("/v1/completions", body.replace("{\"", "{\"model\":\"t5-tiny\",\""));
      assertEquals(400, answer.status(), answer.body());
      assertTrue(answer.error().endsWith("."), answer.error());
      String deep = "{\"prompt\":" + "[".repeat(5000) + "]".repeat(5000) + "}";
      assertEquals(400, run.post("/v1/completions", deep).status());
    }
  }

  @Test
  void bodiesAreBounded() throws Exception {
    try (ServerRun run = new ServerRun(new ServerOptions().limits(PATIENT))) {
      byte[] large =
          ("{\"prompt\":\"" + "x".repeat(100_000) + "\"}").getBytes(StandardCharsets.UTF_8);
      Answer known =
          run.send(run.request("/v1/completions").POST(BodyPublishers.ofByteArray(large)));
      assertEquals(413, known.status(), known.body());
      assertTrue(known.error().endsWith("."), known.body());
      Answer chunked =
          run.send(
              run.request("/v1/completions")
                  .POST(BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(large))));
      assertEquals(413, chunked.status(), chunked.body());
      byte[] latin = "{\"prompt\":\"\u00e9\"}".getBytes(StandardCharsets.ISO_8859_1);
      assertEquals(
          400,
          run.send(run.request("/v1/completions").POST(BodyPublishers.ofByteArray(latin)))
              .status());
      assertEquals(
          415,
          run.send(
                  run.request("/v1/completions")
                      .setHeader("Content-Type", "text/plain")
                      .POST(BodyPublishers.ofString("{\"prompt\":\"x\"}")))
              .status());
      Answer longPrompt =
          run.post(
              "/v1/completions",
              "{\"model\":\"t5-tiny\",\"prompt\":\"" + "word ".repeat(2000) + "\"}");
      assertEquals("context_length_exceeded", longPrompt.at("/error/code").asString());
      assertEquals(200, run.get("/v1/models").status());
    }
  }

  @Test
  void pathsLeadNowhere() throws Exception {
    try (ServerRun run = new ServerRun(new ServerOptions())) {
      String host = "Host: 127.0.0.1";
      for (String path :
          List.of(
              "/../../../../etc/passwd",
              "/%2e%2e/%2e%2e/etc/passwd",
              "/style.css/../../../etc/passwd",
              "/..%2f..%2fetc%2fpasswd",
              "/v1/models/..%2f..%2fetc%2fpasswd",
              "/playground.html",
              "/dev/precis/server/pages/style.css",
              "//etc/passwd",
              "/style.css%00.js")) {
        String answer = RawRequest.send(run.server.address(), get(path, host));
        assertTrue(answer.matches("(?s)HTTP/1.1 40[0-9].*"), path + ": " + answer);
        assertFalse(answer.contains("root:"), path);
      }
      assertTrue(
          RawRequest.send(run.server.address(), "NONSENSE ".repeat(9) + "\r\n\r\n")
              .matches("(?s)(HTTP/1.1 400.*)?"));
      assertTrue(
          RawRequest.send(run.server.address(), get("/" + "x".repeat(100_000), host))
              .matches("(?s)(HTTP/1.1 4[0-9]{2}.*)?"));
      assertEquals(200, run.get("/v1/models").status());
    }
  }

  @Test
  void aBodyThatDoesNotComeIsGivenUp() throws Exception {
    Limits limits = limits(Duration.ofSeconds(60), Duration.ofSeconds(1));
    try (ServerRun run = new ServerRun(new ServerOptions().limits(limits))) {
      long begin = System.nanoTime();
      String answer =
          RawRequest.send(
              run.server.address(),
              "POST /v1/completions HTTP/1.1\r\n"
                  + "Host: 127.0.0.1\r\n"
                  + "Content-Type: application/json\r\n"
                  + "Content-Length: 100\r\n\r\n"
                  + "{\"pro");
      assertTrue(System.nanoTime() - begin < Duration.ofSeconds(60).toNanos());
      assertFalse(answer.startsWith("HTTP/1.1 200"), answer);
      assertEquals(200, run.get("/v1/models").status());
    }
  }

  @Test
  void aSlowReaderIsDropped() throws Exception {
    Limits limits = limits(Duration.ofSeconds(120), Duration.ofSeconds(1));
    try (ServerRun run = new ServerRun(new ServerOptions().limits(limits));
        Socket socket = new Socket()) {
      socket.setReceiveBufferSize(4096);
      socket.connect(
          new InetSocketAddress(InetAddress.getLoopbackAddress(), run.server.address().getPort()));
      String body = longRequest(4, 1500, true);
      socket
          .getOutputStream()
          .write(
              ("POST /v1/completions HTTP/1.1\r\n"
                      + "Host: 127.0.0.1\r\n"
                      + "Content-Type: application/json\r\n"
                      + "Content-Length: "
                      + body.length()
                      + "\r\n\r\n"
                      + body)
                  .getBytes(StandardCharsets.UTF_8));
      await(() -> run.t5.batchLoad().running() == 1);
      awaitIdle(run); // although nobody reads
      // A closed connection refuses what is written to it; one that was kept would answer. What the
      // server sent is not read: its system may wait a minute before it offers the rest again.
      byte[] next =
          "GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".getBytes(StandardCharsets.UTF_8);
      await(
          () -> {
            try {
              socket.getOutputStream().write(next);
              return false;
            } catch (IOException e) {
              return true;
            }
          });
      assertEquals(200, run.get("/v1/models").status());
    }
  }

  @Test
  void aClientThatLeavesEndsItsRequest() throws Exception {
    try (ServerRun run = new ServerRun(new ServerOptions().limits(PATIENT))) {
      try (Socket socket =
          new Socket(InetAddress.getLoopbackAddress(), run.server.address().getPort())) {
        String body = longRequest(64, 4000, true);
        socket
            .getOutputStream()
            .write(
                ("POST /v1/completions HTTP/1.1\r\n"
                        + "Host: 127.0.0.1\r\n"
                        + "Content-Type: application/json\r\n"
                        + "Content-Length: "
                        + body.length()
                        + "\r\n\r\n"
                        + body)
                    .getBytes(StandardCharsets.UTF_8));
        assertTrue(socket.getInputStream().read() > 0);
      }
      long begin = System.nanoTime();
      awaitIdle(run);
      assertTrue(System.nanoTime() - begin < Duration.ofSeconds(60).toNanos());
    }
  }

  @Test
  void timeIsBounded() throws Exception {
    Limits limits = limits(Duration.ofMillis(300), Duration.ofSeconds(20));
    try (ServerRun run = new ServerRun(new ServerOptions().limits(limits))) {
      Answer answer = run.post("/v1/completions", longRequest(128, 4000, false));
      assertEquals(504, answer.status(), answer.body());
      awaitIdle(run);
      Answer stream = run.post("/v1/completions", longRequest(128, 4000, true));
      assertEquals("timeout", stream.events().getLast().at("/error/code").asString());
      awaitIdle(run);
    }
  }

  @Test
  void aFullQueueAnswers429() throws Exception {
    T5.LoadOptions loading = new T5.LoadOptions().maxWaitingRequests(1).maxBatchRows(8);
    try (ServerRun run = new ServerRun(new ServerOptions().limits(PATIENT), loading);
        ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Future<Answer>> answers = new ArrayList<>();
      for (int i = 0; i < 12; i++) {
        answers.add(threads.submit(() -> run.post("/v1/completions", longRequest(8, 120, false))));
      }
      int refused = 0;
      int complete = 0;
      for (Future<Answer> each : answers) {
        Answer answer = each.get();
        if (answer.status() == 429) {
          refused++;
          assertEquals("1", answer.response().headers().firstValue("Retry-After").orElse(""));
          assertEquals("rate_limit_exceeded", answer.at("/error/code").asString());
        } else {
          assertEquals(200, answer.status(), answer.body());
          complete++;
        }
      }
      assertTrue(refused >= 1 && complete >= 2, refused + " refused, " + complete + " complete");
    }
  }

  @Test
  void aDrainLosesNoAcceptedRequest() throws Exception {
    try (ServerRun run = new ServerRun(new ServerOptions().limits(PATIENT));
        ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      Answer expected = run.post("/v1/completions", longRequest(2, 80, false));
      List<Future<Answer>> accepted = new ArrayList<>();
      for (int i = 0; i < 6; i++) {
        accepted.add(threads.submit(() -> run.post("/v1/completions", longRequest(2, 80, false))));
      }
      await(() -> run.t5.batchLoad().running() + run.t5.batchLoad().waiting() == 6);
      Future<Boolean> drained = threads.submit(() -> run.server.drain(Duration.ofSeconds(300)));
      await(() -> run.get("/health/ready").status() == 503);
      assertEquals(200, run.get("/health/live").status());
      Answer late = run.post("/v1/completions", longRequest(1, 5, false));
      assertEquals(503, late.status());
      assertEquals("1", late.response().headers().firstValue("Retry-After").orElse(""));
      for (Future<Answer> each : accepted) {
        assertEquals(200, each.get().status());
        assertEquals(expected.at("/choices"), each.get().at("/choices"));
      }
      assertTrue(drained.get());
    }
  }
}
