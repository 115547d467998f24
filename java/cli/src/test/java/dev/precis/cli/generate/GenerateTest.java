package dev.precis.cli.generate;

import static dev.precis.cli.CommandLineRun.DIALOGUES;
import static dev.precis.cli.CommandLineRun.FIXTURES;
import static dev.precis.cli.CommandLineRun.MODEL;
import static dev.precis.cli.CommandLineRun.lines;
import static dev.precis.cli.CommandLineRun.run;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.cli.CommandLineRun;
import dev.precis.cli.common.BuiltInModel;
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
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

final class GenerateTest {
  @TempDir private Path folder;

  private static CommandLineRun generate(String options, Object... more) {
    List<Object> args = new ArrayList<>(List.of("generate"));
    if (!options.isEmpty()) {
      args.addAll(List.of(options.split(" ")));
    }
    args.addAll(List.of(more));
    if (!args.contains("--model")) {
      args.addAll(List.of("--model", MODEL));
    }
    return run(args.toArray());
  }

  /** The first dialogues of the fixtures as a file of their own. */
  private Path dialogues(int count) throws IOException {
    return Files.write(folder.resolve("in.jsonl"), Files.readAllLines(DIALOGUES).subList(0, count));
  }

  @Test
  void writesOneObjectALineInInputOrder() throws IOException {
    Path output = folder.resolve("out.jsonl");
    CommandLineRun result =
        generate("--max-new-tokens 24", "--input", DIALOGUES, "--output", output).succeeded();
    assertEquals("", result.out());
    assertEquals("", result.err());
    List<JsonNode> inputs = lines(DIALOGUES);
    List<JsonNode> outputs = lines(output);
    assertEquals(inputs.size(), outputs.size());
    for (int i = 0; i < inputs.size(); i++) {
      JsonNode line = outputs.get(i);
      assertEquals(List.of("id", "summary", "tokens", "score"), List.copyOf(line.propertyNames()));
      assertEquals(inputs.get(i).get("id"), line.get("id"));
      assertTrue(line.get("score").floatValue() < 0);
    }
    assertArrayEquals(BuiltInModel.expectedTokens(), tokens(outputs.getFirst()));
    try (var files = Files.list(folder)) {
      assertEquals(List.of(output), files.toList());
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "--dtype float32",
        "--dtype bfloat16",
        "--dtype int8",
        "--dtype int4",
        "--num-beams 3 --num-return-sequences 2",
        "--sample --seed 3 --top-k 20",
        "--sample --num-return-sequences 3"
      })
  void doesNotDependOnTheBatchSize(String options) throws IOException {
    Path input = dialogues(11);
    String alone =
        generate(options + " --max-new-tokens 20 --batch-size 1 --input " + input)
            .succeeded()
            .out();
    for (int batchSize : new int[] {2, 5, 16}) {
      String together =
          generate(options + " --max-new-tokens 20 --input " + input + " --batch-size " + batchSize)
              .succeeded()
              .out();
      assertEquals(alone, together, "batch size " + batchSize);
    }
  }

  @Test
  void draftsChangeNoByte() throws IOException {
    Path input = dialogues(5);
    for (String options : List.of("", "--sample --seed 4 --temperature 0.3")) {
      for (int batchSize : new int[] {1, 2, 8}) {
        String rest =
            "%s --max-new-tokens 30 --batch-size %d --input %s"
                .formatted(options, batchSize, input)
                .strip();
        assertEquals(
            generate(rest + " --draft none").succeeded().out(),
            generate(rest + " --draft lookup").succeeded().out());
      }
    }
    assertEquals(
        generate("--prompt Hello --max-new-tokens 30").succeeded().out(),
        generate("--prompt Hello --max-new-tokens 30 --draft lookup").succeeded().out());
  }

  @Test
  void draftsThatCannotBeAreRefused() throws IOException {
    String input = " --input " + dialogues(1);
    CommandLineRun beams = generate("--draft lookup --num-beams 2" + input);
    assertEquals(2, beams.exitCode());
    assertTrue(
        beams.err().contains("--draft is lookup, but must be none with num-beams 2"), beams.err());
    CommandLineRun unknown = generate("--draft guess" + input);
    assertEquals(2, unknown.exitCode());
    assertTrue(unknown.err().contains("--draft must be lookup or none"), unknown.err());
  }

