package dev.precis.cli.align;

import static dev.precis.cli.CommandLineRun.DIALOGUES;
import static dev.precis.cli.CommandLineRun.FIXTURES;
import static dev.precis.cli.CommandLineRun.MODEL;
import static dev.precis.cli.CommandLineRun.lines;
import static dev.precis.cli.CommandLineRun.run;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Classifier;
import dev.precis.alignment.reward.ClassifierReward;
import dev.precis.cli.CommandLineRun;
import dev.precis.cli.common.BuiltInModel;
import dev.precis.cli.common.Statistics;
import dev.precis.data.builtin.BuiltInDialogues;
import dev.precis.io.Json;
import dev.precis.tensor.DType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;

/** align with ppo, grpo and rloo, and bench ppo. */
final class AlignTest {
  private static final Path REWARD = FIXTURES.resolve("roberta-tiny");

  @TempDir private Path folder;

  private CommandLineRun align(Path output, Object... more) {
    List<Object> arguments =
        new ArrayList<>(
            List.of(
                "align",
                "--model",
                MODEL,
                "--output",
                output,
                "--batch-size",
                4,
                "--mini-batch-size",
                4,
                "--ppo-epochs",
                1,
                "--max-new-tokens",
                8));
    arguments.addAll(List.of(more));
    if (!arguments.contains("--data")) {
      arguments.addAll(List.of("--data", DIALOGUES));
    }
    return run(arguments.toArray());
  }

  private CommandLineRun classified(Path output, Object... more) {
    List<Object> arguments =
        new ArrayList<>(List.of("--reward-model", REWARD, "--reward-label", "nothate"));
    arguments.addAll(List.of(more));
    return align(output, arguments.toArray());
  }

  private static JsonNode json(Path file) {
    return Json.mapper().readTree(file.toFile());
  }

  private static byte[] adapter(Path run) throws IOException {
    return Files.readAllBytes(run.resolve("adapter/adapter_model.safetensors"));
  }

  @Test
  void aFolderOfSplitsIsReadAsItsFileIs() throws IOException {
    Path splits = Files.createDirectory(folder.resolve("data"));
    Files.copy(DIALOGUES, splits.resolve("train.jsonl"));
    Files.copy(DIALOGUES, splits.resolve("test.jsonl"));
    Path byFile = folder.resolve("file");
    Path byFolder = folder.resolve("folder");
    classified(byFile, "--max-steps", 1).succeeded();
    classified(byFolder, "--max-steps", 1, "--data", splits).succeeded();
    assertEquals("train", json(byFolder.resolve("config.json")).get("data_split").asString());
    assertEquals(
        Files.readAllLines(byFile.resolve("rollouts.jsonl")),
        Files.readAllLines(byFolder.resolve("rollouts.jsonl")));
  }

