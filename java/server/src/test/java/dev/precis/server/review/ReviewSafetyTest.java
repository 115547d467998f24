package dev.precis.server.review;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.review.Gate.State;
import dev.precis.server.RawRequest;
import dev.precis.server.http.Limits;
import dev.precis.server.review.ReviewFixture.Answer;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

/**
 * Attacks on every request of the review page. Those that leave a project as it was share a server.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class ReviewSafetyTest {
  private static final List<String> GETS = List.of("session", "next", "queue");
  private static final String AGREEMENT = "agreement";
  private static final List<String> PAGE =
      List.of(
          "/",
          "/style.css",
          "/review.js",
          "/review-page.js",
          "/review-compare.js",
          "/review-queue.js");
  private static final List<String> POSTS =
      List.of("choices", "undo", "queue/approve", "queue/edit", "queue/reject");

  private static final ReviewServerOptions SMALL =
      new ReviewServerOptions(
          InetAddress.getLoopbackAddress(),
          0,
          Set.of("proxy.example"),
          null,
          null,
          new Limits(
              16 << 10,
              100,
              1,
              2,
              1,
              Duration.ofSeconds(60),
              Duration.ofSeconds(2),
              Duration.ofSeconds(60)));

  @TempDir private static Path folder;

  private ReviewFixture run;

  @BeforeAll
  void start() {
    run = new ReviewFixture(folder.resolve("shared"), 4, SMALL);
  }

  @AfterAll
  void end() {
    run.close();
  }

  private static String raw(ReviewFixture run, String method, String path, String... headers)
      throws IOException {
    return RawRequest.send(
        run.server.address(),
        "%s /v1/review/%s HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\n%s\r\n\r\n"
            .formatted(method, path, String.join("\r\n", headers)));
  }

  private static void assertUntouched(ReviewFixture run) {
    assertEquals(List.of(), run.project.choices());
    assertTrue(run.gate.items().stream().allMatch(item -> item.state() == State.HELD));
  }

  @Test
  void everyRequestNeedsItsOwnToken() throws Exception {
    String token = run.token("Ann");
    for (String wrong : List.of("", token.substring(1), token + "0", token.toUpperCase(), "x")) {
      for (String path : Stream.concat(GETS.stream(), Stream.of(AGREEMENT)).toList()) {
        Answer answer = run.send(run.request(path, wrong).GET());
        assertEquals(401, answer.status(), path + " " + answer.body());
        assertFalse(answer.body().contains(token));
      }
      for (String path : POSTS) {
        assertEquals(
            401,
            run.send(run.request(path, wrong).POST(BodyPublishers.ofString("{}"))).status(),
            path);
      }
    }
    for (String path : GETS) {
      Answer answer =
          run.send(HttpRequest.newBuilder(run.uri(path)).timeout(Duration.ofSeconds(60)).GET());
      assertEquals(401, answer.status(), path);
      assertEquals(200, run.get("Ann", path).status(), path);
    }
    assertUntouched(run);
  }

  /** Who sees the ranking answers nothing, and who answers does not see it. */
  @Test
  void managersAndAnnotatorsAreKeptApart() throws Exception {
    try (ReviewFixture run = new ReviewFixture(folder.resolve("managers"), 4, SMALL)) {
      String task = run.get("Ann", "next").task(0);
      for (String name : List.of("Ann", "Ben")) {
        Answer answer = run.get(name, AGREEMENT);
        assertEquals(403, answer.status(), answer.body());
        assertTrue(answer.error().endsWith("."), answer.body());
        assertFalse(run.get(name, "session").json().path("agreement").asBoolean());
      }
      for (String path : List.of("next", "queue")) {
        assertEquals(403, run.get(ReviewFixture.MANAGER, path).status(), path);
      }
      for (String path : POSTS) {
        String body =
            "{\"task\":\"%s\",\"preference\":\"first\",\"id\":\"q1\",\"text\":\"x\"}"
                .formatted(task);
        assertEquals(403, run.post(ReviewFixture.MANAGER, path, body).status(), path);
      }
      assertEquals(
          "false false true",
          Stream.of("compare", "queue", AGREEMENT)
              .map(each -> run.session(ReviewFixture.MANAGER).path(each).asString())
              .collect(Collectors.joining(" ")));
      assertUntouched(run);
      assertEquals(200, choose(run, "Ann", task, "first").status());
      Answer report = run.get(ReviewFixture.MANAGER, AGREEMENT);
      assertEquals(200, report.status(), report.body());
      assertEquals(1, report.json().path("answers").intValue());
      assertTrue(report.body().contains("zyxtuned"), report.body());
    }
  }

  @Test
  void otherSitesPagesAreRefused() throws Exception {
    String own = "Host: 127.0.0.1:" + run.server.address().getPort();
    String key = "Authorization: Bearer " + run.token("Ann");
    for (String path : GETS) {
      assertTrue(raw(run, "GET", path, own, key).startsWith("HTTP/1.1 200"), path);
      assertTrue(
          raw(run, "GET", path, "Host: proxy.example", key).startsWith("HTTP/1.1 200"), path);
    }
    for (String method : List.of("GET", "POST")) {
      List<String> gets = Stream.concat(GETS.stream(), Stream.of(AGREEMENT)).toList();
      for (String path : method.equals("GET") ? gets : POSTS) {
        for (String host : List.of("evil.example", "127.0.0.1.evil.example")) {
          String answer = raw(run, method, path, "Host: " + host, key);
          assertTrue(answer.startsWith("HTTP/1.1 421"), path + ": " + answer);
        }
        for (String header :
            List.of(
                "Origin: http://evil.example",
                "Origin: null",
                "Origin: https://127.0.0.1",
                "Sec-Fetch-Site: cross-site",
                "Sec-Fetch-Site: same-site")) {
          String answer = raw(run, method, path, own, key, header);
          assertTrue(answer.startsWith("HTTP/1.1 403"), path + ", " + header + ": " + answer);
          assertFalse(answer.contains("Access-Control-Allow"), answer);
        }
      }
    }
    // A form of another site can send no JSON, and a preflight request is not answered.
    assertEquals(
        415,
        run.send(
                run.request("choices", run.token("Ann"))
                    .setHeader("Content-Type", "text/plain")
                    .POST(BodyPublishers.ofString("{}")))
            .status());
    assertTrue(
        raw(run, "OPTIONS", "choices", own, key).matches("(?s)HTTP/1.1 40[0-9].*"), "preflight");
    assertUntouched(run);
  }

  @Test
  void badJsonIsRefused() throws Exception {
    String task = run.get("Ann", "next").task(0);
    for (String path : POSTS) {
      for (String body :
          List.of(
              "",
              "null",
              "[]",
              "{",
              "{} trailing",
              "{\"task\":1,\"task\":2}",
              "{\"task\":NaN}",
              "{\"a\":" + "[".repeat(3000) + "]".repeat(3000) + "}",
              "\u0000\u0001")) {
        Answer answer = run.post("Ann", path, body);
        assertEquals(400, answer.status(), path + " " + body + ": " + answer.body());
        assertTrue(answer.error().endsWith("."), answer.body());
      }
    }
    for (String fields :
        List.of(
            "",
            "\"preference\":\"best\"",
            "\"preference\":1",
            "\"preference\":\"skip\"",
            "\"preference\":\"skip\",\"reason\":\" \"",
            "\"preference\":\"tie\",\"edit\":\"x\"",
            "\"preference\":\"first\",\"edit\":\" \"",
            "\"preference\":\"first\",\"confidence\":0",
            "\"preference\":\"first\",\"confidence\":10",
            "\"preference\":\"first\",\"confidence\":\"9\"",
            "\"preference\":\"first\",\"confidence\":1.5",
            "\"preference\":\"first\",\"ratings\":{\"first\":{\"style\":3}}",
            "\"preference\":\"first\",\"ratings\":{\"first\":{\"overall\":8}}",
            "\"preference\":\"first\",\"ratings\":[]",
            "\"preference\":\"first\",\"seconds\":1e999",
            "\"preference\":\"skip\",\"reason\":\"" + "x".repeat(3000) + "\"")) {
      Answer answer =
          run.post(
              "Ann",
              "choices",
              "{\"task\":\"%s\"%s}".formatted(task, fields.isEmpty() ? "" : "," + fields));
      assertEquals(400, answer.status(), fields + ": " + answer.body());
      assertTrue(answer.error().endsWith("."), answer.body());
    }
    for (String fields :
        List.of(
            "{}", "{\"id\":\"q1\"}", "{\"id\":1,\"text\":\"x\"}", "{\"id\":\"q1\",\"text\":[]}")) {
      assertEquals(400, run.post("Ann", "queue/approve", fields).status(), fields);
    }
    String seen = "{\"id\":\"q1\",\"text\":\"The train leaves at ten, q1.\"";
    assertEquals(400, run.post("Ann", "queue/reject", seen + "}").status());
    assertEquals(400, run.post("Ann", "queue/reject", seen + ",\"reason\":\" \"}").status());
    assertEquals(400, run.post("Ann", "queue/edit", seen + ",\"edit\":\"\"}").status());
    assertEquals(400, run.get("Ann", "queue?state=open").status());
    assertUntouched(run);
  }

  @Test
  void tasksAndTextsOfOthersAreRefused() throws Exception {
    try (ReviewFixture run = new ReviewFixture(folder.resolve("tasks"), 4, SMALL)) {
      String task = run.get("Ann", "next").task(0);
      for (String other : List.of(task + "0", "0".repeat(32), "../../secret", "", "{}")) {
        assertEquals(409, choose(run, "Ann", other, "first").status(), other);
      }
      assertEquals(409, choose(run, "Ben", task, "first").status());
      assertEquals(409, run.post("Ann", "undo", "{}").status());
      assertEquals(
          404, run.post("Ann", "queue/approve", "{\"id\":\"../q1\",\"text\":\"x\"}").status());
      assertEquals(
          409, run.post("Ann", "queue/approve", "{\"id\":\"q1\",\"text\":\"unseen\"}").status());
      assertUntouched(run);
      assertEquals(200, choose(run, "Ann", task, "first").status());
      assertEquals(200, choose(run, "Ann", task, "first").status());
      assertEquals(409, choose(run, "Ann", task, "second").status());
      assertEquals(1, run.project.choices().size());
    }
  }

  private static Answer choose(ReviewFixture run, String name, String task, String preference)
      throws Exception {
    return run.post(
        name,
        "choices",
        "{\"task\":\"%s\",\"preference\":\"%s\"}".formatted(task.replace("\"", ""), preference));
  }

  @Test
  void bodiesAreBounded() throws Exception {
    byte[] large = ("{\"task\":\"" + "x".repeat(50_000) + "\"}").getBytes(StandardCharsets.UTF_8);
    for (String path : POSTS) {
      assertTooLong(run, path, BodyPublishers.ofByteArray(large));
      assertTooLong(run, path, BodyPublishers.ofInputStream(() -> new ByteArrayInputStream(large)));
    }
    slowBodiesEnd();
    assertUntouched(run);
    assertEquals(200, run.get("Ann", "next").status());
  }

  /** All at the same time, because each waits until its time is over. */
  private void slowBodiesEnd() throws Exception {
    Map<String, Future<String>> answers = new LinkedHashMap<>();
    long begin = System.nanoTime();
    try (ExecutorService clients = Executors.newVirtualThreadPerTaskExecutor()) {
      for (String path : POSTS) {
        String head =
            "POST /v1/review/%s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"ta"
                .formatted(path, run.token("Ann"));
        answers.put(path, clients.submit(() -> RawRequest.send(run.server.address(), head)));
      }
      for (Map.Entry<String, Future<String>> each : answers.entrySet()) {
        String slow = each.getValue().get();
        assertFalse(slow.startsWith("HTTP/1.1 200"), each.getKey() + ": " + slow);
      }
    }
    assertTrue(System.nanoTime() - begin < Duration.ofSeconds(50).toNanos(), "too long");
  }

  private static void assertTooLong(ReviewFixture run, String path, BodyPublisher body)
      throws Exception {
    try {
      Answer answer = run.send(run.request(path, run.token("Ann")).POST(body));
      assertEquals(413, answer.status(), path + ": " + answer.body());
    } catch (IOException e) {
      // The server has hung up while the client was still sending, which ends its response too.
    }
  }

  @Test
  void pathsLeadNowhere() throws Exception {
    String key = "Authorization: Bearer " + run.token("Ann");
    for (String path :
        List.of(
            "/../../../../etc/passwd",
            "/%2e%2e/%2e%2e/etc/passwd",
            "/review.js/../../secret",
            "/v1/review/..%2f..%2fetc%2fpasswd",
            "/v1/review/next/../../../secret",
            "/items.jsonl",
            "/choices.jsonl",
            "/secret",
            "/project.json",
            "/review.html",
            "//etc/passwd",
            "/v1/models",
            "/v1/completions",
            "/style.css%00.js")) {
      String answer =
          RawRequest.send(
              run.server.address(),
              "GET %s HTTP/1.1\r\nConnection: close\r\nHost: 127.0.0.1\r\n%s\r\n\r\n"
                  .formatted(path, key));
      assertTrue(answer.matches("(?s)HTTP/1.1 40[0-9].*"), path + ": " + answer);
      assertFalse(answer.contains("root:") || answer.contains("zyx"), path);
    }
  }

  /** Nothing that a browser gets has the name of a candidate, or tells gold pairs and repeats. */
  @Test
  void noResponseNamesACandidate() throws Exception {
    try (ReviewFixture run = new ReviewFixture(folder.resolve("names"), 20)) {
      StringBuilder received = new StringBuilder();
      for (String name : List.of("Ann", "Ben")) {
        GETS.forEach(path -> received.append(body(run, name, path)));
        for (Answer next = run.get(name, "next");
            !next.task(0).isEmpty();
            next = choose(run, name, next.task(0), "second")) {
          received.append(next.body());
        }
        received.append(run.post(name, "undo", "{}").body());
      }
      received.append(
          run.post(
                  "Ann",
                  "queue/approve",
                  "{\"id\":\"q1\",\"text\":\"The train leaves at ten, q1.\"}")
              .body());
      for (String path : PAGE) {
        Answer file = run.send(HttpRequest.newBuilder(run.server.address().resolve(path)).GET());
        assertEquals(200, file.status(), path);
        received.append(file.body());
      }
      String all = received.toString();
      assertTrue(all.length() > 10_000 && all.contains("large room"), "too little: " + all);
      ReviewFixture.HIDDEN.forEach(name -> assertFalse(all.contains(name), name));
      assertFalse(all.contains("repeat\":") || all.contains("\"item\""), "tells what is hidden");
      assertTrue(run.project.choices().stream().anyMatch(each -> each.choice().repeat()));
    }
  }

  private static String body(ReviewFixture run, String name, String path) {
    try {
      return run.get(name, path).body();
    } catch (Exception e) {
      throw new AssertionError(e);
    }
  }
}
