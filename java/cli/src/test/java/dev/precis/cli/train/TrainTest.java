package dev.precis.cli.train;

import static dev.precis.cli.CommandLineRun.DIALOGUES;
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
import java.nio.charset.StandardCharsets;
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

/** train, merge and bench sft. */
final class TrainTest {
  @TempDir private Path folder;

  private CommandLineRun train(Path output, Object... more) {
    List<Object> arguments =
        new ArrayList<>(
            List.of("train", "--data", DIALOGUES, "--output", output, "--batch-size", 4));
    arguments.addAll(List.of(more));
    return run(arguments.toArray());
  }

  /** golden/sft_lora.json by the command line alone. */
  @Test
  void theReferenceRun() {
    Path output = folder.resolve("run");
    train(
            output,
            "--model",
            MODEL,
            "--init-adapter",
            FIXTURES.resolve("t5-tiny-lora"),
            "--lora-dropout",
            0,
            "--learning-rate",
            1e-3,
            "--warmup-steps",
            3,
            "--max-steps",
            20,
            "--no-shuffle")
        .succeeded();
    JsonNode golden =
        Json.mapper().readTree(FIXTURES.resolve("golden/sft_lora.json").toFile()).get("steps");
    List<JsonNode> metrics = lines(output.resolve("metrics.jsonl"));
    assertEquals(20, metrics.size());
    for (int i = 0; i < 20; i++) {
      JsonNode got = metrics.get(i);
      assertEquals(i + 1, got.get("step").intValue());
      double loss = golden.get(i).get("loss").doubleValue();
      double norm = golden.get(i).get("grad_norm").doubleValue();
      assertEquals(loss, got.get("loss").doubleValue(), 1e-4 * loss);
      assertEquals(norm, got.get("grad_norm").doubleValue(), 1e-3 * norm);
      assertEquals(
          golden.get(i).get("lr").doubleValue(), got.get("learning_rate").doubleValue(), 1e-9);
      assertTrue(got.get("tokens_per_second").doubleValue() > 0);
    }
    assertTrue(Files.exists(output.resolve("adapter/adapter_model.safetensors")));
    assertTrue(Files.exists(output.resolve("checkpoints/step-20/state.json")));
    assertTrue(Files.exists(output.resolve("events.out.tfevents.precis")));
  }

  @Test
  void aRunSaysWhatItDoesAndMakesAReport() throws IOException {
    Path output = folder.resolve("run");
    CommandLineRun result =
        train(output, "--model", MODEL, "--eval-data", DIALOGUES, "--max-steps", 3, "--rank", 4)
            .succeeded();
    // PEFT's line: 18 modules of rank 4, on 64 inputs and 96 outputs.
    int trained = 18 * 4 * (64 + 96);
    assertTrue(
        result.err().contains("trainable params: %,d || all params: ".formatted(trained)),
        result.err());
    assertTrue(result.err().contains("memory ") && result.err().contains("activations "));
    assertTrue(result.err().contains("evaluation loss"), result.err());
    String report = Files.readString(output.resolve("report.html"));
    assertTrue(report.contains("<h1>LoRA fine-tuning of t5-tiny on dialogues.jsonl</h1>"), report);
    assertTrue(report.contains("The evaluation loss is "), report);
    assertTrue(report.contains("<figcaption>Evaluation loss"), report);
    assertEquals(6, report.split("<article", -1).length - 1);
    assertTrue(report.contains("of the evaluation data, evenly spread"), report);
    assertTrue(report.contains("before training") && report.contains("after training"), report);
    assertTrue(Files.exists(output.resolve("first-summaries.json")));
    JsonNode results = Json.mapper().readTree(Files.readString(output.resolve("results.json")));
    assertEquals(trained, results.at("/cost/trained_parameters").intValue());
    assertEquals(3, results.at("/cost/steps").intValue());
    assertTrue(results.at("/cost/seconds").doubleValue() > 0);
    assertTrue(results.at("/cost/memory_bytes").longValue() > 50_000_000);
    assertEquals("The evaluation loss", results.at("/results/0/name").stringValue());
    assertEquals(
        4, Json.readObject(output.resolve("config.json")).object("lora").integer("rank", 1, 9));
  }