  @Test
  void aRunLeavesWhatItsHelpSays() throws IOException {
    Path output = folder.resolve("run");
    CommandLineRun run = classified(output, "--max-steps", 3, "--checkpoint-every", 2);
    run.succeeded();
    assertTrue(run.err().contains("preflight: kl_at_start = 0.00"), run.err());
    assertTrue(
        run.err()
            .matches("(?s).*; native memory [0-9.]+ [MG]B: weights .*, update .*, reward model .*"),
        run.err());
    assertTrue(run.out().contains("probability of hate"), run.out());
    assertTrue(run.out().contains("rougeL"), run.out());
    List<JsonNode> metrics = lines(output.resolve("metrics.jsonl"));
    assertEquals(3, metrics.size());
    for (String name :
        List.of(
            "objective/kl",
            "objective/kl_coef",
            "objective/entropy",
            "ppo/mean_non_score_reward",
            "ppo/mean_scores",
            "ppo/std_scores",
            "ppo/learning_rate",
            "ppo/loss/policy",
            "ppo/loss/value",
            "ppo/loss/total",
            "ppo/policy/entropy",
            "ppo/policy/approxkl",
            "ppo/policy/policykl",
            "ppo/policy/clipfrac",
            "ppo/policy/advantages_mean",
            "ppo/policy/ratio",
            "ppo/returns/mean",
            "ppo/returns/var",
            "ppo/val/vpred",
            "ppo/val/error",
            "ppo/val/clipfrac",
            "ppo/val/mean",
            "ppo/val/var",
            "ppo/val/var_explained",
            "tokens/queries_len_mean",
            "tokens/responses_len_mean",
            "env/reward_mean",
            "reward/nothate",
            "time/ppo/total")) {
      metrics.forEach(line -> assertTrue(Double.isFinite(line.get(name).doubleValue()), name));
    }
    for (JsonNode line : metrics) {
      for (String name :
          List.of("objective/kl", "env/reward", "tokens/queries", "tokens/responses")) {
        double[] all =
            line.get(name + "_dist").valueStream().mapToDouble(JsonNode::doubleValue).toArray();
        String mean =
            name.startsWith("tokens") ? "_len_mean" : name.startsWith("env") ? "_mean" : "";
        assertEquals(4, all.length, name);
        assertEquals(
            line.get(name + mean).doubleValue(), Arrays.stream(all).average().getAsDouble(), 1e-9);
      }
      assertEquals(1.41e-5, line.get("ppo/learning_rate").doubleValue());
    }
    assertEquals(
        "{completion}", json(output.resolve("config.json")).get("reward_template").stringValue());
    assertEquals(12, lines(output.resolve("rollouts.jsonl")).size());
    List<JsonNode> compared = lines(output.resolve("comparison.jsonl"));
    assertEquals(6, compared.size());
    for (int i = 1; i < 6; i++) {
      assertTrue(
          compared.get(i - 1).get("gain").doubleValue()
              >= compared.get(i).get("gain").doubleValue());
    }
    JsonNode measures = json(output.resolve("comparison.json")).get("measures");
    JsonNode toxicity = measures.get("probability of hate");
    assertEquals(
        toxicity.get("mean_after").doubleValue() - toxicity.get("mean_before").doubleValue(),
        toxicity.get("difference").doubleValue(),
        1e-9);
    assertEquals(0, measures.get("probability of hate, prompt").get("difference").doubleValue());
    String report = Files.readString(output.resolve("report.html"));
    assertTrue(report.contains("baseline response") && report.contains("Mean score"));
    assertTrue(report.contains("<h1>PPO alignment (LoRA) of t5-tiny on dialogues.jsonl</h1>"));
    JsonNode results = json(output.resolve("results.json"));
    assertEquals("The mean reward", results.at("/results/0/name").stringValue());
    assertEquals(
        measures.at("/reward/interval_95/0"), results.at("/results/0/low"), results.toString());
    assertFalse(results.at("/results/1/higher_is_better").booleanValue(), "of hate less is better");
    assertEquals(
        metrics.getLast().get("objective/kl"), results.at("/cost/kl"), "in nats per response");
    assertTrue(Files.isDirectory(output.resolve("checkpoints/step-3/adapter")));
    // Generation takes the adapter, and the next alignment its value head too.
    run(
            "generate",
            "--model",
            MODEL,
            "--adapter",
            output.resolve("adapter"),
            "--input",
            DIALOGUES,
            "--output",
            folder.resolve("out.jsonl"),
            "--max-new-tokens",
            2)
        .succeeded();
    CommandLineRun next =
        classified(
                folder.resolve("next"),
                "--adapter",
                output.resolve("adapter"),
                "--reference",
                "adapter:" + output.resolve("adapter"),
                "--max-steps",
                1)
            .succeeded();
    assertTrue(next.err().contains("value head that was saved"), next.err());
    assertTrue(next.err().contains("kl_at_start = 0.00"), next.err());
    assertEquals(
        0,
        lines(folder.resolve("next/metrics.jsonl")).getFirst().get("objective/kl").doubleValue());
    byte[] done = adapter(output);
    classified(output, "--max-steps", 3, "--checkpoint-every", 2, "--resume").succeeded();
    assertArrayEquals(done, adapter(output));
    CommandLineRun differs = classified(output, "--max-steps", 4, "--resume");
    assertEquals(2, differs.exitCode());
    assertTrue(differs.err().contains("max_steps = 3, not 4"), differs.err());
  }

