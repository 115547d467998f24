package dev.precis.cli.reward;

import static dev.precis.cli.CommandLineRun.FIXTURES;
import static dev.precis.cli.CommandLineRun.MODEL;
import static dev.precis.cli.CommandLineRun.run;
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
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;

/** {@code precis score}: what is read, what is written, what is refused. */
final class ScoreTest {
  private static final Path CLASSIFIER = FIXTURES.resolve("roberta-tiny");

  @TempDir private Path folder;

  private static JsonNode golden() throws IOException {
    return Json.mapper().readTree(Files.readString(FIXTURES.resolve("golden/roberta.json")));
  }

  private Path goldenTexts(String field) throws IOException {
    StringBuilder lines = new StringBuilder();
    int i = 0;
    for (JsonNode each : golden()) {
      Map<String, String> row = Map.of("id", "text " + i++, field, each.get("text").stringValue());
      lines.append(Json.mapper().writeValueAsString(row)).append('\n');
    }
    return Files.writeString(folder.resolve(field + ".jsonl"), lines);
  }

  @ParameterizedTest
  @CsvSource({"text, ''", "summary, ''", "completion, ''", "review, review"})
  void logitsAreThoseOfTransformers(String field, String option) throws IOException {
    Path output = folder.resolve("scores.jsonl");
    Path input = goldenTexts(field);
    CommandLineRun result =
        option.isEmpty()
            ? run("score", "--reward-model", CLASSIFIER, "--input", input, "--output", output)
            : run(
                "score",
                "--reward-model",
                CLASSIFIER,
                "--input",
                input,
                "--output",
                output,
                "--text-field",
                option);
    assertEquals("", result.succeeded().out());
    assertFalse(Files.exists(folder.resolve("scores.jsonl.partial")));
    List<JsonNode> lines = CommandLineRun.lines(output);
    assertEquals(golden().size(), lines.size());
    for (int i = 0; i < lines.size(); i++) {
      JsonNode line = lines.get(i);
      assertEquals(
          List.of("id", "label", "logits", "probabilities"), List.copyOf(line.propertyNames()));
      assertEquals("text " + i, line.get("id").stringValue());
      double nothate = golden().get(i).get("logits").get(0).doubleValue();
      double hate = golden().get(i).get("logits").get(1).doubleValue();
      assertEquals(nothate, line.get("logits").get("nothate").doubleValue(), 1e-4);
      assertEquals(hate, line.get("logits").get("hate").doubleValue(), 1e-4);
      assertEquals(
          1 / (1 + Math.exp(nothate - hate)),
          line.get("probabilities").get("hate").doubleValue(),
          1e-4);
      assertEquals(hate > nothate ? "hate" : "nothate", line.get("label").stringValue());
    }
  }

  private Path pairs() throws IOException {
    return Files.writeString(
        folder.resolve("pairs.jsonl"),
        """
        {"id": "a", "dialogue": "Anna: I lost the cat. Bob: Oh no.", "summary": "Anna lost a cat. It is gone."}
        {"id": "b", "dialogue": "Hello.", "summary": "Nobody knows."}
        """);
  }

