package dev.precis.cli.reward;

import static dev.precis.cli.CommandLineRun.FIXTURES;
import static dev.precis.cli.CommandLineRun.lines;
import static dev.precis.cli.CommandLineRun.run;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.cli.CommandLineRun;
import dev.precis.cli.common.BuiltInModel;
import dev.precis.io.Json;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;

/**
 * {@code precis reward}: reward models and classifiers from files to folders, and what is refused.
 */
final class RewardTest {
  private static final Path MODEL = FIXTURES.resolve("roberta-tiny");

  @TempDir private static Path data;
  @TempDir private Path folder;

  @BeforeAll
  static void makeData() {
    run("data", "--output", data, "--count", 400).succeeded();
  }

  private CommandLineRun reward(Object... args) {
    List<Object> all = new ArrayList<>(List.of("reward", "--output", folder.resolve("run")));
    all.addAll(List.of(args));
    return run(all.toArray());
  }

  private JsonNode evaluation() throws IOException {
    return Json.mapper().readTree(Files.readString(folder.resolve("run/evaluation.json")));
  }

  @Test
  void aRewardModelFromPairs() throws IOException {
    CommandLineRun result =
        reward(
                "--model",
                MODEL,
                "--pairs",
                data.resolve("train-pairs.jsonl"),
                "--learning-rate",
                "2e-3",
                "--batch-size",
                8,
                "--epochs",
                8,
                "--warmup-steps",
                5,
                "--json")
            .succeeded();
    assertTrue(result.err().contains("a new head on the model"), result.err());
    assertTrue(result.err().contains("best evaluation"), result.err());
    assertTrue(result.err().contains("native memory"), result.err());
    JsonNode printed = result.lines().getFirst();
    assertEquals(evaluation(), printed);
    int pairs = lines(data.resolve("train-pairs.jsonl")).size();
    assertEquals(Math.round(0.1 * pairs), printed.get("pairs").intValue());
    assertTrue(printed.get("accuracy").doubleValue() > 0.8, printed.toString());
    assertTrue(printed.get("brier").doubleValue() < 0.25, printed.toString());
    assertEquals(10, printed.get("bins").size());
    JsonNode config =
        Json.mapper().readTree(Files.readString(folder.resolve("run/model/config.json")));
    assertEquals("reward", config.get("id2label").get("0").stringValue());
    assertEquals(1, config.get("id2label").size());
    for (String file :
        List.of("metrics.jsonl", "report.html", "config.json", "model/reward.json")) {
      assertTrue(Files.exists(folder.resolve("run").resolve(file)), file);
    }
    String page = Files.readString(folder.resolve("run/report.html"));
    assertTrue(page.contains("held-out") && page.contains("Evaluation accuracy"));
    // The model prefers what people preferred, also of pairs that nobody has seen.
    Path chosen = side("chosen");
    Path rejected = side("rejected");
    double margin = meanReward(chosen) - meanReward(rejected);
    assertTrue(margin > 0.5, "margin " + margin);
  }

  private Path side(String side) throws IOException {
    StringBuilder texts = new StringBuilder();
    for (JsonNode pair : lines(data.resolve("test-pairs.jsonl"))) {
      texts.append(pair.get(side).stringValue()).append('\n');
    }
    return Files.writeString(folder.resolve(side + ".txt"), texts);
  }

  private double meanReward(Path texts) {
    List<JsonNode> scores =
        run("score", "--reward-model", folder.resolve("run/model"), "--input", texts)
            .succeeded()
            .lines();
    return scores.stream()
        .mapToDouble(each -> each.get("logits").get("reward").doubleValue())
        .average()
        .orElseThrow();
  }

  @Test
  void aClassifierFromLabels() throws IOException {
    CommandLineRun result =
        reward(
                "--model",
                MODEL,
                "--data",
                data.resolve("train-labels.jsonl"),
                "--eval-data",
                data.resolve("test-labels.jsonl"),
                "--learning-rate",
                "2e-3",
                "--epochs",
                6)
            .succeeded();
    // The model's own labels and its own head.
    assertFalse(result.err().contains("a new head"), result.err());
    assertTrue(result.out().contains("held-out texts"), result.out());
    assertTrue(result.out().matches("(?s).*hate +\\d+ +[01]\\.\\d{4}.*"), result.out());
    JsonNode found = evaluation();
    assertEquals(lines(data.resolve("test-labels.jsonl")).size(), found.get("texts").intValue());
    assertTrue(found.get("accuracy").doubleValue() > 0.85, found.toString());
    assertEquals(List.of("nothate", "hate"), List.copyOf(found.get("classes").propertyNames()));
    Path rude = Files.writeString(folder.resolve("t.txt"), "Mike asks for a room.\n");
    assertEquals(
        "nothate",
        run("score", "--reward-model", folder.resolve("run/model"), "--input", rude)
            .succeeded()
            .lines()
            .getFirst()
            .get("label")
            .stringValue());
  }

