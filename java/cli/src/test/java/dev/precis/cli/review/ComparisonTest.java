package dev.precis.cli.review;

import static dev.precis.cli.CommandLineRun.DIALOGUES;
import static dev.precis.cli.CommandLineRun.FIXTURES;
import static dev.precis.cli.CommandLineRun.MODEL;
import static dev.precis.cli.CommandLineRun.lines;
import static dev.precis.cli.CommandLineRun.run;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.cli.CommandLineRun;
import dev.precis.cli.Main;
import dev.precis.cli.common.Terminal;
import dev.precis.io.Json;
import dev.precis.review.Gate;
import dev.precis.review.comparison.ComparisonProject;
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
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/**
 * From candidates to pairs: {@code review start}, {@code agreement}, {@code export}, {@code
 * import}.
 */
class ComparisonTest {
  private static final Pattern ADDRESS = Pattern.compile("(\\w+): (http\\S+)/#(\\w+)");

  @TempDir private Path folder;
  private Path votes;

  @BeforeEach
  void name() {
    votes = folder.resolve("votes");
  }

  private Path summaries(String name, String pattern) throws Exception {
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

  /** A page that runs in this process until it is closed. */
  private static final class Page implements AutoCloseable {
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();
    private final ByteArrayOutputStream err = new ByteArrayOutputStream();
    private final AtomicInteger exitCode = new AtomicInteger(-1);
    private final Thread thread;
    private final HttpClient client = HttpClient.newHttpClient();

    Page(Object... arguments) throws Exception {
      Terminal terminal =
          new Terminal(
              out,
              new PrintStream(err, true, StandardCharsets.UTF_8),
              Map.of(),
              false,
              false);
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

    /** Answers as many pairs as there are, at most; prefers a text by its beginning. */
    void answer(String annotator, int most, String preferred) throws Exception {
      JsonNode next = send(annotator, "next", null);
      for (int i = 0; i < most && next.at("/tasks/0/id").isString(); i++) {
        boolean first = next.at("/tasks/0/first").stringValue().startsWith(preferred);
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
  }

  @Test
  void blindChoicesBecomePairs() throws Exception {
    Path plain = summaries("plain", "Plain words about %s.");
    Path better = summaries("better", "Better words about %s.");
    int count = lines(DIALOGUES).size();
    try (Page page =
        new Page(
            "review",
            "--data",
            DIALOGUES,
            "--candidate",
            "plain=" + plain,
            "--candidate",
            "better=" + better,
            "--output",
            votes,
            "--annotator",
            "Ann",
            "--annotator",
            "Ben",
            "--overlap",
            2,
            "--repeats",
            0,
            "--port",
            0)) {
      page.answer("Ann", count / 2, "Better");
      assertEquals("Ann", page.send("Ann", "session", null).path("reviewer").asString());
      String live = run("review", "agreement", votes).succeeded().out();
      assertTrue(live.startsWith(count / 2 + " answers"), live);
    }
    // The work goes on where it was, with the same addresses.
    try (Page page = new Page("review", "start", "--output", votes, "--port", 0)) {
      page.answer("Ann", 1000, "Better");
      page.answer("Ben", 1000, "Better");
    }
    JsonNode agreement =
        Json.mapper().readTree(run("review", "agreement", votes, "--json").succeeded().out());
    assertEquals(2 * count, agreement.path("answers").intValue());
    assertEquals("better", agreement.at("/ranking/0/candidate").asString());
    assertTrue(agreement.at("/ranking/0/low").doubleValue() > 0, agreement.toString());
    String table = run("review", "agreement", votes).succeeded().out();
    assertTrue(table.lines().allMatch(line -> line.length() <= 80), table);
    Path pairs = folder.resolve("pairs.jsonl");
    run("review", "export", votes, "--format", "dpo", "--output", pairs).succeeded();
    List<JsonNode> rows = lines(pairs);
    assertEquals(count, rows.size());
    for (JsonNode row : rows) {
      assertTrue(row.get("chosen").asString().startsWith("Better"), row.toString());
      assertEquals(1.0, row.get("margin").doubleValue());
      assertTrue(row.get("prompt").asString().startsWith("Summarize the following conversation."));
    }
    Path trained = folder.resolve("trained");
    run(
            "reward",
            "--model",
            FIXTURES.resolve("roberta-tiny"),
            "--pairs",
            pairs,
            "--max-steps",
            1,
            "--batch-size",
            2,
            "--output",
            trained)
        .succeeded();
    run(
            "align",
            "--algorithm",
            "dpo",
            "--model",
            MODEL,
            "--reference",
            "base",
            "--pairs",
            pairs,
            "--max-steps",
            1,
            "--batch-size",
            2,
            "--output",
            folder.resolve("aligned"))
        .succeeded();
  }

  @Test
  void modelsAreCandidatesAndARewardModelSaysWhatIsAskedFirst() throws Exception {
    Path plain = summaries("plain", "Plain words about %s.");
    try (Page page =
        new Page(
            "review",
            "start",
            "--data",
            DIALOGUES,
            "--candidate",
            "plain=" + plain,
            "--candidate",
            "tiny=" + MODEL,
            "--candidate",
            "tuned=" + MODEL + "+" + FIXTURES.resolve("t5-tiny-lora-after20"),
            "--max-new-tokens",
            8,
            "--reward-model",
            FIXTURES.resolve("roberta-tiny"),
            "--reward-label",
            label(),
            "--output",
            votes,
            "--port",
            0)) {
      page.answer("reviewer", 3, "Plain");
      String answer = page.send("reviewer", "next", null).toString();
      assertFalse(answer.contains("tiny") || answer.contains("tuned"), answer);
    }
    ComparisonProject project = ComparisonProject.read(votes);
    assertEquals(3, project.items().getFirst().texts().size());
    double last = -1;
    for (var each : project.choices()) {
      double doubt = Math.abs(each.choice().probability() - 0.5);
      assertTrue(doubt >= last, "the least sure first");
      last = doubt;
    }
  }

  private static String label() {
    return Json.readObject(FIXTURES.resolve("roberta-tiny").resolve("config.json"))
        .object("id2label")
        .text("0");
  }

  @Test
  void heldTextsAreApprovedOnThePage() throws Exception {
    Path queue = folder.resolve("queue.jsonl");
    try (Gate gate = Gate.open(queue)) {
      gate.hold(new Gate.Candidate("q1", "Ann: Hi.", "Ann greets.", Map.of(), List.of()));
    }
    try (Page page =
        new Page("review", "start", "--queue", queue, "--annotator", "Ann", "--port", 0)) {
      assertEquals("q1", page.send("Ann", "queue", null).at("/texts/0/id").asString());
      page.send("Ann", "queue/approve", "{\"id\":\"q1\",\"text\":\"Ann greets.\"}");
    }
    Path released = folder.resolve("released.jsonl");
    run("review", "release", "--queue", queue, "--output", released).succeeded();
    assertEquals("Ann", lines(released).getFirst().at("/approved_by/0").asString());
  }

  @Test
  void comparisonsComeFromOtherProgramsAndItemsCanBeErased() throws Exception {
    Path file = folder.resolve("batch.json");
    Files.writeString(
        file,
        "{\"info\":{\"id\":\"t3\",\"post\":\"A cat sat.\"},\"summaries\":[{\"text\":\"A cat.\","
            + "\"policy\":\"ref\"},{\"text\":\"A dog.\",\"policy\":\"sup\"}],\"choice\":0,"
            + "\"worker\":\"w\",\"extra\":{}}\n");
    run("review", "import", "--format", "openai", "--input", file, "--output", votes).succeeded();
    Path table = folder.resolve("table.csv");
    run("review", "export", votes, "--format", "csv", "--mask", "--output", table).succeeded();
    assertTrue(Files.readString(table).contains("annotator-1"), Files.readString(table));
    run("review", "erase", "--project", votes, "t3").succeeded();
    assertFalse(Files.readString(votes.resolve("items.jsonl")).contains("cat"));
    refused("has no item", run("review", "erase", "--project", votes, "t3"));
  }

  @Test
  void badInputGetsASentence() throws Exception {
    Path plain = summaries("plain", "Plain words about %s.");
    refused("--output FOLDER is missing", run("review", "start", "--data", DIALOGUES));
    refused("give --data and --candidate", run("review", "start", "--output", votes));
    refused(
        "two times or more",
        run(
            "review",
            "start",
            "--data",
            DIALOGUES,
            "--candidate",
            "a=" + plain,
            "--output",
            votes));
    Object[] same = {
      "review",
      "start",
      "--data",
      DIALOGUES,
      "--candidate",
      "a=" + plain,
      "--candidate",
      "b=" + plain,
      "--output",
      votes
    };
    refused("nothing to compare", run(same));
    assertFalse(Files.exists(votes));
    refused(
        "--overlap",
        run("review", "start", "--data", DIALOGUES, "--overlap", "many", "--output", votes));
    refused("holds no comparison project", run("review", "agreement", folder));
    refused(
        "There is no format",
        run("review", "export", folder, "--format", "xml", "--output", votes));
    refused("--port must be", run("review", "start", "--output", votes, "--port", 70_000));
    refused("does not exist", run("review", "start", "--queue", folder.resolve("none.jsonl")));
  }

  private static void refused(String sentence, CommandLineRun run) {
    assertEquals(2, run.exitCode(), run.err());
    assertTrue(run.err().contains(sentence), run.err());
  }
}
