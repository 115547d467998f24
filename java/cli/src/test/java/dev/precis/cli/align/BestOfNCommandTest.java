package dev.precis.cli.align;

import static dev.precis.cli.CommandLineRun.DIALOGUES;
import static dev.precis.cli.CommandLineRun.FIXTURES;
import static dev.precis.cli.CommandLineRun.MODEL;
import static dev.precis.cli.CommandLineRun.lines;
import static dev.precis.cli.CommandLineRun.run;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.cli.CommandLineRun;
import dev.precis.io.Json;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/** best-of-n: what it samples and chooses, and the commands that read its file. */
final class BestOfNCommandTest {
  private static final Path REWARD = FIXTURES.resolve("roberta-tiny");

  @TempDir private Path folder;

  private CommandLineRun bestOfN(String options, Object... more) {
    List<Object> args = new ArrayList<>(List.of("best-of-n", "--model", MODEL));
    args.addAll(List.of(options.split(" ")));
    args.addAll(List.of(more));
    return run(args.toArray());
  }

  private Path dialogues(int count) throws IOException {
    return Files.write(folder.resolve("in.jsonl"), Files.readAllLines(DIALOGUES).subList(0, count));
  }

  private static List<Double> numbers(JsonNode list) {
    List<Double> numbers = new ArrayList<>();
    list.forEach(each -> numbers.add(each.doubleValue()));
    return numbers;
  }

  /** A line has the samples of generate with the same seed; their rewards are counted by hand. */
  @Test
  void choosesAmongTheSamplesOfGenerate() throws IOException {
    Path input = dialogues(6);
    Path output = folder.resolve("best.jsonl");
    String sampling = "--max-new-tokens 16 --seed 5 --temperature 0.8 --top-k 30 --input " + input;
    CommandLineRun result =
        bestOfN(
                sampling + " --samples 3 --reward length:7=0.5 --reward rouge:rouge1",
                "--output",
                output)
            .succeeded();
    assertEquals("", result.out());
    List<JsonNode> all = lines(output);
    List<JsonNode> inputs = lines(input);
    List<Object> generate = new ArrayList<>(List.of("generate", "--model", MODEL, "--sample"));
    generate.addAll(List.of((sampling + " --num-return-sequences 3").split(" ")));
    List<JsonNode> samples = run(generate.toArray()).succeeded().lines();
    assertEquals(6, all.size());
    double ofAll = 0;
    double ofChosen = 0;
    for (int i = 0; i < all.size(); i++) {
      JsonNode line = all.get(i);
      List<JsonNode> its = samples.subList(3 * i, 3 * i + 3);
      List<Double> rewards = numbers(line.get("rewards"));
      assertEquals(3, rewards.size());
      int best = 0;
      int worst = 0;
      for (int n = 0; n < 3; n++) {
        best = rewards.get(n) > rewards.get(best) ? n : best;
        worst = rewards.get(n) < rewards.get(worst) ? n : worst;
        ofAll += rewards.get(n) / 18;
      }
      ofChosen += rewards.get(best) / 6;
      JsonNode chosen = its.get(best);
      for (String key : List.of("id", "summary", "tokens", "score")) {
        assertEquals(chosen.get(key), line.get(key), key);
      }
      assertEquals(chosen.get("summary"), line.get("chosen"));
      assertEquals(its.get(worst).get("summary"), line.get("rejected"));
      assertEquals(rewards.get(best), line.get("reward").doubleValue());
      assertEquals(rewards.get(best) - rewards.get(worst), line.get("margin").doubleValue());
      int words = line.get("chosen").stringValue().split("\\s+").length;
      assertEquals(-Math.abs(words - 7), line.at("/terms/length").doubleValue());
      assertEquals(
          0.5 * line.at("/terms/length").doubleValue() + line.at("/terms/rouge1").doubleValue(),
          line.get("reward").doubleValue(),
          1e-12);
      assertEquals(
          "Summarize the following conversation.\n\n"
              + inputs.get(i).get("dialogue").stringValue()
              + "\n\nSummary: ",
          line.get("prompt").stringValue());
      assertEquals(
          List.of(
              "id",
              "prompt",
              "summary",
              "tokens",
              "score",
              "reward",
              "terms",
              "chosen",
              "rejected",
              "margin",
              "rewards"),
          List.copyOf(line.propertyNames()));
    }
    String means = "Mean reward: %.4f of all results, %.4f of the chosen ones.";
    assertEquals(means.formatted(ofAll, ofChosen), result.err().strip());
    try (var files = Files.list(folder)) {
      assertEquals(List.of(output, input), files.sorted().toList());
    }
  }

