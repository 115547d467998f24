package dev.precis.cli.align;

import static dev.precis.cli.CommandLineRun.FIXTURES;
import static dev.precis.cli.CommandLineRun.MODEL;
import static dev.precis.cli.CommandLineRun.lines;
import static dev.precis.cli.CommandLineRun.run;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.cli.CommandLineRun;
import dev.precis.io.Json;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** align with what people prefer. */
final class PreferenceAlignTest {
  private static final Path TRAINED = FIXTURES.resolve("t5-tiny-lora-after20");

  @TempDir private Path folder;
  private Path pairs;
  private Path feedback;

  @BeforeEach
  void data() throws IOException {
    StringBuilder both = new StringBuilder();
    StringBuilder single = new StringBuilder();
    for (int i = 0; i < 10; i++) {
      ObjectNode pair = Json.mapper().createObjectNode();
      pair.put("dialogue", "#Person1#: Is it " + i + "?\n#Person2#: It is, you know.");
      ObjectNode good = pair.deepCopy().put("completion", "They agree.").put("label", true);
      ObjectNode bad = pair.deepCopy().put("completion", "A fool asks.").put("label", false);
      pair.put("chosen", "They agree.").put("rejected", "A fool asks.");
      both.append(pair).append('\n');
      single.append(good).append('\n').append(bad).append('\n');
    }
    pairs = Files.writeString(folder.resolve("pairs.jsonl"), both);
    feedback = Files.writeString(folder.resolve("feedback.jsonl"), single);
  }

  private CommandLineRun align(String algorithm, Path output, Object... more) {
    List<Object> arguments =
        new ArrayList<>(
            List.of("align", "--algorithm", algorithm, "--model", MODEL, "--output", output));
    arguments.addAll(List.of(more));
    return run(arguments.toArray());
  }

  private static JsonNode config(Path run) {
    return Json.readObject(run.resolve("config.json")).node();
  }

  private static byte[] adapter(Path run) throws IOException {
    return Files.readAllBytes(run.resolve("adapter/adapter_model.safetensors"));
  }

  @ParameterizedTest
  @CsvSource({"dpo, --pairs, pairs.jsonl", "kto, --feedback, feedback.jsonl"})
  void aFolderOfSplitsIsReadAsItsFileIs(String algorithm, String option, String name)
      throws IOException {
    Path splits = Files.createDirectory(folder.resolve("splits"));
    Files.copy(folder.resolve(name), splits.resolve("train.jsonl"));
    Files.copy(folder.resolve(name), splits.resolve("validation.jsonl"));
    Path byFile = folder.resolve("file");
    Path byFolder = folder.resolve("folder");
    align(algorithm, byFile, option, folder.resolve(name), "--max-steps", 1).succeeded();
    align(algorithm, byFolder, option, splits, "--max-steps", 1).succeeded();
    assertArrayEquals(adapter(byFile), adapter(byFolder));
  }

  @Test
  void aNewAdapterHasTheShapeThatTrainWouldGiveIt() {
    Path output = folder.resolve("run");
    align(
            "dpo",
            output,
            "--pairs",
            pairs,
            "--max-steps",
            1,
            "--rank",
            2,
            "--rslora",
            "--lora-dropout",
            0.25)
        .succeeded();
    assertTrue(config(output).get("lora").get("rslora").booleanValue());
    assertEquals(0.25, config(output).get("lora_dropout").doubleValue());
    JsonNode peft = Json.readObject(output.resolve("adapter/adapter_config.json")).node();
    assertTrue(peft.get("use_rslora").booleanValue());
    assertEquals(0.25, peft.get("lora_dropout").doubleValue());
    assertEquals(2, peft.get("r").intValue());
  }

