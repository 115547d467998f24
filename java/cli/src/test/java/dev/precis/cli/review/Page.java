package dev.precis.cli.review;

import static dev.precis.cli.CommandLineRun.DIALOGUES;
import static dev.precis.cli.CommandLineRun.lines;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.cli.Main;
import dev.precis.cli.common.Terminal;
import dev.precis.io.Json;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BiPredicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import tools.jackson.databind.JsonNode;

/** A page that runs in this process until it is closed. */
final class Page implements AutoCloseable {
  private static final Pattern ADDRESS = Pattern.compile("(\\w+): (http\\S+)/#(\\w+)");

  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private final ByteArrayOutputStream err = new ByteArrayOutputStream();
  private final AtomicInteger exitCode = new AtomicInteger(-1);
  private final Thread thread;
  private final HttpClient client = HttpClient.newHttpClient();

  Page(Object... arguments) throws Exception {
    Terminal terminal =
        new Terminal(
            out, new PrintStream(err, true, StandardCharsets.UTF_8), Map.of(), false, false);
    String[] line = Arrays.stream(arguments).map(Object::toString).toArray(String[]::new);
    thread = Thread.ofPlatform().start(() -> exitCode.set(Main.run(terminal, line)));
    while (!said().contains("Ctrl-C")) {
      assertTrue(thread.isAlive(), said());
      Thread.sleep(20);
    }
  }

  String said() {
    return out.toString(StandardCharsets.UTF_8) + err.toString(StandardCharsets.UTF_8);
  }

  JsonNode send(String annotator, String path, String body) throws Exception {
    Matcher address = ADDRESS.matcher(said());
    while (address.find()) {
      if (address.group(1).equals(annotator)) {
        HttpRequest.Builder request =
            HttpRequest.newBuilder(URI.create(address.group(2) + "/v1/review/" + path))
                .header("Content-Type", "application/json")
                .header("Authorization", "Bearer " + address.group(3));
        String answer =
            client
                .send(
                    (body == null ? request.GET() : request.POST(BodyPublishers.ofString(body)))
                        .build(),
                    BodyHandlers.ofString())
                .body();
        return Json.mapper().readTree(answer);
      }
    }
    throw new AssertionError(said());
  }

  /**
   * Answers as many pairs as there are, at most.
   *
   * @param judge tells whether the first text is better than the second one
   */
  void answer(String annotator, int most, BiPredicate<String, String> judge) throws Exception {
    JsonNode next = send(annotator, "next", null);
    for (int i = 0; i < most && next.at("/tasks/0/id").isString(); i++) {
      boolean first =
          judge.test(
              next.at("/tasks/0/first").stringValue(), next.at("/tasks/0/second").stringValue());
      next =
          send(
              annotator,
              "choices",
              "{\"task\":\"%s\",\"preference\":\"%s\",\"confidence\":9}"
                  .formatted(next.at("/tasks/0/id").stringValue(), first ? "first" : "second"));
    }
  }

  @Override
  public void close() throws Exception {
    thread.interrupt();
    thread.join();
    client.shutdownNow();
    assertEquals(0, exitCode.get(), said());
  }

  /** Writes a file with a summary for each dialogue, whose id the pattern takes. */
  static Path summaries(Path folder, String name, String pattern) throws Exception {
    List<String> rows = new ArrayList<>();
    for (JsonNode dialogue : lines(DIALOGUES)) {
      String id = dialogue.get("id").asString();
      rows.add(
          Json.mapper()
              .createObjectNode()
              .put("id", id)
              .put("summary", pattern.formatted(id))
              .toString());
    }
    return Files.write(folder.resolve(name + ".jsonl"), rows);
  }
}