  @Test
  void theSummaryOfTheDataMayBeTheChosenOne() throws IOException {
    Path input = dialogues(4);
    Object[] options = {"--input", input, "--reward", "facts", "--reward", "length:7=0.1"};
    String how = "--max-new-tokens 12 --samples 3 --quiet";
    List<JsonNode> own = bestOfN(how, options).succeeded().lines();
    List<JsonNode> preferring = bestOfN(how + " --prefer-summary", options).succeeded().lines();
    List<JsonNode> inputs = lines(input);
    for (int i = 0; i < 4; i++) {
      assertEquals(inputs.get(i).get("summary"), preferring.get(i).get("chosen"));
      for (String key : List.of("summary", "rejected", "margin", "rewards")) {
        assertEquals(own.get(i).get(key), preferring.get(i).get(key), key);
      }
    }
    Path without = folder.resolve("without.jsonl");
    Files.writeString(without, "{\"id\":\"a\",\"dialogue\":\"Hi.\"}\n");
    CommandLineRun refused =
        bestOfN(how + " --prefer-summary", "--input", without, "--reward", "length:7");
    assertEquals(2, refused.exitCode());
    assertTrue(refused.err().contains("dialogue a: there is no summary"), refused.err());
  }

  @Test
  void doesNotDependOnTheBatchSize() throws IOException {
    Path input = dialogues(11);
    Object[] options = {"--input", input, "--reward-model", REWARD, "--reward-label=-hate"};
    String first = "--max-new-tokens 12 --samples 2 --quiet --batch-size ";
    String together = bestOfN(first + 32, options).succeeded().out();
    assertEquals(11, together.lines().count());
    // At a batch of one, a turn is four dialogues.
    for (int batchSize : new int[] {1, 5}) {
      assertEquals(together, bestOfN(first + batchSize, options).succeeded().out());
    }
    assertNotEquals(together, bestOfN(first + 32 + " --seed 1", options).succeeded().out());
  }

  @ParameterizedTest
  @ValueSource(strings = {"float32", "bfloat16", "int8"})
  void everyTypeSamplesAndIsScored(String dtype) throws IOException {
    List<JsonNode> all =
        bestOfN(
                "--max-new-tokens 8 --samples 4 --dtype " + dtype,
                "--input",
                dialogues(2),
                "--adapter",
                FIXTURES.resolve("t5-tiny-lora-after20"),
                "--reward-model",
                REWARD,
                "--reward-label",
                "nothate")
            .succeeded()
            .lines();
    assertEquals(2, all.size());
    assertTrue(all.getFirst().get("margin").doubleValue() > 0, all.toString());
  }

  @Test
  void dialoguesWithoutADifferenceAreCounted() throws IOException {
    Path input = dialogues(3);
    CommandLineRun result =
        bestOfN("--max-new-tokens 4 --samples 2 --reward length:9,weight=0 --input " + input)
            .succeeded();
    assertTrue(result.err().contains("3 of 3 dialogues have no \"rejected\""), result.err());
    for (JsonNode line : result.lines()) {
      assertFalse(line.has("rejected") || line.has("margin"), line.toString());
      assertEquals(line.get("summary"), line.get("chosen"));
      assertEquals(2, line.get("rewards").size());
    }
  }

  /** Whole prompts and cut ones are written as they are read. */
  @Test
  void promptsAreThoseThatWereGiven() throws IOException {
    Path input = dialogues(2);
    CommandLineRun refused = bestOfN("--max-source-length 40 --reward facts --input " + input);
    assertEquals(2, refused.exitCode());
    assertTrue(refused.err().contains("'own_0' has "), refused.err());
    List<JsonNode> all =
        bestOfN(
                "--max-source-length 40 --truncate --raw --max-new-tokens 4 --reward facts --input "
                    + input)
            .succeeded()
            .lines();
    assertEquals(lines(input).getFirst().get("dialogue"), all.getFirst().get("prompt"));
    assertEquals(8, all.getFirst().get("rewards").size());
  }

  @Test
  void resumesToTheSameBytes() throws IOException {
    Path output = folder.resolve("best.jsonl");
    String command =
        "--max-new-tokens 12 --samples 3 --batch-size 3 --reward facts --reward length:5=0.1"
            + " --input "
            + dialogues(7)
            + " --output "
            + output;
    String note = bestOfN(command).succeeded().err();
    String whole = Files.readString(output);
    List<String> all = whole.lines().toList();
    Files.delete(output);
    Path partial = folder.resolve("best.jsonl.partial");
    String left = String.join("\n", all.subList(0, 3)) + "\n" + all.get(3).substring(0, 20);
    Files.writeString(partial, left);
    CommandLineRun other = bestOfN(command.replace("--samples 3", "--samples 4") + " --resume");
    assertEquals(2, other.exitCode());
    assertTrue(other.err().contains("best.jsonl.partial, line 1 is not the result"), other.err());
    assertEquals(left, Files.readString(partial));
    CommandLineRun resumed = bestOfN(command + " --resume").succeeded();
    assertEquals("Resuming after 3 of 7." + System.lineSeparator() + note, resumed.err());
    assertEquals(whole, Files.readString(output));
    assertFalse(Files.exists(partial));
  }

  @Test
  void aFailureLeavesTheOldFile() throws IOException {
    Path output = Files.writeString(folder.resolve("best.jsonl"), "old\n");
    Path input = Files.writeString(folder.resolve("one.jsonl"), "{\"dialogue\": \"Hello.\"}\n");
    CommandLineRun result = bestOfN("--reward rouge:rougeL", "--input", input, "--output", output);
    assertEquals(2, result.exitCode());
    assertTrue(result.err().contains("has no reference summary"), result.err());
    assertEquals("old\n", Files.readString(output));
    assertFalse(Files.exists(folder.resolve("best.jsonl.partial")));
  }