  @Test
  void aRunLearnsTheOrderAndLeavesWhatItsHelpSays() throws IOException {
    Path output = folder.resolve("run");
    CommandLineRun run =
        align(
                "dpo",
                output,
                "--pairs",
                pairs,
                "--eval-data",
                pairs,
                "--batch-size",
                5,
                "--epochs",
                4,
                "--rank",
                4,
                "--learning-rate",
                2e-2)
            .succeeded();
    assertTrue(run.err().contains("reference: base"), run.err());
    assertTrue(run.err().contains("10 pairs, 8 steps of 5; native memory"), run.err());
    assertTrue(run.err().contains("rewards/accuracies 1.0000"), run.err());
    List<JsonNode> metrics = lines(output.resolve("metrics.jsonl"));
    assertEquals(12, metrics.size(), "eight steps and an evaluation after each epoch");
    JsonNode first = metrics.getFirst();
    assertEquals(Math.log(2), first.get("loss").doubleValue(), 1e-15);
    assertEquals(0, first.get("rewards/margins").doubleValue());
    for (String name :
        List.of(
            "rewards/chosen",
            "rewards/rejected",
            "rewards/accuracies",
            "rewards/margins",
            "logps/chosen",
            "logps/rejected")) {
      assertTrue(Double.isFinite(first.get(name).doubleValue()), name);
      assertTrue(Double.isFinite(metrics.getLast().get("eval_" + name).doubleValue()), name);
    }
    String report = Files.readString(output.resolve("report.html"));
    assertTrue(report.contains("Reward accuracy, evaluation"));
    assertTrue(Files.exists(output.resolve("reference.jsonl")));
    assertEquals("base", config(output).get("reference").stringValue());
    assertEquals(0.1, config(output).get("beta").doubleValue());
    run("generate", "--model", MODEL, "--adapter", output.resolve("adapter"), "--prompt", "Hello")
        .succeeded();
  }

  @ParameterizedTest
  @CsvSource({
    "cdpo, 0.1, 0.1",
    "robust, 0.1, 0.1",
    "ipo, 0.1, 0",
    "hinge, 0.1, 0",
    "orpo, 0.1, 0",
    "simpo, 2, 0"
  })
  void everyAlgorithmHasItsDefaults(String algorithm, double beta, double smoothing) {
    Path output = folder.resolve("run");
    align(algorithm, output, "--pairs", pairs, "--max-steps", 2, "--rank", 2).succeeded();
    assertEquals(algorithm, config(output).get("algorithm").stringValue());
    assertEquals(beta, config(output).get("beta").doubleValue());
    assertEquals(smoothing, config(output).get("label_smoothing").doubleValue());
    boolean alone = algorithm.equals("orpo") || algorithm.equals("simpo");
    assertEquals(alone ? "none" : "base", config(output).get("reference").stringValue());
    assertEquals(!alone, Files.exists(output.resolve("reference.jsonl")));
    assertEquals(2, lines(output.resolve("metrics.jsonl")).size());
  }

  @Test
  void ktoTakesPairsApart() throws IOException {
    Path apart = folder.resolve("apart");
    Path single = folder.resolve("single");
    align("kto", apart, "--pairs", pairs, "--max-steps", 3, "--rank", 2).succeeded();
    align("kto", single, "--feedback", feedback, "--max-steps", 3, "--rank", 2).succeeded();
    assertArrayEquals(adapter(apart), adapter(single));
    assertTrue(lines(apart.resolve("metrics.jsonl")).getLast().has("kl"));
  }

  @Test
  void anAdapterGoesOnFromItself() {
    Path output = folder.resolve("run");
    align(
            "dpo",
            output,
            "--pairs",
            pairs,
            "--adapter",
            TRAINED,
            "--reference",
            "adapter:" + TRAINED,
            "--max-steps",
            1)
        .succeeded();
    assertEquals(
        0, lines(output.resolve("metrics.jsonl")).getFirst().get("rewards/margins").doubleValue());
    Path other = folder.resolve("other");
    align(
            "dpo",
            other,
            "--pairs",
            pairs,
            "--adapter",
            TRAINED,
            "--reference",
            "base",
            "--max-steps",
            1)
        .succeeded();
    assertTrue(
        lines(other.resolve("metrics.jsonl")).getFirst().get("rewards/margins").doubleValue() != 0);
  }

  @Test
  void allWeightsInBfloat16() {
    Path output = folder.resolve("run");
    align(
            "ipo",
            output,
            "--pairs",
            pairs,
            "--method",
            "full",
            "--dtype",
            "bfloat16",
            "--max-steps",
            1)
        .succeeded();
    assertEquals(
        0, lines(output.resolve("metrics.jsonl")).getFirst().get("rewards/margins").doubleValue());
    assertTrue(Files.exists(output.resolve("model/model.safetensors")));
  }

  @Test
  void adaptersOnInt8() throws IOException {
    Path output = folder.resolve("run");
    Object[] options = {"--pairs", pairs, "--dtype", "int8", "--max-steps", 2, "--rank", 2};
    align("dpo", output, options).succeeded();
    assertEquals(
        0, lines(output.resolve("metrics.jsonl")).getFirst().get("rewards/margins").doubleValue());
    byte[] before = adapter(output);
    Path other = folder.resolve("again");
    align("dpo", other, options).succeeded();
    assertArrayEquals(before, adapter(other));
  }