  @Test
  void aJudgeComparesWithTheSource() throws IOException {
    List<JsonNode> lines =
        run("score", "--judge", CLASSIFIER, "--judge-label", "nothate", "--input", pairs())
            .succeeded()
            .lines();
    assertEquals(
        List.of("id", "score", "sentences"), List.copyOf(lines.getFirst().propertyNames()));
    JsonNode sentences = lines.getFirst().get("sentences");
    assertEquals(2, sentences.size());
    assertEquals("It is gone.", sentences.get(1).get("text").stringValue());
    assertEquals(
        (sentences.get(0).get("score").doubleValue() + sentences.get(1).get("score").doubleValue())
            / 2,
        lines.getFirst().get("score").doubleValue(),
        1e-9);
    List<JsonNode> whole =
        run(
                "score",
                "--judge",
                MODEL,
                "--judge-prompt",
                "minicheck",
                "--judge-rule",
                "pair",
                "--input",
                pairs())
            .succeeded()
            .lines();
    assertEquals(List.of("id", "score"), List.copyOf(whole.getFirst().propertyNames()));
    double score = whole.getFirst().get("score").doubleValue();
    assertTrue(score > 0 && score < 1, "score " + score);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "--judge roberta-tiny --reward-model roberta-tiny | mutually exclusive",
        "--judge-label nothate | --reward-model or --judge is missing",
        "--reward-model roberta-tiny --judge-label nothate | --judge-label needs --judge",
        "--judge roberta-tiny --judge-rule best | consistency or pair",
        "--judge roberta-tiny --judge-label nothate --source-field none | a field \"none\"",
        "--judge roberta-tiny | its labels are: nothate, hate",
        "--judge t5-tiny | minicheck, unieval, steamshp",
        "--judge t5-tiny --judge-prompt {completion} | its prompt names no answers",
        "--judge t5-tiny --judge-label yes | has no label",
        "--judge roberta-tiny --judge-answers Yes/No | is a classifier",
      })
  void aJudgeIsAskedAsItCanAnswer(String options, String reason) throws IOException {
    List<Object> arguments = new ArrayList<>(List.of("score", "--input", pairs()));
    for (String word : options.strip().split(" ")) {
      arguments.add(word.endsWith("-tiny") ? FIXTURES.resolve(word) : word);
    }
    CommandLineRun result = run(arguments.toArray());
    assertEquals(2, result.exitCode(), result.err());
    assertTrue(result.err().contains(reason), result.err());
  }

  @Test
  void standardOutputAndOtherFormats() throws IOException {
    Path csv = Files.writeString(folder.resolve("a.csv"), "id,text\nx,\"good, morning\"\ny,\n");
    List<JsonNode> lines =
        run("score", "--reward-model", CLASSIFIER, "--input", csv).succeeded().lines();
    assertEquals(2, lines.size());
    assertEquals("y", lines.get(1).get("id").stringValue());
    Path text = Files.writeString(folder.resolve("a.txt"), "good, morning\n\nyou fool\n");
    List<JsonNode> same =
        run("score", "--reward-model", CLASSIFIER, "--input", text, "--output", "-")
            .succeeded()
            .lines();
    assertEquals(3, same.size());
    assertEquals("1", same.get(0).get("id").stringValue());
    // Alone or among others, the score is the same.
    for (int i = 0; i < 2; i++) {
      assertEquals(
          lines.get(i).get("logits").get("hate").doubleValue(),
          same.get(i).get("logits").get("hate").doubleValue(),
          1e-6);
    }
  }

  @Test
  void generatedSummariesAreReadAsTheyAre() {
    Path generated = folder.resolve("generated.jsonl");
    run(
            "generate",
            "--model",
            MODEL,
            "--input",
            CommandLineRun.DIALOGUES,
            "--output",
            generated,
            "--max-new-tokens",
            "12")
        .succeeded();
    List<JsonNode> scores =
        run("score", "--reward-model", CLASSIFIER, "--input", generated).succeeded().lines();
    List<JsonNode> summaries = CommandLineRun.lines(generated);
    assertEquals(64, scores.size());
    for (int i = 0; i < 64; i++) {
      assertEquals(summaries.get(i).get("id"), scores.get(i).get("id"));
    }
  }

  private void refuses(String input, String content, String... named) throws IOException {
    Path file = Files.write(folder.resolve(input), content.getBytes(StandardCharsets.UTF_8));
    refuses(List.of(named), "--reward-model", CLASSIFIER, "--input", file);
  }

  private void refuses(List<String> named, Object... args) {
    Path output = folder.resolve("out.jsonl");
    Object[] all = new Object[args.length + 3];
    all[0] = "score";
    System.arraycopy(args, 0, all, 1, args.length);
    all[args.length + 1] = "--output";
    all[args.length + 2] = output;
    CommandLineRun result = run(all);
    assertEquals(2, result.exitCode(), result.err());
    named.forEach(name -> assertTrue(result.err().contains(name), name + " in " + result.err()));
    assertEquals(1, result.err().lines().count(), result.err());
    assertFalse(Files.exists(output));
    assertFalse(Files.exists(folder.resolve("out.jsonl.partial")));
  }

  @Test
  void badInput() throws IOException {
    refuses("a.jsonl", "{\"text\":\"x\"}\n{\"dialogue\":\"y\"}\n", "a.jsonl, line 2", "dialogue");
    refuses("a.jsonl", "{\"text\":3}\n", "a.jsonl, line 1", "must be a text");
    refuses("a.jsonl", "{\"text\":\"x\"\n", "a.jsonl, line 1", "not valid JSON");
    refuses("a.jsonl", "{\"text\":\"\\ud800\"}\n", "a.jsonl, line 1", "surrogate");
    refuses("a.jsonl", "", "a.jsonl holds no text");
    refuses("a.txt", "", "a.txt holds no text");
    refuses("a.csv", "id,words\n1,x\n", "a.csv", "words");
    refuses("a.docx", "x", "must end in");
    Path good = Files.writeString(folder.resolve("good.jsonl"), "{\"text\":\"x\"}\n");
    refuses(
        List.of("good.jsonl, line 1 has no \"review\"", "text"),
        "--reward-model",
        CLASSIFIER,
        "--input",
        good,
        "--text-field",
        "review");
    refuses(List.of("nowhere.jsonl"), "--reward-model", CLASSIFIER, "--input", "nowhere.jsonl");
    refuses(List.of("model of type t5"), "--reward-model", MODEL, "--input", good);
    refuses(List.of("There is no folder"), "--reward-model", "./nowhere", "--input", good);
    refuses(
        List.of("int8 is not for classifiers"),
        "--reward-model",
        CLASSIFIER,
        "--input",
        good,
        "--dtype",
        "int8");
  }
}