  @ParameterizedTest
  @ValueSource(strings = {"int8", "int4"})
  void adaptersOnRoundedWeights(String dtype) throws IOException {
    Object[] options = {
      "--model",
      MODEL,
      "--eval-data",
      DIALOGUES,
      "--dtype",
      dtype,
      "--rank",
      4,
      "--max-steps",
      4,
      "--checkpoint-every",
      2
    };
    Path output = folder.resolve("run");
    train(output, options).succeeded();
    assertEquals(dtype, Json.readObject(output.resolve("config.json")).text("dtype"));
    Path again = folder.resolve("again");
    run("train", "--config", output.resolve("config.json"), "--output", again).succeeded();
    assertArrayEquals(
        Files.readAllBytes(output.resolve("adapter/adapter_model.safetensors")),
        Files.readAllBytes(again.resolve("adapter/adapter_model.safetensors")));
    // The adapter is like any other.
    run(
            "generate",
            "--model",
            MODEL,
            "--adapter",
            output.resolve("adapter"),
            "--input",
            DIALOGUES,
            "--max-new-tokens",
            4)
        .succeeded();
  }

  @Test
  void batchesOfTokens() throws IOException {
    Path output = folder.resolve("run");
    Object[] arguments = {
      "train",
      "--model",
      MODEL,
      "--data",
      DIALOGUES,
      "--output",
      output,
      "--epochs",
      2,
      "--max-tokens-per-batch",
      900,
      "--rank",
      4,
      "--report-examples",
      0
    };
    String said = run(arguments).succeeded().err();
    assertTrue(said.contains(" of up to 900 tokens"), said);
    List<JsonNode> metrics = lines(output.resolve("metrics.jsonl"));
    assertEquals(2.0, metrics.getLast().get("epoch").doubleValue());
    assertTrue(metrics.stream().allMatch(each -> each.get("tokens").intValue() <= 900));
    long all = metrics.stream().mapToLong(each -> each.get("tokens").longValue()).sum();
    assertTrue(all > 900 * 0.8 * metrics.size(), all + " in " + metrics.size());
    assertTrue(Files.exists(output.resolve("checkpoints/step-" + metrics.size())));
    Path again = folder.resolve("again");
    run("train", "--config", output.resolve("config.json"), "--output", again).succeeded();
    assertArrayEquals(
        Files.readAllBytes(output.resolve("adapter/adapter_model.safetensors")),
        Files.readAllBytes(again.resolve("adapter/adapter_model.safetensors")));
  }

  @Test
  void batchesOfTokensThatCannotBe() {
    refused("takes the place of --batch-size", "--batch-size", 4, "--max-tokens-per-batch", 900);
    refused("--max-tokens-per-batch must be 1 or more", "--max-tokens-per-batch", 0);
    refused("set max-tokens-per-batch to ", "--max-tokens-per-batch", 20);
    var bench = run("bench", "sft", "--model", MODEL, "--max-tokens-per-batch", 900);
    assertEquals(2, bench.exitCode());
    assertTrue(bench.err().contains("--max-tokens-per-batch needs --lengths"), bench.err());
  }

  private void refused(String why, Object... options) {
    List<Object> arguments = new ArrayList<>(List.of("train", "--model", MODEL));
    arguments.addAll(List.of("--data", DIALOGUES, "--output", folder.resolve("refused")));
    arguments.addAll(List.of(options));
    var result = run(arguments.toArray());
    assertEquals(2, result.exitCode());
    assertTrue(result.err().contains(why), result.err());
  }

