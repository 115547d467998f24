package dev.precis.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.io.InvalidInputException;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class DialogueReaderTest {
  private static final byte[] MARK = {(byte) 0xEF, (byte) 0xBB, (byte) 0xBF};

  @TempDir Path folder;

  private Path write(String name, String content) throws IOException {
    return Files.writeString(folder.resolve(name), content);
  }

  private static Dialogue dialogue(String id, String text, String... summaries) {
    return new Dialogue(id, text, List.of(summaries), null, false);
  }

  private static String refusal(Path file) {
    String sentence =
        assertThrows(InvalidInputException.class, () -> DialogueReader.read(file)).getMessage();
    assertEquals(1, sentence.lines().count(), sentence);
    return sentence;
  }

  @Test
  void readsTheFixtures() {
    List<Dialogue> dialogues = DialogueReader.read(Fixtures.resource("fixtures/dialogues.jsonl"));
    assertEquals(64, dialogues.size());
    assertEquals("own_0", dialogues.get(0).id());
    assertTrue(dialogues.get(0).dialogue().startsWith("#Person1#: Good morning, I'm Priya."));
    assertTrue(dialogues.get(63).summaries().get(0).endsWith("insults #Person2#."));
    assertEquals(1, dialogues.get(63).summaries().size());
    assertNull(dialogues.get(0).topic());
  }

  @Test
  void readsTheFieldsOfAllSpellings() throws IOException {
    Path file =
        write(
            "d.jsonl",
            """
            {"id": "a", "dialogue": "A: Hi.", "summary": "Greeting.", "topic": "t", "x": {"y": [1]}}
            {"fname": "f", "dialogue": "A: Hi.", "summary1": "1", "summary2": "2", "summary3": "3", "topic1": "t1"}

            {"dialogue": "A: Hi.", "summary": ["1", "2", ""], "id": null}
            {"id": 7, "dialogue": "A: Hi.", "summary": "", "topic": null}
            {"id": "a", "text": "translate: Hi."}
            {"prompt": "Q: Hi? A:"}
            """);
    assertEquals(
        List.of(
            new Dialogue("a", "A: Hi.", List.of("Greeting."), "t", false),
            new Dialogue("f", "A: Hi.", List.of("1", "2", "3"), "t1", false),
            dialogue("4", "A: Hi.", "1", "2"),
            dialogue("7", "A: Hi."),
            new Dialogue("a", "translate: Hi.", List.of(), null, true),
            new Dialogue("7", "Q: Hi? A:", List.of(), null, true)),
        DialogueReader.read(file));
  }

  @Test
  void readsAListOfObjects() throws IOException {
    Path file =
        write(
            "d.json",
            """
            [{"id": "13818513", "summary": "Amanda bakes.", "dialogue": "Amanda: Hi!\\r\\nJerry: Oh"},
             {"dialogue": "A: Hm."}]
            """);
    assertEquals(
        List.of(
            dialogue("13818513", "Amanda: Hi!\nJerry: Oh", "Amanda bakes."),
            dialogue("2", "A: Hm.")),
        DialogueReader.read(file));
    // An iterator over a mapped stream asks a spliterator that has ended once more.
    try (Stream<Dialogue> dialogues = DialogueReader.stream(file)) {
      Iterator<String> ids = dialogues.map(Dialogue::id).iterator();
      assertEquals("13818513", ids.next());
      assertEquals("2", ids.next());
      assertFalse(ids.hasNext());
      assertFalse(ids.hasNext());
    }
  }

  @Test
  void readsCsv() throws IOException {
    Path file =
        write(
            "d.csv",
            "id, dialogue,summary,topic\r\n"
                + "train_0,\"A: \"\"Hi\"\", you.\r\nB: Hm, ok.\",A greets.,greeting\r\n"
                + "\r\n"
                + "train_1,A: Bye.,,\r\n");
    assertEquals(
        List.of(
            new Dialogue(
                "train_0", "A: \"Hi\", you.\nB: Hm, ok.", List.of("A greets."), "greeting", false),
            dialogue("train_1", "A: Bye.")),
        DialogueReader.read(file));
    Path numbered = write("n.csv", "dialogue\n\"A\nB\"\nC\n");
    assertEquals(List.of(dialogue("2", "A\nB"), dialogue("4", "C")), DialogueReader.read(numbered));
  }

  @Test
  void readsATextAsOneDialogue() throws IOException {
    Path file = write("d.txt", "A: Hi.\r\n\r\nB: Hm.\r\n");
    assertEquals(List.of(dialogue("1", "A: Hi.\n\nB: Hm.")), DialogueReader.read(file));
  }

  @Test
  void readsStandardInput() {
    InputStream before = System.in;
    try {
      System.setIn(
          new ByteArrayInputStream("{\"dialogue\": \"é\"}".getBytes(StandardCharsets.UTF_8)));
      assertEquals(List.of(dialogue("1", "é")), DialogueReader.read(Path.of("-")));
      System.setIn(new ByteArrayInputStream("{\"dialogue\": 1}".getBytes(StandardCharsets.UTF_8)));
      assertTrue(refusal(Path.of("-")).startsWith("standard input, line 1"));
    } finally {
      System.setIn(before);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"d.jsonl", "d.csv", "d.txt", "d.json", "D.JSONL"})
  void aByteOrderMarkIsNoText(String name) throws IOException {
    String content =
        switch (name) {
          case "d.csv" -> "dialogue\nA: Hi.";
          case "d.txt" -> "A: Hi.";
          case "d.json" -> "[{\"dialogue\": \"A: Hi.\"}]";
          default -> "{\"dialogue\": \"A: Hi.\"}";
        };
    byte[] bytes = content.getBytes(StandardCharsets.UTF_8);
    byte[] marked = Arrays.copyOf(MARK, MARK.length + bytes.length);
    System.arraycopy(bytes, 0, marked, MARK.length, bytes.length);
    Path file = Files.write(folder.resolve(name), marked);
    assertEquals("A: Hi.", DialogueReader.read(file).get(0).dialogue());
  }

  @Test
  void streamsBeforeTheEndIsReached() throws IOException {
    Path file = write("d.jsonl", "{\"dialogue\": \"A\"}\n" + " ".repeat(200_000) + "\n{");
    try (Stream<Dialogue> dialogues = DialogueReader.stream(file)) {
      Iterator<Dialogue> iterator = dialogues.iterator();
      assertEquals("A", iterator.next().dialogue());
      assertThrows(InvalidInputException.class, iterator::hasNext);
    }
    Files.delete(file); // closed
  }

  @Test
  void linesAreOfAnyLengthUpToALimit() throws IOException {
    Random random = new Random(19);
    StringBuilder content = new StringBuilder();
    StringBuilder expected = new StringBuilder();
    for (int i = 0; i < 50; i++) {
      String text = "é".repeat(1 + random.nextInt(20_000));
      content.append("{\"dialogue\": \"").append(text).append("\"}");
      content.append(random.nextBoolean() ? "\n" : "\r\n");
      expected.append(text).append('\n');
    }
    StringBuilder read = new StringBuilder();
    DialogueReader.read(write("d.jsonl", content.toString()))
        .forEach(d -> read.append(d.dialogue()).append('\n'));
    assertEquals(expected.toString(), read.toString());
    Path endless = write("e.jsonl", "x".repeat(LineReader.MAX_CHARACTERS + 1));
    assertTrue(refusal(endless).contains("e.jsonl, line 1 is longer than"), refusal(endless));
  }

  static Stream<Arguments> wrong() {
    String long_ = "x".repeat(DialogueReader.MAX_CHARACTERS + 1);
    return Stream.of(
        Arguments.of("d.jsonl", "", "d.jsonl holds no dialogue"),
        Arguments.of("d.jsonl", "\n \r\n", "d.jsonl holds no dialogue"),
        Arguments.of("d.json", "", "d.json holds no dialogue"),
        Arguments.of("d.json", "[]", "d.json holds no dialogue"),
        Arguments.of("d.csv", "", "d.csv holds no dialogue"),
        Arguments.of("d.csv", "id,dialogue\n", "d.csv holds no dialogue"),
        Arguments.of("d.txt", " \n", "d.txt: \"dialogue\" is empty"),
        Arguments.of("d.xml", "<a/>", "must end in .jsonl, .ndjson, .json, .csv or .tsv (each"),
        Arguments.of("dialogues", "x", "must end in"),
        Arguments.of(
            "d.jsonl",
            "{\"dialogue\": \"A\"}\n{\"dialogue\"",
            "line 2, column 12, is not valid JSON"),
        Arguments.of("d.jsonl", "{\"dialogue\": \"A\"}\n[1]", "line 2 is no JSON object"),
        Arguments.of("d.jsonl", "\"A\"", "line 1 is no JSON object"),
        Arguments.of("d.jsonl", "{\"dialogue\": \"A\"} {}", "line 1 holds more than one"),
        Arguments.of(
            "d.jsonl",
            "{\"dialogue\": \"A\", \"dialogue\": \"B\"}",
            "line 1, column 29, is not valid"),
        Arguments.of("d.jsonl", "{\"a\": ".repeat(1000), "line 1, is not valid JSON"),
        Arguments.of("d.jsonl", "{\"id\": 1, \"summary\": \"s\"}", "its fields are: id, summary"),
        Arguments.of("d.jsonl", "{}", "its fields are: none"),
        Arguments.of("d.jsonl", "{\"dialogue\": null}", "line 1: \"dialogue\" is empty"),
        Arguments.of("d.jsonl", "{\"dialogue\": \" \"}", "line 1: \"dialogue\" is empty"),
        Arguments.of("d.jsonl", "{\"dialogue\": [\"A\"]}", "\"dialogue\" must be a text"),
        Arguments.of("d.jsonl", "{\"dialogue\": \"A\", \"id\": {}}", "\"id\" must be a text"),
        Arguments.of("d.jsonl", "{\"dialogue\": \"A\", \"id\": 1.5}", "\"id\" must be a text"),
        Arguments.of("d.jsonl", "{\"dialogue\": \"A\", \"summary\": 1.5}", "\"summary\" must be"),
        Arguments.of("d.jsonl", "{\"dialogue\": \"A\", \"summary\": [1]}", "must hold texts only"),
        Arguments.of("d.jsonl", "{\"dialogue\": \"A\", \"topic\": true}", "\"topic\" must be"),
        Arguments.of("d.jsonl", "{\"dialogue\": \"\\ud83d\"}", "unpaired surrogate"),
        Arguments.of(
            "d.jsonl", "{\"dialogue\": \"A\", \"id\": \"\\ude00\"}", "\"id\" has an unpaired"),
        Arguments.of("d.txt", " ".repeat(8_000_001), "has more than the 2000000 characters"),
        Arguments.of(
            "d.jsonl", "{\"dialogue\": \"" + long_ + "\"}", "line 1: \"dialogue\" has 2000001"),
        Arguments.of("d.txt", long_, "has 2000001 characters"),
        Arguments.of("d.json", "{\"dialogue\": \"A\"}", "must hold a list of objects"),
        Arguments.of("d.json", "[{\"dialogue\": \"A\"},\n 5]", "d.json, line 2 is no JSON object"),
        Arguments.of("d.json", "[{\"dialogue\": \"A\"},\n {", "d.json, line 2"),
        Arguments.of("d.json", "[{\"dialogue\": \"A\"}] x", "d.json"),
        Arguments.of("d.json", "[{\"dialogue\": \"A\"}] []", "something after its list"),
        Arguments.of("d.csv", "id,summary\n1,x\n", "its fields are: id, summary"),
        Arguments.of(
            "d.csv", "id,dialogue\n1,A, b\n", "line 2 has 3 fields where the header has 2"),
        Arguments.of("d.csv", "id,dialogue\n1\n", "line 2 has 1 fields where"),
        Arguments.of("d.csv", "id,dialogue\n1,\n", "line 2: \"dialogue\" is empty"),
        Arguments.of("d.csv", "dialogue,dialogue\nA,B\n", "names a column twice"),
        Arguments.of("d.csv", "id,dialogue\n1,\"A\nB", "d.csv is not valid CSV"),
        Arguments.of("d.csv", "id,dialogue\n1,\"A\" B\n", "d.csv is not valid CSV"),
        Arguments.of("d.parquet", "x", "add the dependency dev.precis:precis-data-parquet"),
        Arguments.of("d.jsonl.zst", "x", "add the dependency dev.precis:precis-data-parquet"),
        Arguments.of("d.jsonl.gz", "x", "is not a gzip file"),
        Arguments.of("d.arrow", "x", "cannot be read as Arrow"),
        Arguments.of("d.arrow", "", "cannot be read as Arrow"));
  }

  @ParameterizedTest
  @MethodSource("wrong")
  void saysWhatIsWrongAndWhere(String name, String content, String reason) throws IOException {
    Path file = write(name, content);
    String sentence = refusal(file);
    assertTrue(sentence.contains(reason), sentence);
    assertTrue(sentence.startsWith(file.toString()), sentence);
    assertTrue(sentence.length() < 400, sentence);
  }

  @Test
  void saysThatAFileIsMissing() {
    for (String name :
        List.of("a.jsonl", "a.csv", "a.txt", "a.json", "a.parquet", "a.arrow", "a.csv.gz")) {
      assertTrue(refusal(folder.resolve(name)).endsWith("does not exist"));
    }
    assertTrue(refusal(folder).contains("is a folder without data files"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"d.jsonl", "d.csv", "d.txt", "d.json"})
  void namesTheLineAndByteThatIsNotUtf8(String name) throws IOException {
    String head =
        switch (name) {
          case "d.json" -> "[\n{\"dialogue\": \"";
          case "d.jsonl" -> "{\"dialogue\": \"x\"}\n{\"dialogue\": \"";
          default -> "dialogue\né";
        };
    byte[] bytes = (head + "#").getBytes(StandardCharsets.UTF_8);
    bytes[bytes.length - 1] = (byte) 0xE9; // Latin-1's é
    bytes = Arrays.copyOf(bytes, bytes.length + 1);
    bytes[bytes.length - 1] = 'x';
    Path file = Files.write(folder.resolve(name), bytes);
    String sentence = refusal(file);
    assertTrue(sentence.contains(name + ", line 2 is not UTF-8: byte "), sentence);
    assertTrue(sentence.contains("0x78"), sentence);
  }

  @Test
  void namesUtf16AndCutOffCharacters() throws IOException {
    Path file = folder.resolve("d.csv");
    Files.write(file, "\uFEFFdialogue\nA".getBytes(StandardCharsets.UTF_16LE));
    assertTrue(refusal(file).contains("UTF-16"), refusal(file));
    Files.write(file, new byte[] {'d', '\n', (byte) 0xE2, (byte) 0x82});
    assertTrue(refusal(file).contains("line 2 ends in the middle"), refusal(file));
  }

  /** The check agrees with Java's own decoder on any bytes, in pieces of any size. */
  @Test
  void utf8IsWhatJavaSaysItIs() throws IOException {
    Random random = new Random(20);
    int valid = 0;
    for (int i = 0; i < 20_000; i++) {
      byte[] bytes = new byte[random.nextInt(6)];
      for (int j = 0; j < bytes.length; j++) {
        int[] interesting = {
          0x41, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC1, 0xC2, 0xE0, 0xED, 0xEF, 0xF0, 0xF4, 0xF5
        };
        bytes[j] =
            (byte)
                (random.nextBoolean()
                    ? interesting[random.nextInt(interesting.length)]
                    : random.nextInt(256));
      }
      boolean expected = true;
      try {
        StandardCharsets.UTF_8.newDecoder().decode(java.nio.ByteBuffer.wrap(bytes));
      } catch (java.nio.charset.CharacterCodingException e) {
        expected = false;
      }
      boolean actual = true;
      try (InputStream in = new Utf8Stream(new ByteArrayInputStream(bytes), "bytes")) {
        byte[] buffer = new byte[1 + random.nextInt(3)];
        while (in.read(buffer) >= 0) {
          // only checked
        }
      } catch (InvalidInputException e) {
        actual = false;
      }
      assertEquals(expected, actual, () -> Arrays.toString(bytes));
      valid += expected ? 1 : 0;
    }
    assertTrue(valid > 1000, "valid: " + valid);
  }

  @Test
  void theOrderAndTheIdsAreTheFiles() throws IOException {
    Path file =
        write(
            "d.jsonl",
            "{\"id\":\"b\",\"dialogue\":\"1\"}\n{\"id\":\"a\",\"dialogue\":\"2\"}\n"
                + "{\"id\":\"b\",\"dialogue\":\"3\"}\n");
    assertEquals(
        List.of("b", "a", "b"), DialogueReader.read(file).stream().map(Dialogue::id).toList());
    assertFalse(DialogueReader.read(file).get(0).raw());
  }
}
