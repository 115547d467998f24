package dev.precis.cli.evaluate;

import static dev.precis.cli.CommandLineRun.DIALOGUES;
import static dev.precis.cli.CommandLineRun.FIXTURES;
import static dev.precis.cli.CommandLineRun.lines;
import static dev.precis.cli.CommandLineRun.run;
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
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;

final class RougeTest {
  private static final List<String> METRICS = List.of("rouge1", "rouge2", "rougeL", "rougeLsum");

  @TempDir private Path folder;

  private Path file(String name, String content) throws IOException {
    return Files.writeString(folder.resolve(name), content);
  }

  private static JsonNode json(Object... args) {
    List<Object> all = new ArrayList<>(List.of("rouge", "--json"));
    all.addAll(List.of(args));
    CommandLineRun result = run(all.toArray()).succeeded();
    assertEquals("", result.err());
    return Json.mapper().readTree(result.out());
  }

  /** The fixture's pairs as files: the mean F1 of what rouge_score gives for each. */
  @Test
  void meansAreRougeScores() throws IOException {
    JsonNode golden =
        Json.mapper().readTree(Files.readString(FIXTURES.resolve("golden/rouge.json")));
    StringBuilder predictions = new StringBuilder();
    StringBuilder references = new StringBuilder();
    double[] sums = new double[4];
    int n = 0;
    for (JsonNode pair : golden) {
      String id = "pair" + n++;
      String prediction = pair.get("prediction").stringValue();
      String reference = pair.get("reference").stringValue();
      predictions.insert(0, line(Map.of("id", id, "summary", prediction)));
      references.append(line(Map.of("id", id, "dialogue", "A: " + id, "summary", reference)));
      for (int m = 0; m < 4; m++) {
        sums[m] += pair.get(METRICS.get(m)).get(2).doubleValue();
      }
    }
    Path p = file("p.jsonl", predictions.toString());
    Path r = file("r.jsonl", references.toString());
    JsonNode result = json("--predictions", p, "--references", r);
    assertEquals(METRICS, List.copyOf(result.propertyNames()).subList(0, 4));
    for (int m = 0; m < 4; m++) {
      double f1 = result.get(METRICS.get(m)).doubleValue();
      JsonNode details = result.get("details").get(METRICS.get(m));
      assertEquals(sums[m] / n, f1, 1e-15);
      assertTrue(details.get("low").doubleValue() < f1 && f1 < details.get("high").doubleValue());
    }
    assertEquals(10, result.get("count").intValue());

    String table = run("rouge", "--predictions", p, "--references", r).succeeded().out();
    assertTrue(table.contains("rouge_score (Porter stemmer, sentences end at line ends)"), table);
    assertTrue(table.contains("one reference each"), table);
    assertTrue(table.contains(String.format("rouge1      %.4f  ", sums[0] / n)), table);
    assertTrue(table.lines().allMatch(line -> line.length() <= 80), table);
  }

  private static String line(Map<String, String> fields) {
    return Json.mapper().writeValueAsString(fields) + "\n";
  }

  @Test
  void judgesWhatGenerateWrote() {
    Path output = folder.resolve("out.jsonl");
    run(
            "generate",
            "--model",
            CommandLineRun.MODEL,
            "--input",
            DIALOGUES,
            "--max-new-tokens",
            30,
            "--output",
            output)
        .succeeded();
    double rouge1 =
        json("--predictions", output, "--references", DIALOGUES).get("rouge1").doubleValue();
    assertTrue(rouge1 > 0.3 && rouge1 < 1, "rouge1: " + rouge1);
    assertEquals(64, lines(output).size());
    assertEquals(
        1, json("--predictions", DIALOGUES, "--references", DIALOGUES).get("rouge2").doubleValue());
  }

  @Test
  void presetsAndSeveralReferences() throws IOException {
    Path p = file("p.txt", "the cats sat. A dog ran.\n");
    Path r =
        file(
            "r.jsonl",
            "{\"dialogue\":\"A: x\",\"summary1\":\"A dog runs. The cat"
                + " sat.\",\"summary2\":\"no\"}\n");
    assertEquals(
        5.0 / 6, json("--predictions", p, "--references", r).get("rouge1").doubleValue(), 1e-15);
    JsonNode mean = json("--predictions", p, "--references", r, "--multi", "mean");
    assertEquals(5.0 / 12, mean.get("rouge1").doubleValue(), 1e-15);
    JsonNode plain =
        json("--predictions", p, "--references", r, "--preset", "rouge_score-no-stemmer");
    assertEquals(4.0 / 6, plain.get("rouge1").doubleValue(), 1e-15);
    assertEquals("rouge_score-no-stemmer", plain.get("preset").stringValue());
    JsonNode sentences =
        json("--predictions", p, "--references", r, "--preset", "rouge_score-sentences");
    assertEquals(5.0 / 6, sentences.get("rougeLsum").doubleValue(), 1e-15);
    assertEquals(0.5, sentences.get("rougeL").doubleValue(), 1e-15);
    String table = run("rouge", "--predictions", p, "--references", r).succeeded().out();
    assertTrue(table.contains("2 references each, of which the best counts"), table);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {
        "a;b;;has 1 summaries and ",
        "a;c;;Q.txt does not exist",
        "a;d;;has a summary of 'own_1', which ",
        "a;a;--multi best;--multi must be max or mean, not 'best'",
        "a;a;--preset perl;There is no ROUGE preset 'perl'; there are rouge_score, "
      })
  void refuses(String predictions, String references, String options, String sentence)
      throws IOException {
    Map<String, Path> files =
        Map.of(
            "a", file("a.jsonl", "{\"id\":\"own_1\",\"summary\":\"x\"}\n"),
            "b", file("b.txt", "one\ntwo\n"),
            "c", folder.resolve("Q.txt"),
            "d", file("d.jsonl", "{\"id\":\"own_2\",\"summary\":\"x\"}\n"));
    List<Object> args =
        new ArrayList<>(
            List.of(
                "rouge",
                "--predictions",
                files.get(predictions),
                "--references",
                files.get(references)));
    if (options != null) {
      args.addAll(List.of(options.split(" ")));
    }
    CommandLineRun result = run(args.toArray());
    assertEquals(2, result.exitCode(), result.err());
    assertTrue(result.err().contains(sentence), result.err());
    assertEquals(1, result.err().lines().count(), result.err());
    assertFalse(result.err().contains("Internal error"), result.err());
    assertEquals("", result.out());
  }
}