  @Test
  void aPromptThatIsReadMustBeThere() throws IOException {
    reward(
            "--model",
            MODEL,
            "--pairs",
            data.resolve("test-pairs.jsonl"),
            "--template",
            "{prompt}\\n{completion}",
            "--max-steps",
            1,
            "--holdout",
            0)
        .succeeded();
    assertFalse(Files.exists(folder.resolve("run/evaluation.json")));
    Path model = folder.resolve("run/model");
    assertTrue(Files.readString(model.resolve("reward.json")).contains("{prompt}\\n{completion}"));
    Path input =
        Files.writeString(
            folder.resolve("in.jsonl"),
            "{\"prompt\":\"Hm?\",\"text\":\"Yes.\"}\n{\"text\":\"No.\"}\n");
    CommandLineRun refused = run("score", "--reward-model", model, "--input", input);
    assertEquals(2, refused.exitCode());
    assertEquals("", refused.out());
    assertTrue(
        refused.err().contains("in.jsonl, line 2 has no \"prompt\"")
            && refused.err().contains("{prompt}\\n{completion}"),
        refused.err());
    // The reader must get exactly the filled-in text.
    Files.writeString(input, "{\"prompt\":\"Hm?\",\"text\":\"Yes.\"}\n");
    double with = rewardOf(model, input);
    Files.delete(model.resolve("reward.json"));
    Files.writeString(input, "{\"text\":\"Hm?\\nYes.\"}\n");
    assertEquals(rewardOf(model, input), with, 1e-9);
  }

  private static double rewardOf(Path model, Path input) {
    return run("score", "--reward-model", model, "--input", input)
        .succeeded()
        .lines()
        .getFirst()
        .get("logits")
        .get("reward")
        .doubleValue();
  }

  @Test
  void anotherTokenizerIsRefused() throws IOException {
    reward(
            "--init",
            MODEL,
            "--pairs",
            data.resolve("test-pairs.jsonl"),
            "--max-steps",
            1,
            "--holdout",
            0)
        .succeeded();
    Path merges = folder.resolve("run/model/merges.txt");
    List<String> lines = new ArrayList<>(Files.readAllLines(merges));
    lines.removeLast();
    Files.write(merges, lines);
    Path input = Files.writeString(folder.resolve("in.txt"), "Yes.\n");
    CommandLineRun refused =
        run("score", "--reward-model", folder.resolve("run/model"), "--input", input);
    assertEquals(2, refused.exitCode());
    assertTrue(
        refused.err().contains("reward.json") && refused.err().contains("tokenizer"),
        refused.err());
    assertEquals(1, refused.err().lines().count());
  }

  @Test
  void aRunThatEndsEarlyGoesOn() throws IOException {
    Object[] options = {
      "--model",
      MODEL,
      "--pairs",
      data.resolve("train-pairs.jsonl"),
      "--checkpoint-every",
      1,
      "--batch-size",
      4,
      "--seed",
      3
    };
    Object[] whole = with(options, "--max-steps", 6, "--keep-checkpoints", 9);
    reward(whole).succeeded();
    Path run = folder.resolve("run");
    byte[] expected = Files.readAllBytes(run.resolve("model/model.safetensors"));
    String evaluation = Files.readString(run.resolve("evaluation.json"));
    // As after a kill behind the second step.
    for (int step = 3; step <= 6; step++) {
      delete(run.resolve("checkpoints/step-" + step));
    }
    delete(run.resolve("model"));
    Files.delete(run.resolve("evaluation.json"));
    assertEquals(2, reward(whole).exitCode(), "a run is never overwritten");
    CommandLineRun other = reward(with(options, "--max-steps", 6, "--center", 0.5, "--resume"));
    assertEquals(2, other.exitCode());
    assertTrue(other.err().contains("center = 0.01, not 0.5"), other.err());
    CommandLineRun resumed = reward(with(whole, "--resume")).succeeded();
    assertTrue(resumed.err().contains("Resuming after step 2"), resumed.err());
    assertArrayEquals(expected, Files.readAllBytes(run.resolve("model/model.safetensors")));
    assertEquals(evaluation, Files.readString(run.resolve("evaluation.json")));
    assertEquals(7, lines(run.resolve("metrics.jsonl")).size());
  }

  private static Object[] with(Object[] options, Object... more) {
    List<Object> all = new ArrayList<>(List.of(options));
    all.addAll(List.of(more));
    return all.toArray();
  }