  @Test
  void seedsDiffer() throws IOException {
    Path input = dialogues(3);
    String one = generate("--sample --seed 1 --input " + input).succeeded().out();
    assertEquals(one, generate("--sample --seed 1 --input " + input).succeeded().out());
    assertNotEquals(one, generate("--sample --seed 2 --input " + input).succeeded().out());
  }

  @Test
  void severalResultsAreCounted() throws IOException {
    List<JsonNode> lines =
        generate(
                "--num-beams 4 --num-return-sequences 3 --max-new-tokens 12",
                "--input",
                dialogues(2))
            .succeeded()
            .lines();
    assertEquals(6, lines.size());
    for (int i = 0; i < lines.size(); i++) {
      assertEquals(i % 3, lines.get(i).get("return").intValue());
      assertEquals("own_" + i / 3, lines.get(i).get("id").stringValue());
      if (i % 3 > 0) {
        float better = lines.get(i - 1).get("score").floatValue();
        assertTrue(lines.get(i).get("score").floatValue() <= better);
      }
    }
  }

  @Test
  void promptPrintsTheTextAlone() {
    String prompt =
        "Summarize the following conversation.\n\n"
            + lines(DIALOGUES).getFirst().get("dialogue").stringValue()
            + "\n\nSummary: ";
    String text = generate("--max-new-tokens 24 --prompt", prompt).succeeded().out();
    String streamed =
        generate("--max-new-tokens 24 --stream --raw --prompt", prompt).succeeded().out();
    String expected =
        generate("--max-new-tokens 24", "--input", DIALOGUES)
            .succeeded()
            .lines()
            .getFirst()
            .get("summary")
            .stringValue();
    assertEquals(expected + System.lineSeparator(), text);
    assertEquals(text, streamed);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", " --sample --seed 4"})
  void streamsWhatItWouldWrite(String options) throws IOException {
    Path input = dialogues(3);
    StringBuilder expected = new StringBuilder();
    for (JsonNode line :
        generate("--max-new-tokens 20" + options, "--input", input).succeeded().lines()) {
      expected.append(line.get("id").stringValue()).append(": ");
      expected.append(line.get("summary").stringValue()).append(System.lineSeparator());
    }
    assertEquals(
        expected.toString(),
        generate("--max-new-tokens 20 --stream" + options, "--input", input).succeeded().out());
  }

  @Test
  void templateFromTextOrFile() throws IOException {
    Path input = dialogues(2);
    String template = "Summarize the following conversation.\\n\\n{dialogue}\\n\\nSummary: ";
    Path file = Files.writeString(folder.resolve("t.txt"), template.replace("\\n", "\n"));
    String byDefault = generate("--max-new-tokens 10", "--input", input).succeeded().out();
    assertEquals(
        byDefault,
        generate("--max-new-tokens 10", "--input", input, "--template", template)
            .succeeded()
            .out());
    assertEquals(
        byDefault,
        generate("--max-new-tokens 10", "--input", input, "--template", file).succeeded().out());
    assertNotEquals(
        byDefault,
        generate("--max-new-tokens 10", "--input", input, "--template", "{dialogue} TL;DR")
            .succeeded()
            .out());
  }

  @Test
  void examplesAreOtherDialogues() throws IOException {
    Path input = dialogues(2);
    List<JsonNode> all = lines(DIALOGUES);
    // Dialogue 0 is the first example, but for itself it is dialogue 1.
    StringBuilder prompts = new StringBuilder();
    for (int[] pair : new int[][] {{1, 0}, {0, 1}}) {
      String prompt =
          filled(all.get(pair[0]))
              + all.get(pair[0]).get("summary").stringValue()
              + "\n\n"
              + filled(all.get(pair[1]));
      prompts.append(
          Json.mapper().writeValueAsString(Map.of("id", "own_" + pair[1], "prompt", prompt)));
      prompts.append('\n');
    }
    Path raw = Files.writeString(folder.resolve("raw.jsonl"), prompts.toString());
    assertEquals(
        generate("--max-new-tokens 10", "--input", raw).succeeded().out(),
        generate("--max-new-tokens 10 --shots 1", "--input", input, "--examples", DIALOGUES)
            .succeeded()
            .out());
  }

  private static String filled(JsonNode dialogue) {
    return "Summarize the following conversation.\n\n"
        + dialogue.get("dialogue").stringValue()
        + "\n\nSummary: ";
  }

  @Test
  void adapterIsWhatMergingItMakes() throws IOException {
    Path input = dialogues(3);
    Path merged = Files.createDirectory(folder.resolve("merged"));
    for (String file : List.of("config.json", "model.safetensors")) {
      Files.copy(FIXTURES.resolve("t5-tiny-merged").resolve(file), merged.resolve(file));
    }
    Files.copy(MODEL.resolve("tokenizer.json"), merged.resolve("tokenizer.json"));
    Path adapter = FIXTURES.resolve("t5-tiny-lora-after20");
    String options = "--max-new-tokens 24 --input " + input;
    List<JsonNode> adapted = generate(options, "--adapter", adapter).succeeded().lines();
    List<JsonNode> expected = generate(options, "--model", merged).succeeded().lines();
    for (int i = 0; i < expected.size(); i++) {
      assertArrayEquals(tokens(expected.get(i)), tokens(adapted.get(i)));
    }
    assertNotEquals(adapted, generate(options).succeeded().lines());
  }

  @Test
  void truncatesOnlyWhenAsked() throws IOException {
    Path input = dialogues(2);
    CommandLineRun refused = generate("--max-source-length 40", "--input", input);
    assertEquals(2, refused.exitCode());
    assertTrue(refused.err().contains("'own_0' has "), refused.err());
    assertTrue(refused.err().contains("--truncate"), refused.err());
    assertEquals(
        2,
        generate("--max-source-length 40 --truncate", "--input", input).succeeded().lines().size());
  }

  @ParameterizedTest
  @ValueSource(strings = {"", " --sample --seed 9", " --num-beams 2 --num-return-sequences 2"})
  void resumesToTheSameBytes(String options) throws IOException {
    Path input = dialogues(7);
    Path output = folder.resolve("out.jsonl");
    Path partial = folder.resolve("out.jsonl.partial");
    String command = "--max-new-tokens 16" + options + " --input " + input + " --output " + output;
    generate(command).succeeded();
    String whole = Files.readString(output);
    // Three lines and a half: with two results a dialogue, the second one of the second is missing.
    List<String> all = whole.lines().toList();
    String left = String.join("\n", all.subList(0, 3)) + "\n" + all.get(3).substring(0, 20);
    Files.delete(output);
    Files.writeString(partial, left);
    CommandLineRun resumed = generate(command + " --resume").succeeded();
    assertTrue(resumed.err().startsWith("Resuming after "), resumed.err());
    assertEquals(whole, Files.readString(output));
    assertFalse(Files.exists(partial));
  }

  @Test
  void resumeRefusesWhatIsNotItsOwn() throws IOException {
    Path output = folder.resolve("out.jsonl");
    Path partial = folder.resolve("out.jsonl.partial");
    String left = "{\"id\":\"another\",\"summary\":\"x\",\"tokens\":[1],\"score\":-1}\n";
    Files.writeString(partial, left);
    CommandLineRun result = generate("--resume", "--input", dialogues(2), "--output", output);
    assertEquals(2, result.exitCode());
    assertTrue(result.err().contains("out.jsonl.partial, line 1"), result.err());
    assertEquals(left, Files.readString(partial));
  }

  @Test
  void aFailureLeavesTheOldFile() throws IOException {
    Path output = Files.writeString(folder.resolve("out.jsonl"), "old\n");
    Path input = folder.resolve("two.jsonl");
    Files.writeString(
        input, "{\"dialogue\":\"short\"}\n{\"dialogue\":\"" + "long ".repeat(99) + "\"}");
    assertEquals(
        2, generate("--max-source-length 60", "--input", input, "--output", output).exitCode());
    assertEquals("old\n", Files.readString(output));
  }

  private static int[] tokens(JsonNode line) {
    int[] tokens = new int[line.get("tokens").size()];
    for (int i = 0; i < tokens.length; i++) {
      tokens[i] = line.get("tokens").get(i).intValue();
    }
    return tokens;
  }
}
