package dev.precis.cli.review;

import static dev.precis.cli.CommandLineRun.DIALOGUES;
import static dev.precis.cli.CommandLineRun.FIXTURES;
import static dev.precis.cli.CommandLineRun.MODEL;
import static dev.precis.cli.CommandLineRun.lines;
import static dev.precis.cli.CommandLineRun.run;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Classifier;
import dev.precis.alignment.reward.ClassifierReward;
import dev.precis.alignment.reward.Completion;
import dev.precis.alignment.reward.Score;
import dev.precis.cli.common.BuiltInModel;
import dev.precis.io.Json;
import dev.precis.review.Gate;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BiPredicate;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/** The loop from summaries to released text, through people. */
class WholeLoopTest {
  @TempDir private Path folder;
  private Path votes;

  @BeforeEach
  void name() {
    votes = folder.resolve("votes");
  }

  /**
   * Summaries, blind choices (by the built-in judge in place of a person), a reward model, PPO and
   * DPO, the gate, released text.
   */
  @Test
  void theWholeLoop() throws Exception {
    try (BuiltInModel builtIn = BuiltInModel.toxicity();
        ClassifierReward reward =
            ClassifierReward.load(
                builtIn.folder(),
                new Classifier.LoadOptions().threads(1),
                "nothate",
                ClassifierReward.Measure.LOGIT,
                null)) {
      BiPredicate<String, String> judge =
          (first, second) -> {
            List<Score> scores =
                reward.checked(
                    List.of(
                        new Completion("first", "", first, List.of()),
                        new Completion("second", "", second, List.of())));
            return scores.get(0).value() > scores.get(1).value();
          };
      Path pairs = choose(judge);
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
      align(
          "ppo",
          "--data",
          DIALOGUES,
          "--reward-model",
          trained.resolve("model"),
          "--no-preflight=reward_label",
          "--mini-batch-size",
          2,
          "--ppo-epochs",
          1,
          "--max-new-tokens",
          8);
      align("dpo", "--pairs", pairs);
    }
    Path queue = folder.resolve("queue.jsonl");
    run(
            "generate",
            "--model",
            MODEL,
            "--adapter",
            folder.resolve("dpo/adapter"),
            "--input",
            DIALOGUES,
            "--max-new-tokens",
            8,
            "--hold",
            queue)
        .succeeded();
    String id = Gate.read(queue).getFirst().candidate().id();
    run("review", "approve", "--queue", queue, "--by", "Ann", id).succeeded();
    Path released = folder.resolve("released.jsonl");
    run("review", "release", "--queue", queue, "--output", released).succeeded();
    assertEquals(id, lines(released).getFirst().get("id").asString());
    assertTrue(lines(released).getFirst().at("/model/adapter_0_sha256").isString());
  }

  private void align(String algorithm, Object... more) {
    List<Object> arguments =
        new ArrayList<>(
            List.of(
                "align",
                "--algorithm",
                algorithm,
                "--model",
                MODEL,
                "--reference",
                "base",
                "--max-steps",
                1,
                "--batch-size",
                2,
                "--output",
                folder.resolve(algorithm)));
    arguments.addAll(List.of(more));
    run(arguments.toArray()).succeeded();
  }

  /** Returns the pairs that two annotators with the same judgment make. */
  private Path choose(BiPredicate<String, String> judge) throws Exception {
    Path plain = Page.summaries(folder, "plain", "Shut up, you stupid fool, about %s.");
    Path better = Page.summaries(folder, "better", "Thank you, that is kind, about %s.");
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
      page.answer("Ann", count / 2, judge);
      assertEquals("Ann", page.send("Ann", "session", null).path("reviewer").asString());
      String live = run("review", "agreement", votes).succeeded().out();
      assertTrue(live.startsWith(count / 2 + " answers"), live);
    }
    // The work goes on where it was, with the same addresses.
    try (Page page = new Page("review", "start", "--output", votes, "--port", 0)) {
      page.answer("Ann", 1000, judge);
      page.answer("Ben", 1000, judge);
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
      assertTrue(row.get("chosen").asString().startsWith("Thank you"), row.toString());
      assertEquals(1.0, row.get("margin").doubleValue());
      assertTrue(row.get("prompt").asString().startsWith("Summarize the following conversation."));
    }
    return pairs;
  }
}