  /** The scores logged during the run are those that evaluate gives for its result. */
  @Test
  void keepsTheBestByRouge() throws IOException {
    Path output = folder.resolve("run");
    Object[] options = {
      "--model",
      MODEL,
      "--eval-data",
      DIALOGUES,
      "--eval-metric",
      "rouge",
      "--eval-limit",
      5,
      "--eval-max-new-tokens",
      12,
      "--eval-every",
      2,
      "--max-steps",
      6,
      "--rank",
      2
    };
    String said = train(output, options).succeeded().err();
    List<JsonNode> evaluations =
        lines(output.resolve("metrics.jsonl")).stream().filter(l -> l.has("eval_rougeL")).toList();
    assertEquals(3, evaluations.size());
    JsonNode best = evaluations.getFirst();
    for (JsonNode each : evaluations) {
      best =
          each.get("eval_rougeL").doubleValue() > best.get("eval_rougeL").doubleValue()
              ? each
              : best;
    }
    String sentence =
        "best evaluation rougeL %.4f at step %d"
            .formatted(best.get("eval_rougeL").doubleValue(), best.get("step").intValue());
    assertTrue(said.contains(sentence), said);
    JsonNode evaluated =
        Json.mapper()
            .readTree(
                run(
                        "evaluate",
                        "--data",
                        DIALOGUES,
                        "--candidate",
                        "best=%s+%s".formatted(MODEL, output.resolve("adapter")),
                        "--limit",
                        5,
                        "--max-new-tokens",
                        12,
                        "--json")
                    .succeeded()
                    .out())
            .at("/candidates/0/scores");
    for (String metric : List.of("rouge1", "rouge2", "rougeL", "rougeLsum")) {
      assertEquals(
          evaluated.at("/%s/mean".formatted(metric)).doubleValue(),
          best.get("eval_" + metric).doubleValue(),
          1e-12,
          metric);
    }
    assertTrue(Files.readString(output.resolve("report.html")).contains("ROUGE-L (mean F1)"));
    assertEquals("rougeL", Json.readObject(output.resolve("config.json")).text("eval_metric"));
    List<Object> again = new ArrayList<>(List.of(options));
    again.add("--resume");
    again.set(again.indexOf("rouge"), "rouge2");
    CommandLineRun other = train(output, again.toArray());
    assertEquals(2, other.exitCode());
    assertTrue(other.err().contains("eval_metric"), other.err());
  }

  @Test
  void resumesOnlyTheSameRun() throws IOException {
    Path output = folder.resolve("run");
    train(output, "--model", MODEL, "--max-steps", 2, "--rank", 2).succeeded();
    byte[] before = Files.readAllBytes(output.resolve("adapter/adapter_model.safetensors"));
    CommandLineRun again = train(output, "--model", MODEL, "--max-steps", 2, "--rank", 2);
    assertEquals(2, again.exitCode());
    assertTrue(again.err().contains("--resume"), again.err());
    CommandLineRun other =
        train(output, "--model", MODEL, "--max-steps", 2, "--rank", 3, "--resume");
    assertEquals(2, other.exitCode());
    assertTrue(other.err().contains("lora.rank = 2, not 3"), other.err());
    Path sameModel = MODEL.resolve("..").resolve(MODEL.getFileName());
    train(output, "--model", sameModel, "--max-steps", 2, "--rank", 2, "--resume").succeeded();
    assertArrayEquals(
        before, Files.readAllBytes(output.resolve("adapter/adapter_model.safetensors")));
  }

  @Test
  void allWeightsAndFromNothing() {
    Path full = folder.resolve("full");
    train(full, "--model", MODEL, "--method", "full", "--max-steps", 2, "--dtype", "bfloat16")
        .succeeded();
    run("generate", "--model", full.resolve("model"), "--prompt", "Hello", "--max-new-tokens", 3)
        .succeeded();
    Path scratch = folder.resolve("scratch");
    train(
            scratch,
            "--init",
            MODEL.resolve("config.json"),
            "--method",
            "full",
            "--max-steps",
            2,
            "--optimizer",
            "adafactor")
        .succeeded();
    assertTrue(Files.exists(scratch.resolve("model/model.safetensors")));
  }