  @ParameterizedTest
  @CsvSource({
    "grpo, lora, base, float32",
    "rloo, lora, base, bfloat16",
    "ppo, full, base, float32",
    "ppo, lora, checkpoint, bfloat16",
    "ppo, lora, base, int8",
    "grpo, lora, checkpoint, int4"
  })
  void otherAlgorithmsAndReferences(
      String algorithm, String method, String reference, String dtype) {
    Path output = folder.resolve("run");
    List<Object> more =
        new ArrayList<>(List.of("--algorithm", algorithm, "--method", method, "--dtype", dtype));
    more.addAll(List.of("--reward", "rouge:rouge1=2", "--reward", "length:12=0.1"));
    more.addAll(List.of("--max-steps", 2));
    more.addAll(List.of("--reference", reference.equals("base") ? "base" : "checkpoint:" + MODEL));
    align(output, more.toArray()).succeeded();
    JsonNode first = lines(output.resolve("metrics.jsonl")).getFirst();
    assertEquals(0, first.get("objective/kl").doubleValue());
    assertEquals(1, first.get("ppo/policy/ratio").doubleValue(), 1e-6);
    assertEquals(
        2 * first.get("reward/rouge1").doubleValue()
            + 0.1 * first.get("reward/length").doubleValue(),
        first.get("ppo/mean_scores").doubleValue(),
        1e-9);
    assertTrue(
        Files.exists(
            output.resolve(method.equals("full") ? "model/model.safetensors" : "adapter")));
  }

  @Test
  void theRewardModelComputesInTheRunsTypeOrAnother() {
    List<Double> means = new ArrayList<>();
    try (BuiltInModel builtIn = BuiltInModel.toxicity()) {
      for (String type : List.of("float32", "bfloat16")) {
        Path output = folder.resolve(type);
        List<Object> more =
            new ArrayList<>(
                List.of("--reward-model", builtIn.folder(), "--reward-label", "nothate"));
        more.addAll(List.of("--max-steps", 1));
        // Without the option the run's own type, float32.
        if (type.equals("bfloat16")) {
          more.addAll(List.of("--reward-dtype", type));
        }
        align(output, more.toArray()).succeeded();
        assertEquals(type, json(output.resolve("config.json")).get("reward_dtype").stringValue());
        means.add(
            lines(output.resolve("metrics.jsonl")).getFirst().get("reward/nothate").doubleValue());
      }
    }
    assertEquals(means.get(0), means.get(1), 0.05);
    assertFalse(means.get(0).equals(means.get(1)), "the type makes no difference");
    refused(
        "--reward-dtype must be",
        "--reward-model",
        REWARD,
        "--reward-label",
        "nothate",
        "--reward-dtype",
        "int8");
    refused("need --reward-model", "--reward", "rouge:rouge1", "--reward-dtype", "bfloat16");
  }

  /** By at most a hundredth of what scores differ by among themselves, and in the same order. */
  @Test
  void theBuiltInClassifierScoresAlikeInBfloat16() {
    List<String> texts = new ArrayList<>();
    BuiltInDialogues.generate(5, 300)
        .train()
        .forEach(dialogue -> texts.addAll(dialogue.summaries()));
    List<double[]> logits = new ArrayList<>();
    try (BuiltInModel builtIn = BuiltInModel.toxicity()) {
      for (DType dtype : List.of(DType.FLOAT32, DType.BFLOAT16)) {
        try (Classifier classifier =
            Classifier.load(
                builtIn.folder(), new Classifier.LoadOptions().dtype(dtype).threads(1))) {
          logits.add(
              classifier.score(texts).stream()
                  .mapToDouble(scores -> scores.logits().get("nothate"))
                  .toArray());
          assertTrue(
              new ClassifierReward(classifier, "nothate", ClassifierReward.Measure.LOGIT, null)
                  .probe()
                  .passed());
        }
      }
    }
    double largest = 0;
    for (int i = 0; i < texts.size(); i++) {
      largest = Math.max(largest, Math.abs(logits.get(0)[i] - logits.get(1)[i]));
      assertEquals(logits.get(0)[i] > 0, logits.get(1)[i] > 0, texts.get(i));
    }
    double spread = Statistics.deviation(logits.get(0));
    assertTrue(largest > 0 && largest < 0.01 * spread, largest + " of " + spread);
  }

