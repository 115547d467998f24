package dev.precis.cli;

import static dev.precis.cli.CommandLineRun.DIALOGUES;
import static dev.precis.cli.CommandLineRun.FIXTURES;
import static dev.precis.cli.CommandLineRun.MODEL;
import static dev.precis.cli.CommandLineRun.run;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

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

/** --config of all commands that have it. */
final class ConfigTest {
  @TempDir private Path folder;

  private Path file(String name, String text) throws IOException {
    return Files.writeString(folder.resolve(name), text);
  }

  private CommandLineRun train(Path config, Object... more) {
    List<Object> arguments =
        new ArrayList<>(List.of("train", "--config", config, "--output", folder.resolve("run")));
    arguments.addAll(List.of(more));
    return run(arguments.toArray());
  }

  private static JsonNode config(Path run) {
    return Json.readObject(run.resolve("config.json")).node();
  }

  private String yaml(String more) {
    return "model: %s\ndata: \"%s\"\n%s\n".formatted(MODEL, DIALOGUES, more);
  }

  @Test
  void namesAndValuesOfEachKind() throws IOException {
    Path config =
        file(
            "run.yaml",
            yaml(
                """
                # Hyphens and underscores are alike.
                max_steps: 1
                batch-size: 2
                learning_rate: 1e-3
                target-modules: [q, k]
                no_shuffle: true
                truncate: false
                eval_data: null
                rank: 2
                seed: 9007199254740993
                template: 'Summarize: {dialogue}'
                """));
    train(config, "--lora-alpha=3").succeeded();
    JsonNode got = config(folder.resolve("run"));
    assertEquals(1, got.get("max_steps").intValue());
    assertEquals(2, got.get("batch_size").intValue());
    assertEquals(1e-3, got.get("learning_rate").doubleValue());
    assertEquals("[\"q\",\"k\"]", got.get("lora").get("target_modules").toString());
    assertEquals(2, got.get("lora").get("rank").intValue());
    assertEquals(3, got.get("lora").get("alpha").doubleValue());
    assertFalse(got.get("shuffle").booleanValue());
    assertFalse(got.get("truncate").booleanValue());
    assertFalse(got.has("eval_data"));
    // Too long for a double: numbers are passed on as they are written.
    assertEquals(9007199254740993L, got.get("seed").longValue());
    assertEquals("Summarize: {dialogue}", got.get("template").stringValue());
  }

  @Test
  void theCommandLineWins() throws IOException {
    Path config = file("run.json", "{\"rank\": 2, \"epochs\": 3, \"lora_alpha\": 5}");
    train(
            config,
            "--model",
            MODEL,
            "--data",
            DIALOGUES,
            "--rank",
            3,
            "--max-steps=1",
            "--batch-size",
            2)
        .succeeded();
    JsonNode got = config(folder.resolve("run"));
    assertEquals(3, got.get("lora").get("rank").intValue());
    assertEquals(5, got.get("lora").get("alpha").doubleValue());
    assertEquals(1, got.get("max_steps").intValue());
  }

  @Test
  void theRecordOfARunStartsTheSameRun() throws IOException {
    Path first = folder.resolve("first");
    run(
            "train",
            "--model",
            MODEL,
            "--data",
            DIALOGUES,
            "--eval-data",
            DIALOGUES,
            "--output",
            first,
            "--max-steps",
            2,
            "--batch-size",
            2,
            "--rank",
            2,
            "--rslora",
            "--lora-dropout",
            0.25,
            "--learning-rate",
            "3e-3",
            "--schedule",
            "cosine",
            "--eval-every",
            1,
            "--label-smoothing",
            0.1,
            "--seed",
            7)
        .succeeded();
    train(first.resolve("config.json")).succeeded();
    assertSame(first, folder.resolve("run"), "adapter/adapter_model.safetensors");
  }

  private static void assertSame(Path first, Path second, String weights) throws IOException {
    assertEquals(config(first), config(second));
    assertArrayEquals(
        Files.readAllBytes(first.resolve(weights)), Files.readAllBytes(second.resolve(weights)));
  }

  @ParameterizedTest
  @ValueSource(strings = {"dpo", "cdpo", "orpo", "simpo", "kto"})
  void soDoesThatOfPreferences(String algorithm) throws IOException {
    Path pairs =
        file(
            "pairs.jsonl",
            """
            {"prompt": "Say hello.", "chosen": "Hello there.", "rejected": "No."}
            {"prompt": "Say goodbye.", "chosen": "Goodbye.", "rejected": "Why?"}
            """);
    again(
        "adapter/adapter_model.safetensors",
        "align",
        "--algorithm",
        algorithm,
        "--model",
        MODEL,
        "--pairs",
        pairs,
        "--max-steps",
        1,
        "--rank",
        2);
  }