  /** The result of each method is given to generate, and its configuration starts it again. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "--method ia3",
        "--method ia3 --target-modules q,o --feedforward-modules o",
        "--method prompt-tuning --prompt-tokens 3",
        "--method prompt-tuning --prompt-tokens 4 --prompt-text Summary",
      })
  void vectorsAndPrompts(String method) throws IOException {
    Path first = folder.resolve("first");
    List<Object> arguments = new ArrayList<>(List.of("--model", MODEL, "--max-steps", 2));
    arguments.addAll(List.of(method.split(" ")));
    String said = train(first, arguments.toArray()).succeeded().err();
    assertTrue(said.contains("trainable params: "), said);
    Path adapter = first.resolve("adapter");
    run("generate", "--model", MODEL, "--adapter", adapter, "--prompt", "Hi", "--max-new-tokens", 3)
        .succeeded();
    // Beside the model itself and a LoRA adapter, which share one loaded model.
    String table =
        run(
                "evaluate",
                "--data",
                DIALOGUES,
                "--limit",
                2,
                "--max-new-tokens",
                3,
                "--candidate",
                "base=" + MODEL,
                "--candidate",
                "this=" + MODEL + "+" + adapter,
                "--candidate",
                "lora=" + MODEL + "+" + FIXTURES.resolve("t5-tiny-lora"))
            .succeeded()
            .out();
    assertTrue(table.contains("this minus base"), table);
    Path second = folder.resolve("second");
    run("train", "--config", first.resolve("config.json"), "--output", second).succeeded();
    assertArrayEquals(
        Files.readAllBytes(adapter.resolve("adapter_model.safetensors")),
        Files.readAllBytes(second.resolve("adapter/adapter_model.safetensors")));
    Path further = folder.resolve("further");
    List<String> name = List.of(method.split(" ")).subList(0, 2);
    List<Object> from = new ArrayList<>(name);
    from.addAll(List.of("--model", MODEL, "--max-steps", 1, "--init-adapter", adapter));
    train(further, from.toArray()).succeeded();
    CommandLineRun other =
        train(folder.resolve("no"), "--model", MODEL, "--init-adapter", adapter, "--max-steps", 1);
    assertEquals(2, other.exitCode());
    assertTrue(other.err().contains("not a LoRA adapter"), other.err());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "--method full --rank 8 | --rank needs --method lora",
        "--method ia3 --rank 8 | --rank needs --method lora",
        "--method prompt-tuning --target-modules q | --target-modules needs --method lora or ia3",
        "--prompt-tokens 8 | --prompt-tokens needs --method prompt-tuning",
        "--feedforward-modules wo | --feedforward-modules needs --method ia3",
        "--method prompt-tuning --prompt-tokens 0 | prompt-tokens must be 1 to 4096, not 0",
        "--method ia3 --init-adapter x --target-modules k | mutually exclusive",
        "--method both | --method must be lora, ia3, prompt-tuning or full",
        "--optimizer lion | --optimizer must be adamw, adam, sgd or adafactor",
        "--schedule step | --schedule must be linear, cosine or constant",
        "--epochs 2 --max-steps 3 | --epochs and --max-steps are mutually exclusive",
        "--early-stopping 2 | need --eval-data",
        "--eval-metric rouge | --eval-metric rouge needs --eval-data",
        "--eval-metric bleu | --eval-metric must be loss, rouge1, rouge2, rougeL or rougeLsum",
        "--eval-limit 3 | --eval-limit needs --eval-metric rouge",
        "--eval-max-new-tokens 3 | --eval-max-new-tokens needs --eval-metric rouge",
        "--learning-rate -1 | --learning-rate must be above 0",
        "--target-modules query | No layer of the model is named",
        "--rank 0 | The rank must be 1 to",
        "--method full --dtype int8 | train in bfloat16",
        "--method full --dtype int4 | --dtype int4 is for weights that are frozen, and all are"
            + " trained",
        "--dtype int8 --device cuda | Gradients through int8 and int4 weights run on the CPU alone",
        "--max-source-length 5 | longer than 5 tokens"
      })
  void wrongUsage(String options, String sentence) {
    List<Object> arguments = new ArrayList<>(List.of("--model", MODEL, "--max-steps", 2));
    if (options.contains("--epochs")) {
      arguments = new ArrayList<>(List.of("--model", MODEL));
    }
    arguments.addAll(List.of(options.split(" ")));
    CommandLineRun result = train(folder.resolve("run"), arguments.toArray());
    assertEquals(2, result.exitCode(), result.err());
    assertTrue(result.err().contains(sentence), result.err());
  }

  @Test
  void aLossThatIsNoNumberIsOneSentence() {
    CommandLineRun result =
        train(
            folder.resolve("run"),
            "--model",
            MODEL,
            "--method",
            "full",
            "--learning-rate",
            900,
            "--max-grad-norm",
            0,
            "--max-steps",
            20);
    assertEquals(1, result.exitCode(), result.err());
    String sentence = result.err().lines().toList().getLast();
    assertTrue(sentence.startsWith("precis: The loss of step "), sentence);
    assertTrue(sentence.endsWith(": lower the learning rate."), sentence);
    assertFalse(Files.exists(folder.resolve("run/model")));
  }

  @Test
  void anAdapterOfAnotherModelIsRefused() throws IOException {
    Path adapter = Files.createDirectory(folder.resolve("lora"));
    Path lora = FIXTURES.resolve("t5-tiny-lora");
    Files.copy(lora.resolve("adapter_config.json"), adapter.resolve("adapter_config.json"));
    // The header's names keep their length: the file is sound, but the model has no block 9.
    Files.writeString(
        adapter.resolve("adapter_model.safetensors"),
        Files.readString(lora.resolve("adapter_model.safetensors"), StandardCharsets.ISO_8859_1)
            .replace("block.0", "block.9"),
        StandardCharsets.ISO_8859_1);
    CommandLineRun merge =
        run("merge", "--model", MODEL, "--adapter", adapter, "--output", folder.resolve("merged"));
    CommandLineRun training =
        train(folder.resolve("other"), "--model", MODEL, "--init-adapter", adapter);
    for (CommandLineRun result : List.of(merge, training)) {
      assertEquals(2, result.exitCode(), result.err());
      assertTrue(result.err().contains("trained on another model"), result.err());
    }
    assertFalse(Files.exists(folder.resolve("merged")));
    CommandLineRun wrong =
        train(
            folder.resolve("run"),
            "--model",
            MODEL,
            "--init-adapter",
            FIXTURES.resolve("roberta-tiny"));
    assertEquals(2, wrong.exitCode());
    assertTrue(wrong.err().contains("not the folder of a PEFT adapter"), wrong.err());
  }

  @Test
  void mergedGivesTheSameLogits() {
    Path merged = folder.resolve("merged");
    String out =
        run(
                "merge",
                "--model",
                MODEL,
                "--adapter",
                FIXTURES.resolve("t5-tiny-lora-after20"),
                "--output",
                merged)
            .succeeded()
            .out();
    double difference =
        Double.parseDouble(out.replaceAll("(?s).*logit difference (\\S+) of.*", "$1"));
    assertTrue(difference < 1e-4, out);
    CommandLineRun again =
        run(
            "merge",
            "--model",
            MODEL,
            "--adapter",
            FIXTURES.resolve("t5-tiny-lora-after20"),
            "--output",
            merged);
    assertEquals(2, again.exitCode());
    assertTrue(again.err().contains("already exists"), again.err());
  }

  @Test
  void benchHasThePeersKeys() {
    String out =
        run(
                "bench",
                "sft",
                "--model",
                MODEL,
                "--dtype",
                "bfloat16",
                "--batch",
                2,
                "--source",
                20,
                "--target",
                5,
                "--rank",
                4,
                "--repeats",
                2)
            .succeeded()
            .out();
    JsonNode result = Json.mapper().readTree(out);
    assertEquals(
        List.of(
            "mode",
            "dtype",
            "device",
            "seconds",
            "median_seconds",
            "tokens_per_second",
            "peak_mb",
            "threads",
            "batch",
            "source",
            "target",
            "rank",
            "loss",
            "engine",
            "isa",
            "gpu",
            "gpu_mb"),
        List.copyOf(result.propertyNames()));
    assertTrue(result.get("loss").doubleValue() > 0);
  }

  @Test
  void benchMeasuresExamplesOfRealLengths() throws Exception {
    Path file = folder.resolve("lengths.json");
    Files.writeString(file, "[[20, 5], [9, 3], [600, 4], [12, 2], [7, 7]]");
    JsonNode result = Json.mapper().readTree(lengths(file, 3).succeeded().out());
    assertEquals("sft-lengths", result.get("mode").stringValue());
    assertEquals(3, result.get("examples").intValue());
    double tokens =
        result.get("tokens_per_second").doubleValue() * result.get("seconds").doubleValue();
    assertEquals(20 + 5 + 9 + 3 + 12 + 2, tokens, 0.05 * tokens);
    for (String wrong : List.of("[[20, 5], [9]]", "[[20, 0]]", "[7]", "{}", "[[1e3, 2]]")) {
      Files.writeString(file, wrong);
      CommandLineRun refused = lengths(file, 3);
      assertEquals(2, refused.exitCode());
      assertTrue(refused.err().contains("must be a list of pairs of lengths"), refused.err());
    }
    Files.writeString(file, "[[513, 5]]");
    assertTrue(lengths(file, 3).err().contains("has no example"));
    for (String wrong : List.of("[[5, 5", "[[5, 5]] x")) {
      Files.writeString(file, wrong);
      assertTrue(lengths(file, 3).err().contains("is not valid JSON"), wrong);
    }
    Files.writeString(file, "[[5, 5]] []");
    assertTrue(lengths(file, 3).err().contains("goes on after the list of lengths"));
  }

  private static CommandLineRun lengths(Path file, int examples) {
    return run(
        "bench",
        "sft",
        "--model",
        MODEL,
        "--batch",
        2,
        "--rank",
        4,
        "--repeats",
        1,
        "--lengths",
        file,
        "--examples",
        examples);
  }
}
