package dev.precis.cli.data;

import static dev.precis.cli.CommandLineRun.FIXTURES;
import static dev.precis.cli.CommandLineRun.MODEL;
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
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

/** Data as people have it, through the commands that read it. */
final class ReadingTest {
  private static final String GOOD = "{\"dialogue\": \"A: Hi.\", \"summary\": \"A greets.\"}\n";
  private static final String PAIR =
      "{\"prompt\": \"Who?\", \"chosen\": \"Paul.\", \"rejected\": \"Nora.\"}\n";

  @TempDir private Path folder;

  private Path write(String name, String content) throws IOException {
    return Files.writeString(folder.resolve(name), content);
  }

  private CommandLineRun train(Object data, Object... more) {
    List<Object> args =
        new ArrayList<>(List.of("train", "--model", MODEL, "--data", data, "--max-steps", 1));
    args.addAll(List.of("--batch-size", 1, "--rank", 2, "--output", folder.resolve("run")));
    args.addAll(List.of(more));
    return run(args.toArray());
  }

  private JsonNode config() {
    return Json.readObject(folder.resolve("run/config.json")).node();
  }

  @Test
  void trainingSkipsAnEmptyDialogueAndRecordsIt() throws IOException {
    Path data = write("samsum.jsonl", GOOD + "{\"dialogue\": \"\", \"summary\": \"s\"}\n" + GOOD);
    CommandLineRun result = train(data).succeeded();
    String note = data + ": 1 of 3 rows skipped: " + data + ", line 2: \"dialogue\" is empty.";
    assertTrue(result.err().contains(note), result.err());
    assertEquals(1, config().get("data_skipped_rows").intValue());
    assertFalse(config().has("on_bad_row"));
    assertEquals(2, train(data, "--on-bad-row", "fail").exitCode());
    assertEquals(2, train(data, "--on-bad-row", "ignore").exitCode());
  }

  @Test
  void aDamagedRowIsSkippedOnRequest() throws IOException {
    Path data = write("d.jsonl", GOOD + "{\"dialogue\n" + GOOD);
    assertEquals(2, train(data).exitCode());
    train(data, "--on-bad-row", "skip").succeeded();
    assertEquals("skip", config().get("on_bad_row").stringValue());
  }

  @Test
  void otherColumnsAreFoundOrNamedAndRecorded() throws IOException {
    Path cnn = write("cnn.csv", "id;article;highlights\n1;\"A; B\";s\n");
    CommandLineRun result = train(cnn).succeeded();
    assertTrue(result.err().contains("separated by semicolons"), result.err());
    assertTrue(result.err().contains("\"article\" is read as the dialogue"), result.err());
    assertEquals("article", config().get("data_columns").get("dialogue").stringValue());
    Path mails = write("mails.csv", "body,subject\nA: Hi.,Greeting\n");
    CommandLineRun generated =
        run(
            "generate",
            "--model",
            MODEL,
            "--input",
            mails,
            "--dialogue-column",
            "body",
            "--max-new-tokens",
            2);
    generated.succeeded();
    CommandLineRun both =
        run(
            "generate",
            "--model",
            MODEL,
            "--input",
            mails,
            "--dialogue-column",
            "body",
            "--prompt-column",
            "body");
    assertEquals(2, both.exitCode());
    assertTrue(both.err().contains("are mutually exclusive"), both.err());
  }

  @Test
  void pairsThatTeachNothingAreLeftOut() throws IOException {
    Path pairs = write("p.jsonl", PAIR + PAIR.replace("Nora", "Paul") + PAIR);
    CommandLineRun result =
        run(
            "align",
            "--algorithm",
            "dpo",
            "--model",
            MODEL,
            "--pairs",
            pairs,
            "--max-steps",
            1,
            "--batch-size",
            2,
            "--rank",
            2,
            "--output",
            folder.resolve("run"));
    result.succeeded();
    assertTrue(result.err().contains("1 of 3 rows skipped"), result.err());
    assertEquals(1, config().get("pairs_skipped_rows").intValue());
  }

  @Test
  void aFolderOfSaveToDiskIsReadByItsSplits() {
    Path saved = Path.of("../core/src/test/resources/dialogues/saved");
    train(saved).succeeded();
    assertEquals("train", config().get("data_split").stringValue());
    CommandLineRun test =
        run(
            "generate",
            "--model",
            MODEL,
            "--input",
            saved,
            "--split",
            "test",
            "--max-new-tokens",
            2);
    assertEquals(2, test.succeeded().lines().size());
  }

  @Test
  void aDataSetOfTheHubMustHaveBeenDownloaded() throws IOException {
    Path snapshot =
        Files.createDirectories(
            folder.resolve("hub/datasets--me--talks/snapshots/" + "a".repeat(40)));
    Files.createDirectories(folder.resolve("hub/datasets--me--talks/refs"));
    Files.writeString(folder.resolve("hub/datasets--me--talks/refs/main"), "a".repeat(40));
    Files.writeString(snapshot.resolve("train.jsonl"), GOOD);
    Map<String, String> environment = Map.of("HF_HUB_CACHE", folder.resolve("hub").toString());
    run(environment, "generate", "--model", MODEL, "--input", "me/talks", "--max-new-tokens", 2)
        .succeeded();
    CommandLineRun missing = run(environment, "generate", "--model", MODEL, "--input", "me/others");
    assertEquals(2, missing.exitCode());
    assertTrue(missing.err().contains("precis download me/others"), missing.err());
  }

  @Test
  void anAdaptersFolderIsNoModel() {
    CommandLineRun result =
        run("generate", "--model", FIXTURES.resolve("t5-tiny-lora"), "--prompt", "hi");
    assertEquals(2, result.exitCode());
    assertTrue(result.err().contains("is an adapter, not a model: name it with --adapter"));
  }

  /** The commands of docs/data.md are understood: they fail on the files that are not there. */
  @Test
  void theExamplesOfTheDocumentation() throws IOException {
    String page = Files.readString(Path.of("../../docs/data.md")).replace("\\\n", " ");
    Matcher commands = Pattern.compile("(?m)^precis (.+)$").matcher(page);
    int count = 0;
    while (commands.find()) {
      String command = commands.group(1).replace("google/flan-t5-base", MODEL.toString());
      CommandLineRun result = run(Map.of(), (Object[]) command.split("\\s+"));
      assertEquals(2, result.exitCode(), result.err());
      assertFalse(result.err().contains("--help"), result.err());
      count++;
    }
    assertEquals(4, count);
  }
}
