package dev.precis.cli.data;

import static dev.precis.cli.CommandLineRun.lines;
import static dev.precis.cli.CommandLineRun.run;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.cli.CommandLineRun;
import dev.precis.data.Dialogue;
import dev.precis.data.DialogueReader;
import dev.precis.text.PromptTemplate;
import dev.precis.text.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

final class DataTest {
  @TempDir private Path folder;

  @Test
  void writesThreeSplitsTheirPairsAndATokenizer() throws IOException {
    Path data = folder.resolve("new/data");
    CommandLineRun result =
        run("data", "--output", data, "--count", 200, "--tokenizer", 700).succeeded();
    assertEquals(
        "160 training, 20 validation and 20 test dialogues in " + data + System.lineSeparator(),
        result.out());
    assertEquals("", result.err());
    try (Stream<Path> files = Files.list(data)) {
      assertEquals(
          List.of(
              "test-labels.jsonl",
              "test-pairs.jsonl",
              "test.jsonl",
              "tokenizer",
              "train-labels.jsonl",
              "train-pairs.jsonl",
              "train.jsonl",
              "validation-labels.jsonl",
              "validation-pairs.jsonl",
              "validation.jsonl"),
          files.map(file -> file.getFileName().toString()).sorted().toList());
    }
    List<JsonNode> raw = lines(data.resolve("train.jsonl"));
    List<Dialogue> read = DialogueReader.read(data.resolve("train.jsonl"));
    List<JsonNode> pairs = lines(data.resolve("train-pairs.jsonl"));
    assertEquals(160, read.size());
    int pair = 0;
    for (int i = 0; i < read.size(); i++) {
      assertEquals("train_" + i, read.get(i).id());
      assertEquals(raw.get(i).get("dialogue").stringValue(), read.get(i).dialogue());
      assertEquals(raw.get(i).get("topic").stringValue(), read.get(i).topic());
      assertEquals(raw.get(i).get("summary1").stringValue(), read.get(i).summaries().getFirst());
      if (raw.get(i).get("rude").booleanValue()) {
        JsonNode preference = pairs.get(pair++);
        assertEquals(raw.get(i).get("id"), preference.get("id"));
        assertEquals(
            PromptTemplate.DEFAULT.fill(read.get(i).dialogue()),
            preference.get("prompt").stringValue());
        assertEquals(raw.get(i).get("polite_summary"), preference.get("chosen"));
        assertEquals(raw.get(i).get("rude_summary"), preference.get("rejected"));
      }
    }
    assertTrue(pair > 10, "pairs: " + pair);
    assertEquals(pairs.size(), pair);
    List<JsonNode> labelled = lines(data.resolve("train-labels.jsonl"));
    assertEquals(160 + pair, labelled.size());
    int hate = 0;
    for (JsonNode each : labelled) {
      boolean rude = each.get("label").stringValue().equals("hate");
      hate += rude ? 1 : 0;
      assertTrue(rude || each.get("label").stringValue().equals("nothate"));
    }
    assertEquals(pair, hate);
    try (Tokenizer tokenizer = Tokenizer.load(data.resolve("tokenizer"))) {
      assertTrue(tokenizer.vocabularySize() <= 700);
      String summary = read.getFirst().summaries().getFirst();
      assertEquals(summary, tokenizer.decode(tokenizer.encode(summary), true));
    }
  }

  @Test
  void theSeedDecides() throws IOException {
    for (String name : List.of("a", "b", "c")) {
      int seed = name.equals("c") ? 8 : 7;
      Path data = folder.resolve(name);
      run("data", "--output", data, "--count", 50, "--seed", seed).succeeded();
    }
    String a = Files.readString(folder.resolve("a/train.jsonl"));
    assertEquals(a, Files.readString(folder.resolve("b/train.jsonl")));
    assertNotEquals(a, Files.readString(folder.resolve("c/train.jsonl")));
  }

  @Test
  void aFileIsNoFolder() throws IOException {
    Path file = Files.writeString(folder.resolve("file"), "mine");
    CommandLineRun result = run("data", "--output", file);
    assertEquals(2, result.exitCode());
    assertEquals("precis: " + file + " is a file; name a folder.", result.err().strip());
    assertEquals("mine", Files.readString(file));
  }

  @Test
  void aByteLevelTokenizer() {
    Path data = folder.resolve("data");
    run("data", "--output", data, "--count", 200, "--byte-level", 500).succeeded();
    try (Tokenizer tokenizer = Tokenizer.load(data.resolve("tokenizer"))) {
      assertEquals(500, tokenizer.vocabularySize());
      String summary =
          DialogueReader.read(data.resolve("test.jsonl")).getFirst().summaries().getFirst();
      int[] ids = tokenizer.encode(summary);
      assertEquals(summary, tokenizer.decode(ids, true));
      assertEquals(0, ids[0]);
      assertTrue(ids.length < summary.length() / 2, "it has learnt words");
    }
    CommandLineRun both = run("data", "--output", data, "--byte-level", 500, "--tokenizer", 700);
    assertEquals(2, both.exitCode());
    assertTrue(
        both.err().contains("--tokenizer and --byte-level are mutually exclusive"), both.err());
    CommandLineRun small = run("data", "--output", data, "--byte-level", 100);
    assertEquals(2, small.exitCode());
    assertTrue(small.err().contains("at least 261"), small.err());
  }
}