  @Test
  void badInputGetsASentence() throws IOException {
    Path empty = folder.resolve("empty.jsonl");
    Files.writeString(empty, "");
    refused("its labels are: nothate, hate", "--reward-model", REWARD, "--reward-label", "kind");
    refused("none is named", "--reward-model", REWARD);
    refused("--reward-model or --reward is missing");
    refused("--algorithm must be", "--algorithm", "trpo", "--reward", "rouge:rouge1");
    refused("--group-size needs", "--group-size", 4, "--reward", "rouge:rouge1");
    refused("--reward must be", "--reward", "rouge:rouge9");
    refused("the weight after =", "--reward", "rouge:rouge1=much");
    refused("reference must be", "--reference", "mine", "--reward", "rouge:rouge1");
    refused(
        "--reference is missing",
        "--adapter",
        FIXTURES.resolve("t5-tiny-lora"),
        "--reward",
        "rouge:rouge1");
    refused("--clip-range must be above 0", "--clip-range", 0, "--reward", "rouge:rouge1");
    refused("empty.jsonl", "--data", empty, "--reward", "rouge:rouge1");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "--algorithm grpo --gamma 0.9 | --gamma needs --algorithm ppo",
        "--algorithm rloo --lambda 0.9 | --lambda needs --algorithm ppo",
        "--algorithm rloo --clip-range-value 1 | --clip-range-value needs --algorithm ppo",
        "--algorithm grpo --value-coef 1 | --value-coef needs --algorithm ppo",
        "--algorithm rloo --whiten-rewards | --whiten-rewards needs --algorithm ppo",
        "--algorithm rloo --loss-type dapo | --loss-type needs --algorithm grpo",
        "--algorithm ppo --scale-rewards none | --scale-rewards needs --algorithm grpo",
        "--algorithm grpo --loss-type dpo | --loss-type must be grpo, dapo, dr_grpo or bnpo",
        "--algorithm ppo --importance-sampling-level token | --importance-sampling-level needs",
        "--algorithm grpo --clip-range-high 0 | --clip-range-high must be above 0",
        "--algorithm grpo --mode lab | --mode needs --algorithm ppo",
        "--algorithm grpo --kl-penalty abs | --kl-penalty does not apply to grpo",
        "--mode lab --ratio-threshold 5 | --ratio-threshold does not apply to --mode lab",
        "--fixed-kl --target-kl 3 | --fixed-kl disables",
        "--gamma 1 --top-k 5 --gamma 0.9 | --gamma is given twice",
        "--fixed-kl --fixed-kl | --fixed-kl is given twice",
        "--mode labs | --mode must be full-mask, trl-classic or lab",
        "--kl-penalty k3 | --kl-penalty must be kl, abs, mse or full",
      })
  void whatWouldDoNothingIsRefused(String options, String sentence) {
    List<Object> all = new ArrayList<>(List.of((Object[]) options.split(" ")));
    all.addAll(List.of("--reward", "rouge:rouge1"));
    refused(sentence, all.toArray());
  }

  private void refused(String sentence, Object... more) {
    Path output = folder.resolve("refused");
    List<Object> arguments =
        new ArrayList<>(List.of("align", "--model", MODEL, "--output", output));
    if (!List.of(more).contains("--data")) {
      arguments.addAll(List.of("--data", DIALOGUES));
    }
    arguments.addAll(List.of(more));
    CommandLineRun run = run(arguments.toArray());
    assertEquals(2, run.exitCode(), run.err());
    assertTrue(run.err().contains(sentence), run.err());
    assertFalse(run.err().contains("\tat "), run.err());
  }

  @Test
  void aStepIsTimed() {
    JsonNode result =
        run(
                "bench",
                "ppo",
                "--model",
                MODEL,
                "--batch",
                2,
                "--minibatch",
                1,
                "--source",
                12,
                "--new",
                4,
                "--rank",
                4,
                "--repeats",
                1)
            .succeeded()
            .lines()
            .getFirst();
    assertEquals("ppo", result.get("mode").stringValue());
    assertEquals(4, result.get("new").intValue());
    for (String part : List.of("generate", "reward", "logprobs", "update")) {
      assertTrue(result.get("parts").get(part).doubleValue() >= 0, part);
    }
    assertTrue(result.get("seconds").doubleValue() > 0);
  }
}