  @Test
  void resumesOnlyTheSameRun() throws IOException {
    Path output = folder.resolve("run");
    Object[] options = {"--pairs", pairs, "--max-steps", 2, "--rank", 2};
    align("dpo", output, options).succeeded();
    byte[] before = adapter(output);
    CommandLineRun again = align("dpo", output, options);
    assertEquals(2, again.exitCode());
    assertTrue(again.err().contains("--resume"), again.err());
    CommandLineRun other =
        align(
            "dpo",
            output,
            "--pairs",
            pairs,
            "--max-steps",
            2,
            "--rank",
            2,
            "--beta",
            3,
            "--resume");
    assertEquals(2, other.exitCode());
    assertTrue(other.err().contains("beta = 0.1, not 3.0"), other.err());
    align("dpo", output, "--pairs", pairs, "--max-steps", 2, "--rank", 2, "--resume").succeeded();
    assertArrayEquals(before, adapter(output));
    Files.writeString(pairs, Files.readString(pairs).replace("They", "We"));
    CommandLineRun data =
        align("dpo", output, "--pairs", pairs, "--max-steps", 2, "--rank", 2, "--resume");
    assertEquals(2, data.exitCode());
    assertTrue(data.err().contains("data_sha256"), data.err());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "dppo | --pairs P | --algorithm must be one of ppo, grpo, rloo, dpo, cdpo",
        "dpo | --rank 2 | --pairs is missing",
        "kto | --rank 2 | --feedback or --pairs is missing",
        "dpo | --feedback F | --feedback needs --algorithm kto",
        "kto | --feedback F --pairs P | --feedback and --pairs are mutually exclusive",
        "dpo | --pairs P --clip-range 0.1 | --clip-range does not apply to dpo",
        "ppo | --data P --beta 2 | --beta does not apply to ppo",
        "ppo | --data P --warmup-steps 2 | --warmup-steps does not apply to ppo",
        "orpo | --pairs P --reference base | --reference does not apply to orpo",
        "dpo | --pairs P --label-smoothing 0.1 | --label-smoothing needs --algorithm cdpo or"
            + " robust",
        "cdpo | --pairs P --label-smoothing 0.7 | --label-smoothing must be at least 0",
        "dpo | --pairs P --simpo-gamma 1 | --simpo-gamma needs --algorithm simpo",
        "orpo | --pairs P --rpo-alpha 1 | --rpo-alpha needs --algorithm dpo, cdpo",
        "dpo | --pairs P --rpo-alpha -1 | --rpo-alpha must be 0 or more",
        "dpo | --pairs P --desirable-weight 2 | --desirable-weight needs --algorithm kto",
        "dpo | --pairs P --beta 0 | --beta must be above 0",
        "kto | --pairs P --desirable-weight 0 --undesirable-weight 0 | both 0",
        "dpo | --pairs P --early-stopping 2 | need --eval-data",
        "dpo | --pairs P --max-steps 3 --epochs 2 | --epochs and --max-steps are mutually"
            + " exclusive",
        "dpo | --pairs P --adapter A | --reference is missing",
        "dpo | --pairs P --reference sft | must be base, adapter:DIR or checkpoint:DIR",
        "dpo | --pairs P --max-target-length 2 | longer than 2",
        "dpo | --pairs P --max-target-length 2 --truncate | are the same 2 tokens",
        "dpo | --pairs F | line 1 has no",
        "kto | --feedback P | line 1 has no"
      })
  void wrongUsage(String algorithm, String options, String sentence) {
    List<Object> arguments = new ArrayList<>();
    for (String option : options.split(" ")) {
      arguments.add(
          switch (option) {
            case "P" -> pairs;
            case "F" -> feedback;
            case "A" -> TRAINED;
            default -> option;
          });
    }
    CommandLineRun result = align(algorithm, folder.resolve("run"), arguments.toArray());
    assertEquals(2, result.exitCode(), result.err());
    assertTrue(result.err().contains(sentence), result.err());
    assertFalse(result.err().contains("\tat "), result.err());
  }

  @Test
  void equalSidesAreRefusedByTheirLine() throws IOException {
    Files.writeString(pairs, "\n{\"prompt\": \"p\", \"chosen\": \"a\", \"rejected\": \"a\"}\n");
    CommandLineRun result = align("dpo", folder.resolve("run"), "--pairs", pairs);
    assertEquals(2, result.exitCode());
    assertTrue(
        result.err().contains("pairs.jsonl, line 2: \"chosen\" and \"rejected\" are the same"),
        result.err());
    assertFalse(Files.exists(folder.resolve("run")));
  }
}