  @ParameterizedTest
  @ValueSource(strings = {"ppo", "grpo", "rloo", "ppo --fixed-kl", "ppo --mode lab"})
  void soDoesThatOfRewards(String algorithm) throws IOException {
    List<Object> arguments =
        new ArrayList<>(
            List.of(
                "align",
                "--model",
                MODEL,
                "--data",
                DIALOGUES,
                "--reward",
                "rouge:rougeL=2",
                "--reward",
                "length:4=0.1",
                "--batch-size",
                4,
                "--max-new-tokens",
                4,
                "--max-steps",
                1,
                "--rank",
                2,
                "--algorithm"));
    arguments.addAll(List.of(algorithm.split(" ")));
    again("adapter/adapter_model.safetensors", arguments.toArray());
  }

  @ParameterizedTest
  @ValueSource(strings = {"pairs", "data"})
  void soDoesThatOfARewardModel(String kind) throws IOException {
    StringBuilder rows = new StringBuilder();
    for (int i = 0; i < 20; i++) {
      rows.append(
          kind.equals("pairs")
              ? "{\"prompt\": \"Say %d.\", \"chosen\": \"It is %d.\", \"rejected\": \"No.\"}\n"
                  .formatted(i, i)
              : "{\"text\": \"It is %d.\", \"label\": \"%s\"}\n"
                  .formatted(i, i % 2 == 0 ? "even" : "odd"));
    }
    again(
        "model/model.safetensors",
        "reward",
        "--model",
        FIXTURES.resolve("roberta-tiny"),
        "--" + kind,
        file("rows.jsonl", rows.toString()),
        "--max-steps",
        1);
  }

  /** Runs a command, and again from what its run recorded. */
  private void again(String weights, Object... arguments) throws IOException {
    Path first = folder.resolve("first");
    Path second = folder.resolve("second");
    List<Object> all = new ArrayList<>(List.of(arguments));
    all.addAll(List.of("--output", first));
    run(all.toArray()).succeeded();
    run(arguments[0], "--config", first.resolve("config.json"), "--output", second).succeeded();
    assertSame(first, second, weights);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '"',
      value = {
        "rnak: 4 | 'rnak' is no option of 'precis train', did you mean 'rank'?",
        "lora_r: 4 | 'lora-r' is no option of 'precis train', did you mean 'rank'?",
        "num_train_epochs: 4 | did you mean 'epochs'?",
        "lora: {width: 4} | 'lora.width' is no option",
        "config: other.yaml | 'config' belongs on the command line",
        "rank: many | 'many' is not an int ('rank' in",
        "method: both | --method must be lora, ia3, prompt-tuning or full, not 'both' ('method' in",
        "rank: [1, 2] | 'rank' must be one value, not a list",
        "rank: {of: 2} | 'rank' must be a text or a number",
        "rank: true | 'rank' must be a text or a number",
        "truncate: 1 | 'truncate' must be true or false",
        "rank: 2\\nrank: 3 | line 4, has 'rank' a second time",
        "batch_size: 2\\nbatch-size: 3 | has 'batch-size' twice",
        "early-stopping: 2\\nearly-stopping-patience: 3 | are the same option",
        "rank: &a 2\\nseed: *a | line 4, has an alias",
        "rank: !!int 2 | has the tag",
        "rank: [[[[[[[[[2]]]]]]]]] | is nested deeper than 8 levels",
        "[rank]: 2 | has a list or a map as a key",
        "---\\nrank: 2 | starts a second document",
        "rank: 'open | is not valid YAML",
        "rank: \\t: 2 | is not valid YAML"
      })
  void aWrongFileIsOneSentence(String text, String sentence) throws IOException {
    Path config = file("run.yaml", yaml(text.replace("\\n", "\n").replace("\\t", "\t").strip()));
    CommandLineRun result = train(config, "--max-steps", 1);
    assertEquals(2, result.exitCode(), result.err());
    assertTrue(result.err().contains(sentence), result.err());
    assertTrue(result.err().contains("run.yaml"), result.err());
    assertEquals(1, result.err().lines().count(), result.err());
    assertFalse(Files.exists(folder.resolve("run")));
  }