  private static void delete(Path path) throws IOException {
    if (Files.exists(path)) {
      try (var files = Files.walk(path)) {
        for (Path each : files.sorted(java.util.Comparator.reverseOrder()).toList()) {
          Files.delete(each);
        }
      }
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "--pairs p                                   | --model or --init is missing",
        "--pairs p --model m --init i                | --model and --init are mutually exclusive",
        "--model m                                   | --pairs or --data is missing",
        "--model m --pairs p --data d                | --pairs and --data are mutually exclusive",
        "--model m --pairs p --holdout 1             | --holdout must be at least 0 and below 1",
        "--model m --pairs p --holdout .2 --eval-data e | --eval-data and --holdout are mutually"
            + " exclusive",
        "--model m --data d --center 1               | --center needs --pairs",
        "--model m --data d --template {completion}  | --template needs --pairs",
        "--model m --pairs p --labels a,b            | --labels needs --data",
        "--model m --pairs p --text-field t          | --text-field needs --data",
        "--model m --pairs p --template {prompt}     | must have {completion} once",
        "--model m --pairs p --center -1             | --center must be 0 or more",
        "--model m --pairs p --dropout 1             | --dropout must be at least 0 and below 1",
        "--model m --pairs p --holdout 0 --early-stopping 2 | need --eval-data",
        "--model m --pairs p --optimizer best        | --optimizer must be",
        "--model m --pairs p --epochs 1 --max-steps 3 | --epochs and --max-steps are mutually"
            + " exclusive",
      })
  void wrongUsage(String options, String sentence) {
    CommandLineRun result = reward((Object[]) options.strip().split(" +"));
    assertEquals(2, result.exitCode(), result.err());
    assertTrue(result.err().contains(sentence), result.err());
    assertEquals(1, result.err().lines().count(), result.err());
    assertFalse(Files.exists(folder.resolve("run")));
  }

  private void refuses(String content, boolean pairs, String... named) throws IOException {
    Path file = Files.writeString(folder.resolve("bad.jsonl"), content);
    CommandLineRun result =
        reward("--model", MODEL, pairs ? "--pairs" : "--data", file, "--on-bad-row", "fail");
    assertEquals(2, result.exitCode(), result.err());
    for (String name : named) {
      assertTrue(result.err().contains(name), name + " in " + result.err());
    }
    assertEquals(1, result.err().lines().count(), result.err());
    assertFalse(Files.exists(folder.resolve("run")));
  }

  @Test
  void badData() throws IOException {
    String good = "{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\"b\"}\n";
    refuses(
        good + "{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\"a\"}\n",
        true,
        "bad.jsonl, line 2",
        "are the same");
    refuses(good + "{\"prompt\":\"p\",\"chosen\":\"a\"}\n", true, "line 2", "\"rejected\"");
    refuses(good, true, "too little for --holdout");
    refuses("", true, "bad.jsonl holds no pair");
    refuses("{\"text\":\"a\",\"label\":\"x\"}\n".repeat(20), false, "every text", "'x'");
    refuses("{\"text\":\"a\",\"label\":\"x\"}\n{\"text\":\"a\"}\n", false, "line 2", "\"label\"");
    refuses("{\"text\":\"a\",\"label\":[]}\n", false, "line 1", "\"label\" must be a name");
    Path texts = data.resolve("test-labels.jsonl");
    CommandLineRun labels = reward("--model", MODEL, "--data", texts, "--labels", "hate,love");
    assertEquals(2, labels.exitCode());
    assertTrue(
        labels.err().contains("test-labels.jsonl, line ")
            && labels.err().contains("'nothate'")
            && labels.err().contains("hate, love"),
        labels.err());
    CommandLineRun t5 = reward("--model", CommandLineRun.MODEL, "--data", texts);
    assertEquals(2, t5.exitCode());
    assertTrue(t5.err().contains("not a RoBERTa"), t5.err());
  }

  @Test
  void theBuiltInClassifierKnowsRudeness() throws IOException {
    try (BuiltInModel toxicity = BuiltInModel.toxicity()) {
      // Another seed than the one that it was trained with.
      Path texts = data.resolve("train-labels.jsonl");
      List<JsonNode> want = lines(texts);
      List<JsonNode> got =
          run("score", "--reward-model", toxicity.folder(), "--input", texts).succeeded().lines();
      int wrong = 0;
      for (int i = 0; i < want.size(); i++) {
        wrong += want.get(i).get("label").equals(got.get(i).get("label")) ? 0 : 1;
      }
      assertTrue(wrong <= want.size() / 100, wrong + " of " + want.size());
      long bytes = 0;
      try (var files = Files.list(toxicity.folder())) {
        for (Path file : files.toList()) {
          bytes += Files.size(file);
        }
      }
      assertTrue(bytes < 2_000_000, bytes + " bytes");
    }
  }
}
