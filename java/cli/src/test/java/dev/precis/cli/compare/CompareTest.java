package dev.precis.cli.compare;

import static dev.precis.cli.CommandLineRun.run;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.cli.CommandLineRun;
import dev.precis.io.Json;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;

/** compare, on made-up run folders. */
final class CompareTest {
  @TempDir private Path folder;

  private Path lora;
  private Path full;

  @BeforeEach
  void makeRuns() throws IOException {
    lora = made("lora", "lora", 0.001, 3, 1.5);
    full = made("full", "full", 0.0001, 3, 1.25);
  }

  private Path made(String name, String method, double rate, double first, double last)
      throws IOException {
    Path run = Files.createDirectories(folder.resolve("runs").resolve(name));
    Files.writeString(
        run.resolve("config.json"),
        """
        {"method":"%s","model":"google/flan-t5-base","data":"train.csv","data_sha256":"0f",
         "learning_rate":%s,"seed":0%s}
        """
            .formatted(method, rate, method.equals("lora") ? ",\"lora\":{\"rank\":32}" : ""));
    StringBuilder lines = new StringBuilder();
    for (int step = 1; step <= 50; step++) {
      lines.append(
          """
          {"step":%d,"loss":%s,"learning_rate":%s,"tokens":100,"tokens_per_second":50.0,"own":%d}
          """
              .formatted(step, first + (last - first) * (step - 1) / 49, rate, step));
    }
    lines.append("{\"step\":50,\"eval_loss\":%s}\n".formatted(last));
    Files.writeString(run.resolve("metrics.jsonl"), lines);
    return run;
  }

  @Test
  void printsResultsCostsAndOptionsThatDiffer() {
    String table = run("compare", lora, full).succeeded().out();
    assertTrue(table.lines().allMatch(line -> line.length() <= 80), table);
    assertTrue(
        table.contains("1   lora: LoRA fine-tuning of google/flan-t5-base on train.csv"), table);
    assertTrue(table.matches("(?s).*\\n +1 lora +2 full *\\n.*"), table);
    assertTrue(table.matches("(?s).*The evaluation loss +1\\.5000 +1\\.2500 \\*\\n.*"), table);
    assertTrue(table.matches("(?s).*Time of the steps +1 min 40 s +1 min 40 s\\n.*"), table);
    assertTrue(table.matches("(?s).*learning_rate +0\\.001 +1\\.0E-4\\n.*"), table);
    assertTrue(table.matches("(?s).*lora\\.rank +32 +-\\n.*"), table);
    assertFalse(table.contains("seed") || table.contains("different data"), table);
  }

  @Test
  void printsJson() {
    JsonNode json = Json.mapper().readTree(run("compare", lora, full, "--json").succeeded().out());
    assertEquals(2, json.get("runs").size());
    assertEquals("lora", json.at("/runs/0/name").stringValue());
    assertEquals("full", json.at("/best/The evaluation loss").stringValue());
    assertEquals("0.001", json.at("/options/learning_rate/lora").stringValue());
    assertEquals(100, json.at("/runs/1/cost/seconds").doubleValue(), 1e-9);
    assertFalse(json.has("warning"));
  }

  @Test
  void writesAPageWithTheCurvesOverEachOther() throws IOException {
    Path page = folder.resolve("compare.html");
    run("compare", lora, full, "--output", page).succeeded();
    String html = Files.readString(page);
    assertTrue(html.contains("<h1>Comparison of lora and full</h1>"), html);
    assertTrue(html.contains("<figcaption>Loss") && html.contains("<figcaption>own"), html);
    assertTrue(html.contains("curve c0") && html.contains("curve c1"), html);
    assertTrue(html.contains("<th scope=\"row\">learning_rate</th><td>0.001</td>"), html);
  }

  @Test
  void manyRunsWithLongNamesFit80Columns() throws IOException {
    Object[] arguments = new Object[8];
    arguments[0] = "compare";
    for (int i = 1; i < 8; i++) {
      arguments[i] = made("a-run-with-a-rather-long-name-" + i, "lora", i / 7.0, 3, 1);
    }
    String table = run(arguments).succeeded().out();
    assertTrue(table.lines().allMatch(line -> line.length() <= 80), table);
    assertEquals(3, table.lines().filter(line -> line.contains("The training loss")).count());
  }

  @Test
  void runsOnOtherDataAreNotRanked() throws IOException {
    Path other = made("other", "lora", 0.001, 3, 1);
    Path config = other.resolve("config.json");
    Files.writeString(config, Files.readString(config).replace("\"0f\"", "\"1f\""));
    String table = run("compare", lora, other).succeeded().out();
    assertTrue(table.contains("These runs have different data"), table);
    assertTrue(table.contains("data_sha256"), table);
  }

  @Test
  void aScriptInARunIsText() throws IOException {
    Path config = lora.resolve("config.json");
    Files.writeString(
        config,
        Files.readString(config).replace("train.csv", "<script>alert(1)</script>\\u001b[2J"));
    Path page = folder.resolve("page.html");
    run("compare", lora, full, "--output", page).succeeded();
    String html = Files.readString(page);
    assertFalse(html.contains("<script>alert"), html);
    assertFalse(html.contains("\u001b"), html);
    assertTrue(html.contains("&lt;script&gt;alert(1)"), html);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "LORA | One run alone has nothing to be compared with",
        "LORA LORA | is given twice",
        "LORA LORA/../lora | is given twice",
        "LORA NOWHERE | There is no folder",
        "LORA EMPTY | holds no run: name the --output folder of train, align or reward",
        "LORA LORA/config.json | holds no run",
        "LORA BEGUN | has no complete step in metrics.jsonl",
        "LORA BROKEN | config.json",
        "LORA DAMAGED | \"results\" must be a list",
        "LORA FULL --output EMPTY | --output names a file",
        "'' | RUN",
      })
  void badFoldersGetASentence(String line, String sentence) throws IOException {
    Path empty = Files.createDirectories(folder.resolve("empty"));
    Path begun = made("begun", "lora", 1, 3, 1);
    Files.writeString(begun.resolve("metrics.jsonl"), "{\"step\":1,\"loss\":");
    Path broken = made("broken", "lora", 1, 3, 1);
    Files.writeString(broken.resolve("config.json"), "{");
    Path damaged = made("damaged", "lora", 1, 3, 1);
    Files.writeString(damaged.resolve("results.json"), "{\"results\":7}");
    String filled =
        line.replace("NOWHERE", folder.resolve("nowhere").toString())
            .replace("EMPTY", empty.toString())
            .replace("BEGUN", begun.toString())
            .replace("BROKEN", broken.toString())
            .replace("DAMAGED", damaged.toString())
            .replace("LORA", lora.toString())
            .replace("FULL", full.toString());
    CommandLineRun result = run((Object[]) ("compare " + filled).strip().split(" "));
    assertEquals(2, result.exitCode(), result.err());
    assertTrue(result.err().contains(sentence), result.err());
    assertEquals(1, result.err().lines().count(), result.err());
    assertEquals("", result.out());
  }

  @Test
  void theBestIsFoundAlsoAmongTies() {
    List<ComparedRun> runs = List.of(ComparedRun.read("a", lora), ComparedRun.read("b", full));
    RunComparison comparison = new RunComparison(runs);
    assertEquals(1, RunComparison.best(comparison.results("The evaluation loss")));
    RunComparison same =
        new RunComparison(List.of(ComparedRun.read("a", lora), ComparedRun.read("b", lora)));
    assertEquals(-1, RunComparison.best(same.results("The evaluation loss")));
  }
}
