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
import dev.precis.io.Json;
import dev.precis.review.Gate;
import dev.precis.review.comparison.ComparisonProject;
import dev.precis.review.comparison.PairSelection;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/**
 * From candidates to pairs: {@code review start}, {@code agreement}, {@code export}, {@code
 * import}.
 */
class ComparisonTest {
  @TempDir private Path folder;
  private Path votes;

  @BeforeEach
  void name() {
    votes = folder.resolve("votes");
  }

  @Test
  void modelsAreCandidatesAndARewardModelSaysWhatIsAskedFirst() throws Exception {
    Path plain = Page.summaries(folder, "plain", "Plain words about %s.");
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
      page.answer("reviewer", 3, (first, second) -> first.startsWith("Plain"));
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

  /** A round: labels, a reward model from them, and labels where that one is least sure. */
  @Test
  void aRewardModelThatWasTrainedMeanwhileSaysWhatIsAskedNext() throws Exception {
    start("--seed", 1).close();
    assertTrue(ComparisonProject.read(votes).items().getFirst().texts().getFirst().score() == null);
    try (Page page =
        new Page(
            "review",
            "start",
            "--output",
            votes,
            "--reward-model",
            FIXTURES.resolve("roberta-tiny"),
            "--reward-label",
            label(),
            "--port",
            0)) {
      page.answer("reviewer", 3, (first, second) -> first.startsWith("Plain"));
    }
    double last = -1;
    for (var each : ComparisonProject.read(votes).choices()) {
      assertEquals(PairSelection.LEAST_SURE, each.choice().selection());
      double doubt = Math.abs(each.choice().probability() - 0.5);
      assertTrue(doubt >= last, "the least sure first");
      last = doubt;
    }
    assertTrue(
        Files.readString(votes.resolve("choices.jsonl")).contains("\"reward_model_sha256\":\""));
    refused(
        "--reward-label needs --reward-model",
        run("review", "start", "--output", votes, "--reward-label", "x"));
  }

  private Page start(Object... more) throws Exception {
    List<Object> all =
        new ArrayList<>(
            List.of(
                "review",
                "start",
                "--data",
                DIALOGUES,
                "--candidate",
                "plain=" + Page.summaries(folder, "plain", "Plain words about %s."),
                "--candidate",
                "other=" + Page.summaries(folder, "other", "Other words, on %s, and more."),
                "--output",
                votes,
                "--port",
                0));
    all.addAll(List.of(more));
    return new Page(all.toArray());
  }

  /** A manager sees the ranking; the page of who answers has no candidate's name. */
  @Test
  void aManagerSeesTheAgreement() throws Exception {
    try (Page page = start("--annotator", "Ann", "--manager", "Mia")) {
      page.answer("Ann", 4, (first, second) -> first.startsWith("Other"));
      JsonNode report = page.send("Mia", "agreement", null);
      assertEquals(4, report.path("answers").intValue());
      assertEquals("other", report.at("/ranking/0/candidate").asString());
      assertTrue(page.send("Ann", "agreement", null).at("/error/message").isString());
      assertTrue(page.send("Mia", "next", null).at("/error/message").isString());
    }
    refused(
        "is an annotator of the project",
        run("review", "start", "--output", votes, "--manager", "Ann", "--port", 0));
    Path queue = folder.resolve("queue.jsonl");
    Gate.open(queue).close();
    refused("--manager needs", run("review", "start", "--queue", queue, "--manager", "Mia"));
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
    Path plain = Page.summaries(folder, "plain", "Plain words about %s.");
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