  /** Some of the lines have no rejected answer: they are no pairs, but they are summaries. */
  private Path mixed() throws IOException {
    Path output = folder.resolve("mixed.jsonl");
    bestOfN(
            "--max-new-tokens 12 --samples 2 --reward length:8 --seed 2",
            "--input",
            dialogues(24),
            "--output",
            output)
        .succeeded();
    long pairs = lines(output).stream().filter(line -> line.has("rejected")).count();
    assertTrue(pairs > 8 && pairs < 24, pairs + " pairs");
    return output;
  }

  @Test
  void alignReadsItsPairs() throws IOException {
    Path pairs = mixed();
    long count = lines(pairs).stream().filter(line -> line.has("rejected")).count();
    for (String algorithm : List.of("dpo", "kto")) {
      CommandLineRun result =
          run(
                  "align",
                  "--algorithm",
                  algorithm,
                  "--model",
                  MODEL,
                  "--pairs",
                  pairs,
                  "--max-steps",
                  2,
                  "--output",
                  folder.resolve(algorithm))
              .succeeded();
      long examples = algorithm.equals("kto") ? 2 * count : count;
      assertTrue(result.err().contains(examples + " "), result.err());
      assertTrue(result.err().contains(24 - count + " of 24"), result.err());
    }
  }

  @Test
  void rewardReadsItsPairs() throws IOException {
    Path pairs = mixed();
    long count = lines(pairs).stream().filter(line -> line.has("rejected")).count();
    Path output = folder.resolve("reward");
    CommandLineRun result =
        run(
                "reward",
                "--model",
                REWARD,
                "--pairs",
                pairs,
                "--holdout",
                "0.25",
                "--max-steps",
                2,
                "--json",
                "--output",
                output)
            .succeeded();
    assertEquals(Math.round(0.25 * count), result.lines().getFirst().get("pairs").longValue());
    assertTrue(Files.exists(output.resolve("model/model.safetensors")));
  }

  @Test
  void rougeReadsItsSummaries() throws IOException {
    Path predictions = mixed();
    JsonNode scores =
        run(
                "rouge",
                "--predictions",
                predictions,
                "--references",
                folder.resolve("in.jsonl"),
                "--json")
            .succeeded()
            .lines()
            .getFirst();
    assertEquals(24, scores.get("count").intValue());
    // The same summaries alone, in another order: rows are matched by their ids.
    StringBuilder alone = new StringBuilder();
    for (JsonNode line : lines(predictions).reversed()) {
      alone.append(
          Json.mapper()
              .createObjectNode()
              .put("id", line.get("id").stringValue())
              .put("summary", line.get("chosen").stringValue()));
      alone.append('\n');
    }
    Path file = Files.writeString(folder.resolve("alone.jsonl"), alone);
    JsonNode same =
        run("rouge", "--predictions", file, "--references", folder.resolve("in.jsonl"), "--json")
            .succeeded()
            .lines()
            .getFirst();
    assertEquals(same.get("rouge1").doubleValue(), scores.get("rouge1").doubleValue(), 1e-12);
    assertTrue(scores.get("rouge1").doubleValue() > 0, scores.toString());
  }

  @Test
  void readsAConfiguration() throws IOException {
    Path config =
        Files.writeString(
            folder.resolve("best.yaml"),
            """
            model: %s
            input: %s
            samples: 3
            max_new_tokens: 6
            reward:
              - facts=2
              - length:5=0.1
            """
                .formatted(MODEL, dialogues(2)));
    String expected =
        bestOfN(
                "--samples 3 --max-new-tokens 6 --reward facts=2 --reward length:5=0.1 --input "
                    + folder.resolve("in.jsonl"))
            .succeeded()
            .out();
    assertEquals(expected, run("best-of-n", "--config", config).succeeded().out());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "--samples 1 --reward facts | --samples must be 2 or more, not 1",
        "--samples 1025 --reward facts | --samples must be at most 1024, not 1025",
        "--samples 4 | --reward-model or --reward is missing",
        "--reward facts --reward-label hate | need --reward-model",
        "--reward facts --resume | --resume needs the --output file",
        "--reward facts --temperature 0 | --temperature",
        "--reward facts --top-p 2 | --top-p",
        "--reward facts --batch-size 0 | --batch-size must be 1 or more",
        "--reward facts --raw --template {dialogue} | --raw takes prompts as they are",
        "--reward happiness | --reward must be classifier:MODEL",
        "--reward facts --num-beams 2 | Unknown option '--num-beams'",
        "--reward facts --probe-good x | Unknown option '--probe-good'"
      })
  void wrongUsage(String options, String sentence) {
    CommandLineRun result = bestOfN(options, "--input", DIALOGUES);
    assertEquals(2, result.exitCode(), result.err());
    assertTrue(result.err().contains(sentence), result.err());
    assertEquals("", result.out());
    assertEquals(1, result.err().lines().count(), result.err());
  }
}
