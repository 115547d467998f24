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
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** train --teacher. */
final class DistillationCommandTest {
  private static final Path TEACHER = FIXTURES.resolve("t5-tiny-v1.0");

  @TempDir private Path folder;

  private CommandLineRun train(Path output, Object... more) {
    List<Object> arguments =
        new ArrayList<>(
            List.of(
                "train",
                "--model",
                MODEL,
                "--data",
                DIALOGUES,
                "--output",
                output,
                "--batch-size",
                4));
    arguments.addAll(List.of(more));
    return run(arguments.toArray());
  }

  private static void killAfter(Path run, int step) throws IOException {
    // A run whose process was killed: what came after the checkpoint is not there.
    Path checkpoints = run.resolve("checkpoints");
    try (var all = Files.list(checkpoints)) {
      for (Path each : all.toList()) {
        if (!each.getFileName().toString().equals("step-" + step)) {
          try (var files = Files.walk(each)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
              Files.delete(file);
            }
          }
        }
      }
    }
  }

  @Test
  void learnsFromATeacherAndResumes() throws IOException {
    Path output = folder.resolve("run");
    Object[] options = {
      "--teacher",
      TEACHER,
      "--on-policy",
      0.5,
      "--max-new-tokens",
      10,
      "--label-weight",
      0.25,
      "--temperature",
      1.5,
      "--beta",
      0.3,
      "--max-steps",
      6,
      "--checkpoint-every",
      3,
      "--rank",
      2,
      "--eval-data",
      DIALOGUES
    };
    CommandLineRun first = train(output, options).succeeded();
    assertTrue(first.err().contains("teacher "), first.err());
    ObjectNode config = (ObjectNode) Json.mapper().readTree(output.resolve("config.json").toFile());
    JsonNode distillation = config.get("distillation");
    assertEquals(TEACHER.toString(), distillation.get("teacher").stringValue());
    assertEquals(64, distillation.get("teacher_sha256").stringValue().length());
    assertEquals(0.5, distillation.get("on_policy").doubleValue());
    assertEquals(0.3, distillation.get("beta").doubleValue());
    assertEquals(10, distillation.get("max_new_tokens").intValue());
    List<JsonNode> metrics =
        lines(output.resolve("metrics.jsonl")).stream().filter(l -> l.has("divergence")).toList();
    assertEquals(6, metrics.size());
    double sampled = 0;
    for (JsonNode line : metrics) {
      assertTrue(line.get("divergence").doubleValue() > 0);
      sampled += line.get("on_policy").doubleValue();
    }
    assertTrue(sampled > 0 && sampled < 6, sampled + " of 6");
    String report = Files.readString(output.resolve("report.html"));
    assertTrue(
        report.contains("of t5-tiny on dialogues.jsonl, taught by t5-tiny-v1.0</h1>"), report);
    assertTrue(report.contains("Divergence from the teacher, per token"), report);
    assertTrue(report.contains("Share of examples with targets of the student"), report);
    Path weights = output.resolve("adapter/adapter_model.safetensors");
    byte[] whole = Files.readAllBytes(weights);
    killAfter(output, 3);
    Files.delete(weights);
    List<Object> again = new ArrayList<>(List.of(options));
    again.add("--resume");
    train(output, again.toArray()).succeeded();
    assertArrayEquals(whole, Files.readAllBytes(weights));
    again.set(1, MODEL);
    CommandLineRun other = train(output, again.toArray());
    assertEquals(2, other.exitCode());
    assertTrue(other.err().contains("distillation.teacher"), other.err());
  }

  @Test
  void aTeacherMayHaveAnAdapter() {
    Path output = folder.resolve("run");
    String teacher = MODEL + "+" + FIXTURES.resolve("t5-tiny-lora");
    train(output, "--teacher", teacher, "--max-steps", 1, "--rank", 2).succeeded();
    JsonNode first = lines(output.resolve("metrics.jsonl")).getFirst();
    // The student begins as the teacher without the adapter.
    assertTrue(first.get("divergence").doubleValue() > 1e-6, first.toString());
    Path same = folder.resolve("same");
    train(
            same,
            "--teacher",
            MODEL,
            "--max-steps",
            1,
            "--rank",
            2,
            "--dropout",
            0,
            "--lora-dropout",
            0)
        .succeeded();
    double itself = lines(same.resolve("metrics.jsonl")).getFirst().get("divergence").doubleValue();
    assertEquals(0, itself, 1e-7);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "--beta 0.5|--beta needs --teacher",
        "--on-policy 0.5|--on-policy needs --teacher",
        "--label-weight 1|--label-weight needs --teacher",
        "--teacher T --beta 2|--beta must be between 0 and 1, not 2.0",
        "--teacher T --on-policy -1|--on-policy must be between 0 and 1, not -1.0",
        "--teacher T --temperature 0|--temperature must be between 0.01 and 100, not 0.0",
        "--teacher T --label-smoothing 0.1|--label-smoothing and --teacher are mutually exclusive",
        "--teacher T --max-new-tokens 9|--max-new-tokens needs --on-policy above 0",
        "--teacher T --label-weight 1|--label-weight 1 leaves nothing to learn from --teacher",
        "--teacher T+|--teacher must be MODEL or MODEL+ADAPTER, not 'T+'",
      })
  void badOptionsAreRefused(String options, String sentence) {
    CommandLineRun result = train(folder.resolve("run"), (Object[]) options.split(" "));
    assertEquals(2, result.exitCode());
    assertTrue(result.err().contains(sentence), result.err());
    assertFalse(Files.exists(folder.resolve("run")));
  }

  @Test
  void aTeacherWithAnotherVocabularyIsRefused() throws IOException {
    Path wider = Files.createDirectories(folder.resolve("wider"));
    ObjectNode config = (ObjectNode) Json.mapper().readTree(MODEL.resolve("config.json").toFile());
    config.put("vocab_size", 448);
    Files.writeString(wider.resolve("config.json"), config.toPrettyString());
    Files.copy(MODEL.resolve("model.safetensors"), wider.resolve("model.safetensors"));
    CommandLineRun result = train(folder.resolve("run"), "--teacher", wider, "--max-steps", 1);
    assertEquals(2, result.exitCode());
    assertTrue(
        result.err().contains("has a vocabulary of 448 tokens")
            && result.err().contains("distillation needs the same tokenizer"),
        result.err());
    assertFalse(Files.exists(folder.resolve("run")));
  }
}
