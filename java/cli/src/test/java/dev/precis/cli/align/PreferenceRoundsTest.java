package dev.precis.cli.align;

import static dev.precis.cli.CommandLineRun.DIALOGUES;
import static dev.precis.cli.CommandLineRun.FIXTURES;
import static dev.precis.cli.CommandLineRun.MODEL;
import static dev.precis.cli.CommandLineRun.lines;
import static dev.precis.cli.CommandLineRun.run;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.cli.CommandLineRun;
import dev.precis.io.FileTree;
import dev.precis.io.Json;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/** align --rounds: each round is best-of-n and an ordinary run, and a killed one continues. */
final class PreferenceRoundsTest {
  private static final Path TRAINED = FIXTURES.resolve("t5-tiny-lora-after20");
  private static final String WEIGHTS = "adapter_model.safetensors";
  private static final String SAMPLING =
      "--samples 6 --max-new-tokens 8 --temperature 2 --top-k 0 --reward length:3";
  private static final String TRAINING = "--max-steps 2 --batch-size 4 --learning-rate 2e-3";

  @TempDir private Path folder;
  private Path data;
  private Path output;

  @BeforeEach
  void data() throws IOException {
    data = Files.write(folder.resolve("in.jsonl"), Files.readAllLines(DIALOGUES).subList(0, 6));
    output = folder.resolve("run");
  }

  private CommandLineRun align(String options, Object... more) {
    List<Object> arguments = new ArrayList<>(List.of("align", "--model", MODEL, "--data", data));
    arguments.addAll(List.of(options.split(" ")));
    arguments.addAll(List.of(more));
    if (!arguments.contains("--output")) {
      arguments.addAll(List.of("--output", output));
    }
    return run(arguments.toArray());
  }

  private CommandLineRun rounds(int count, String more) {
    return align(
        "--algorithm dpo --rounds %d %s %s %s".formatted(count, SAMPLING, TRAINING, more).strip());
  }

  private static byte[] bytes(Path file) throws IOException {
    return Files.readAllBytes(file);
  }

  private static JsonNode config(Path run) {
    return Json.readObject(run.resolve("config.json")).node();
  }

  @Test
  void aRoundIsBestOfNAndAlignmentToPairs() throws IOException {
    CommandLineRun result = rounds(2, "").succeeded();
    Path first = output.resolve("round-1");
    Path second = output.resolve("round-2");
    Path best = folder.resolve("best.jsonl");
    List<Object> sampling = new ArrayList<>(List.of("best-of-n", "--model", MODEL));
    sampling.addAll(List.of((SAMPLING + " --input " + data + " --output " + best).split(" ")));
    run(sampling.toArray()).succeeded();
    assertArrayEquals(bytes(best), bytes(first.resolve("pairs.jsonl")));

    String training = "--algorithm dpo " + TRAINING + " --pairs ";
    Path one = folder.resolve("one");
    run((Object[])
            ("align --model %s --output %s %s".formatted(MODEL, one, training)
                    + first.resolve("pairs.jsonl"))
                .split(" "))
        .succeeded();
    assertArrayEquals(
        bytes(one.resolve("adapter").resolve(WEIGHTS)),
        bytes(first.resolve("run/adapter").resolve(WEIGHTS)));
    Path two = folder.resolve("two");
    Path adapter = first.resolve("run/adapter");
    run((Object[])
            ("align --model %s --output %s --adapter %s --reference adapter:%s %s"
                        .formatted(MODEL, two, adapter, adapter, training)
                    + second.resolve("pairs.jsonl"))
                .split(" "))
        .succeeded();
    byte[] last = bytes(output.resolve("adapter").resolve(WEIGHTS));
    assertArrayEquals(bytes(two.resolve("adapter").resolve(WEIGHTS)), last);
    assertArrayEquals(bytes(second.resolve("run/adapter").resolve(WEIGHTS)), last);
    assertTrue(Files.exists(output.resolve("adapter/adapter_config.json")));
    // The reference of the second round is where it starts: the first step's margin is zero.
    assertEquals(
        0,
        lines(second.resolve("run/metrics.jsonl")).getFirst().get("rewards/margins").doubleValue());

    List<JsonNode> metrics = lines(output.resolve("metrics.jsonl"));
    assertEquals(2, metrics.size());
    for (int i = 0; i < 2; i++) {
      List<JsonNode> pairs = lines(output.resolve("round-%d/pairs.jsonl".formatted(i + 1)));
      double mean = pairs.stream().mapToDouble(each -> each.get("reward").doubleValue()).sum() / 6;
      assertEquals(mean, metrics.get(i).get("reward/chosen").doubleValue(), 1e-12);
      assertEquals(
          pairs.stream().filter(each -> each.has("rejected")).count(),
          metrics.get(i).get("pairs").longValue());
    }
    assertNotEquals(
        lines(first.resolve("pairs.jsonl")).getFirst().get("rewards"),
        lines(second.resolve("pairs.jsonl")).getFirst().get("rewards"));
    assertTrue(
        Files.readString(output.resolve("report.html")).contains("Mean reward of all samples"));
    JsonNode outcome = Json.readObject(output.resolve("results.json")).node();
    assertEquals(
        metrics.getLast().get("reward/samples"),
        outcome.at("/results/0/after"),
        outcome.toString());
    assertTrue(result.err().contains("Round 2 of 2: "), result.err());
    assertTrue(result.err().contains("Done after 2 rounds: "), result.err());
    assertEquals(1, result.err().lines().filter(line -> line.startsWith("Next: ")).count());
  }