  @Test
  void generationReadsItToo() throws IOException {
    Path plain = folder.resolve("plain.jsonl");
    run(
            "generate",
            "--model",
            MODEL,
            "--adapter",
            FIXTURES.resolve("t5-tiny-lora"),
            "--input",
            DIALOGUES,
            "--output",
            plain,
            "--max-new-tokens",
            6,
            "--num-beams",
            2,
            "--early-stopping",
            "--raw")
        .succeeded();
    Path config =
        file(
            "generate.yaml",
            """
            model: %s
            adapter:
              - %s
            input: %s
            max-new-tokens: 6
            num_beams: 2
            early_stopping: true
            sample: false
            raw: true
            """
                .formatted(MODEL, FIXTURES.resolve("t5-tiny-lora"), DIALOGUES));
    Path output = folder.resolve("out.jsonl");
    run("generate", "--config", config, "--output", output).succeeded();
    assertEquals(Files.readString(plain), Files.readString(output));
    // The prompt takes the place of the file's input.
    String text = run("generate", "--config", config, "--prompt", "Hello").succeeded().out();
    assertEquals(1, text.lines().count(), text);
  }

  @Test
  void sampleFalseInAFileWinsOverTheModelsFolder() throws IOException {
    Path model = Files.createDirectory(folder.resolve("model"));
    for (String name : List.of("config.json", "model.safetensors", "tokenizer.json")) {
      Files.copy(MODEL.resolve(name), model.resolve(name));
    }
    Files.writeString(model.resolve("generation_config.json"), "{\"do_sample\": true}");
    Path config = file("generate.yaml", "model: %s\nsample: false\n".formatted(model));
    CommandLineRun sampled = run("generate", "--model", model, "--prompt", "Hello");
    CommandLineRun greedy = run("generate", "--config", config, "--prompt", "Hello");
    assertTrue(sampled.succeeded().err().contains("do_sample=true"), sampled.err());
    assertFalse(greedy.succeeded().err().contains("do_sample"), greedy.err());
  }

  @Test
  void theOthersReadItToo() throws IOException {
    Path evaluation =
        file(
            "evaluate.json",
            "{\"data\": \"%s\", \"candidate\": [\"a=%s\", \"b=%s\"], \"metrics\": [\"rouge\", \"loss\"],"
                    .formatted(DIALOGUES, MODEL, MODEL)
                + " \"limit\": 2, \"max_new_tokens\": 3, \"json\": true}");
    JsonNode report =
        Json.mapper().readTree(run("evaluate", "--config", evaluation).succeeded().out());
    assertEquals(2, report.get("candidates").size());
    assertEquals(6, report.at("/candidates/1/scores").size());
    assertEquals(2, report.get("dialogues").intValue());

    Path scoring =
        file(
            "score.yaml",
            "reward-model: %s\ninput: %s\ntext_field: summary\n"
                .formatted(FIXTURES.resolve("roberta-tiny"), DIALOGUES));
    assertEquals(64, run("score", "--config", scoring).succeeded().lines().size());

    Path rouge =
        file("rouge.yaml", "predictions: %s\nreferences: %s\n".formatted(DIALOGUES, DIALOGUES));
    assertTrue(run("rouge", "--config", rouge).succeeded().out().contains("rouge1      1.0000"));

    Path merge =
        file(
            "merge.yaml",
            "model: %s\nadapter: %s\noutput: %s\n"
                .formatted(MODEL, FIXTURES.resolve("t5-tiny-lora"), folder.resolve("merged")));
    run("merge", "--config", merge).succeeded();
    assertTrue(Files.exists(folder.resolve("merged/model.safetensors")));

    CommandLineRun wrong =
        run("score", "--config", file("wrong.yaml", "reward_modell: x"), "--input", DIALOGUES);
    assertEquals(2, wrong.exitCode());
    assertTrue(
        wrong.err().contains("no option of 'precis score', did you mean 'reward-model'?"),
        wrong.err());
  }

  @Test
  void filesThatHoldNoOptions() throws IOException {
    Path list = file("list.yaml", "- rank");
    assertTrue(train(list).err().contains("must hold options and their values"));
    assertTrue(train(file("empty.yaml", "")).err().contains("must hold options"));
    assertTrue(train(folder.resolve("none.yaml")).err().contains("does not exist"));
    assertTrue(train(file("run.json", "{\"rank\": ")).err().contains("is not valid JSON"));
    Path large = file("large.yaml", "# " + "x".repeat(1_000_000));
    assertTrue(train(large).err().contains("more than the 1000000"));
    Path binary = Files.write(folder.resolve("binary.yaml"), new byte[] {'a', ':', 0, 1});
    CommandLineRun result = train(binary);
    assertEquals(2, result.exitCode(), result.err());
    assertTrue(result.err().contains("is not valid YAML"), result.err());
    Path arguments = file("arguments", "--config " + list);
    CommandLineRun inFile =
        run("train", "--model", MODEL, "--data", DIALOGUES, "--output", "run", "@" + arguments);
    assertEquals(2, inFile.exitCode(), inFile.err());
    assertTrue(inFile.err().contains("cannot be in an @file"), inFile.err());
  }
}