  @ParameterizedTest
  @ValueSource(strings = {"cdpo", "robust", "ipo", "hinge", "orpo", "simpo", "kto"})
  void everyAlgorithmOfPairsHasRounds(String algorithm) {
    align("--algorithm %s --rounds 2 %s %s".formatted(algorithm, SAMPLING, TRAINING)).succeeded();
    for (int round = 1; round <= 2; round++) {
      JsonNode its = config(output.resolve("round-%d/run".formatted(round)));
      assertEquals(algorithm, its.get("algorithm").stringValue());
    }
    assertTrue(Files.exists(output.resolve("adapter").resolve(WEIGHTS)));
  }

  @Test
  void anAdapterIsWhereTheFirstRoundStarts() throws IOException {
    rounds(1, "--adapter " + TRAINED).succeeded();
    JsonNode its = config(output.resolve("round-1/run"));
    assertEquals("adapter:" + TRAINED, its.get("reference").stringValue());
    assertEquals("the start of each round", config(output).get("reference").stringValue());
    Path best = folder.resolve("best.jsonl");
    run((Object[])
            ("best-of-n --model %s --adapter %s --input %s --output %s "
                        .formatted(MODEL, TRAINED, data, best)
                    + SAMPLING)
                .split(" "))
        .succeeded();
    assertArrayEquals(bytes(best), bytes(output.resolve("round-1/pairs.jsonl")));
  }

  @Test
  void allWeightsGoFromRoundToRound() throws IOException {
    rounds(2, "--method full").succeeded();
    Path first = output.resolve("round-1/run/model");
    JsonNode second = config(output.resolve("round-2/run"));
    assertEquals(first.toString(), second.get("model").stringValue());
    assertArrayEquals(
        bytes(output.resolve("round-2/run/model/model.safetensors")),
        bytes(output.resolve("model/model.safetensors")));
    run("generate", "--model", output.resolve("model"), "--prompt", "Hello").succeeded();
  }

  /** Takes away what is written last, and lets the command go on from there. */
  @Test
  void continuesAtTheFirstThingThatIsNotComplete() throws IOException {
    rounds(2, "").succeeded();
    byte[] last = bytes(output.resolve("adapter").resolve(WEIGHTS));
    byte[] metrics = bytes(output.resolve("metrics.jsonl"));
    Path second = output.resolve("round-2");
    byte[] pairs = bytes(second.resolve("pairs.jsonl"));
    // The last copy alone.
    FileTree.delete(output.resolve("adapter"));
    CommandLineRun copied = rounds(2, "--resume").succeeded();
    assertFalse(copied.err().contains("trainable params"), copied.err());
    assertArrayEquals(last, bytes(output.resolve("adapter").resolve(WEIGHTS)));
    // Training of the second round, after a step.
    FileTree.delete(output.resolve("adapter"));
    FileTree.delete(second.resolve("run/adapter"));
    FileTree.delete(second.resolve("run/checkpoints/step-2"));
    rounds(2, "--resume").succeeded();
    assertArrayEquals(last, bytes(output.resolve("adapter").resolve(WEIGHTS)));
    // Sampling of the second round, after two dialogues and a half.
    FileTree.delete(output.resolve("adapter"));
    FileTree.delete(second.resolve("run"));
    Files.delete(second.resolve("pairs.jsonl"));
    String text = new String(pairs, StandardCharsets.UTF_8);
    List<String> all = text.lines().toList();
    Files.writeString(
        second.resolve("pairs.jsonl.partial"),
        all.get(0) + "\n" + all.get(1) + "\n" + all.get(2).substring(0, 30));
    CommandLineRun resumed = rounds(2, "--resume").succeeded();
    assertTrue(resumed.err().contains("Resuming after 2 of 6."), resumed.err());
    assertArrayEquals(pairs, bytes(second.resolve("pairs.jsonl")));
    assertArrayEquals(last, bytes(output.resolve("adapter").resolve(WEIGHTS)));
    assertArrayEquals(metrics, bytes(output.resolve("metrics.jsonl")));
    // Pairs that another command wrote.
    FileTree.delete(output.resolve("adapter"));
    Files.writeString(second.resolve("pairs.jsonl"), all.get(1) + "\n");
    CommandLineRun other = rounds(2, "--resume");
    assertEquals(2, other.exitCode());
    assertTrue(other.err().contains("pairs.jsonl, line 1 is not the result"), other.err());
  }

  @Test
  void resumesOnlyTheSameRun() throws IOException {
    rounds(1, "").succeeded();
    CommandLineRun again = rounds(1, "");
    assertEquals(2, again.exitCode());
    assertTrue(again.err().contains("already holds a run: resume it with --resume"), again.err());
    CommandLineRun more = rounds(2, "--resume");
    assertEquals(2, more.exitCode());
    assertTrue(more.err().contains("rounds = 1, not 2"), more.err());
  }

  @Test
  void itsRecordStartsTheSameRunsAgain() throws IOException {
    rounds(2, "--beta 0.2").succeeded();
    Path again = folder.resolve("again");
    run("align", "--config", output.resolve("config.json"), "--output", again).succeeded();
    assertEquals(config(output), config(again));
    assertArrayEquals(
        bytes(output.resolve("adapter").resolve(WEIGHTS)),
        bytes(again.resolve("adapter").resolve(WEIGHTS)));
  }

  /** The policy learns what the reward asks for: short responses. */
  @Test
  void theRewardOfTheSamplesGrows() {
    align(
            "--algorithm dpo --rounds 3 --samples 6 --max-new-tokens 12 --reward length:2"
                + " --epochs 4 --batch-size 2 --learning-rate 5e-3 --rpo-alpha 1")
        .succeeded();
    List<JsonNode> metrics = lines(output.resolve("metrics.jsonl"));
    double first = metrics.getFirst().get("reward/samples").doubleValue();
    double last = metrics.getLast().get("reward/samples").doubleValue();
    assertTrue(last > first + 0.5, metrics.toString());
  }

  @Test
  void aRewardWithoutADifferenceIsRefused() {
    CommandLineRun result =
        align("--algorithm dpo --rounds 2 --samples 2 --max-new-tokens 4 --reward length:3=0");
    assertEquals(2, result.exitCode());
    assertTrue(result.err().contains("round-1/pairs.jsonl has no pair"), result.err());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "ppo --rounds 2 --reward facts | --rounds does not apply to ppo",
        "dpo --samples 4 --reward facts | --samples needs --rounds",
        "dpo --rounds 0 --reward facts | --rounds must be 1 or more, not 0",
        "dpo --rounds 1001 --reward facts | --rounds must be at most 1000",
        "dpo --rounds 2 --samples 1 --reward facts | --samples must be 2 or more",
        "dpo --rounds 2 | --reward-model or --reward is missing",
        "dpo --rounds 2 --reward facts --pairs p.jsonl | --pairs does not apply to dpo with"
            + " --rounds",
        "kto --rounds 2 --reward facts --feedback f | --feedback does not apply to kto with",
        "dpo --rounds 2 --reward facts --reference base | --reference does not apply to dpo with",
        "dpo --rounds 2 --reward facts --eval-data p.jsonl | --eval-data does not apply to dpo"
            + " with",
        "dpo --rounds 2 --reward facts --probe-good x | --probe-good does not apply to dpo with",
        "dpo --rounds 2 --reward facts --clip-range 0.1 | --clip-range does not apply to dpo with",
        "dpo --rounds 2 --reward facts --beta 0 | --beta must be above 0",
        "dpo --rounds 2 --reward facts --top-p 0 | --top-p",
        "dpo --rounds 2 --reward rouge:rouge9 | --reward must be rouge:M",
        "dpo --rounds 2 --reward facts --max-source-length 8 | no prompt that fits"
      })
  void wrongUsage(String options, String sentence) {
    CommandLineRun result = align("--algorithm " + options);
    assertEquals(2, result.exitCode(), result.err());
    assertTrue(result.err().contains(sentence), result.err());
    assertFalse(Files.exists(output));
  }

  @Test
  void dialoguesAreMissing() {
    CommandLineRun result =
        run(
            "align",
            "--algorithm",
            "dpo",
            "--rounds",
            1,
            "--reward",
            "facts",
            "--model",
            MODEL,
            "--output",
            output);
    assertEquals(2, result.exitCode());
    assertTrue(result.err().contains("--data is missing"), result.err());
  }
}
