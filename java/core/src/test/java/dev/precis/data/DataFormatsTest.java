package dev.precis.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.io.InvalidInputException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Formats, compression and folders of data sets. */
final class DataFormatsTest {
  private static final Path RESOURCES = Fixtures.resource("dialogues");

  @TempDir private Path folder;
  private final Recording told = new Recording();

  private DataOptions options() {
    return told.options(BadRows.FAIL);
  }

  private static byte[] gzip(byte[] content) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (OutputStream out = new GZIPOutputStream(bytes)) {
      out.write(content);
    }
    return bytes.toByteArray();
  }

  private static String refusal(Path data, DataOptions options) {
    return assertThrows(InvalidInputException.class, () -> DialogueReader.read(data, options))
        .getMessage();
  }

  @ParameterizedTest
  @CsvSource({
    "d.jsonl, '{\"dialogue\": \"A\", \"summary\": \"S\"}'",
    "d.ndjson, '{\"dialogue\": \"A\", \"summary\": \"S\"}'",
    "d.json, '[{\"dialogue\": \"A\", \"summary\": \"S\"}]'",
    "d.csv, 'dialogue,summary\nA,S\n'",
    "d.tsv, 'dialogue\tsummary\nA\tS\n'",
    "d.csv, 'dialogue;summary\nA;S\n'",
    "d.csv, 'sep=;\nid;dialogue;summary\n1;A;S\n'",
    "d.csv, 'dialogue\tsummary\r\nA\tS\r\n'",
    "d.csv, '\"dialogue\";\"note, or so\";\"summary\"\nA;n;S\n'"
  })
  void textFormatsAlsoCompressedAndWithAMark(String name, String content) throws IOException {
    byte[] bytes = content.getBytes(StandardCharsets.UTF_8);
    byte[] marked = ("\uFEFF" + content).getBytes(StandardCharsets.UTF_8);
    Files.write(folder.resolve(name), bytes);
    Files.write(folder.resolve("m" + name), marked);
    Files.write(folder.resolve(name + ".gz"), gzip(bytes));
    Files.write(folder.resolve("m" + name + ".GZ"), gzip(marked));
    for (String each : List.of(name, "m" + name, name + ".gz", "m" + name + ".GZ")) {
      Dialogue read = DialogueReader.read(folder.resolve(each), options()).getFirst();
      assertEquals("A", read.dialogue());
      assertEquals(List.of("S"), read.summaries());
    }
  }

  @Test
  void semicolonsAreSaid() throws IOException {
    Path file = Files.writeString(folder.resolve("d.csv"), "id;dialogue\n1;\"A; B, C\"\n");
    assertEquals("A; B, C", DialogueReader.read(file, options()).getFirst().dialogue());
    assertEquals(List.of(file + ": the columns are separated by semicolons."), told.notes);
  }

  @Test
  void aCommaInTheHeaderOfOneColumnChangesNothing() throws IOException {
    Path file = Files.writeString(folder.resolve("d.csv"), "dialogue\n\"A, B; C\"\n");
    assertEquals("A, B; C", DialogueReader.read(file, options()).getFirst().dialogue());
    assertEquals(List.of(), told.notes);
  }

  @Test
  void aNumberThatIsNoneIsReadWhereNobodyAsksForIt() throws IOException {
    Path file =
        Files.writeString(
            folder.resolve("d.jsonl"), "{\"dialogue\": \"A\", \"score\": NaN, \"x\": -Infinity}");
    assertEquals(1, DialogueReader.read(file, options()).size());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"dialogue\": Nope}",
        "{\"dialogue\": 'A'}",
        "{\"dialogue\": \"A\\q\"}",
        "{\"dialogue\": \"A\tB\"}",
        "{\"dialogue\": 01}",
        "{\"dialogue\": +1}",
        "{\"dialogue\": \"A\"]",
        "{\"dialogue\" \"A\"}",
        "{\"a\": 1, \"a\": 2}",
        "{\"dialogue\": \"A\"",
        "{\"dialogue\": 1.e}",
        "{\"dialogue\": \"A\",}",
        "/* no */ {}"
      })
  void messagesSpeakNoLibrarysWords(String line) throws IOException {
    for (String name : List.of("d.jsonl", "d.json")) {
      Path file =
          Files.writeString(folder.resolve(name), name.equals("d.json") ? "[" + line + "]" : line);
      String said = refusal(file, options());
      assertTrue(said.contains("is not valid JSON: "), said);
      assertFalse(
          said.matches("(?s).*(Feature|Parser|was expecting|code \\d|Unexpected|CTRL|token).*"),
          said);
    }
    Path csv = Files.writeString(folder.resolve("d.csv"), "dialogue\n\"A\n");
    assertEquals(
        csv + " is not valid CSV: a quoted text is not closed, in the row of line 2",
        refusal(csv, options()));
  }

  @Test
  void aCompressedFileThatIsDamagedOrABombIsRefused() throws IOException {
    byte[] whole = gzip("{\"dialogue\": \"A: Hi there.\"}\n".repeat(500).getBytes());
    Path cut = Files.write(folder.resolve("c.jsonl.gz"), Arrays.copyOf(whole, whole.length - 9));
    assertTrue(refusal(cut, options()).contains("damaged or cut off"), refusal(cut, options()));
    Path plain = Files.writeString(folder.resolve("p.jsonl.gz"), "{\"dialogue\": \"A\"}");
    assertTrue(refusal(plain, options()).contains("is not a gzip file"));
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (OutputStream out = new GZIPOutputStream(bytes)) {
      byte[] line = (" ".repeat((1 << 20) - 1) + "\n").getBytes(StandardCharsets.UTF_8);
      for (int i = 0; i < 200; i++) {
        out.write(line);
      }
    }
    Path bomb = Files.write(folder.resolve("b.jsonl.gz"), bytes.toByteArray());
    assertTrue(
        refusal(bomb, options()).contains("decompresses to more than 200 times its size"),
        refusal(bomb, options()));
  }

  @Test
  void foldersOfSaveToDisk() {
    Path saved = RESOURCES.resolve("saved");
    assertEquals(
        List.of("train-0", "train-1", "train-2"),
        DialogueReader.read(saved, options()).stream().map(Dialogue::id).toList());
    assertEquals(List.of(saved + ": the split 'train' is read; the others are test."), told.notes);
    DataOptions test = options().withSplit("test", List.of());
    assertEquals(2, DialogueReader.read(saved, test).size());
    assertEquals(3, DialogueReader.read(saved.resolve("train"), options()).size());
    String said = refusal(saved, options().withSplit("dev", List.of()));
    assertTrue(said.contains("has no split 'dev'; it has: test, train"), said);
    said = refusal(saved, options().withSplit(null, List.of("validation")));
    assertTrue(said.contains("has several splits: test, train; name one with --split"), said);
  }

  @Test
  void shardsOfASplitAreOneDataSet() throws IOException {
    Path data = Files.createDirectory(folder.resolve("data"));
    for (String name :
        List.of("train-00001-of-00002", "train-00000-of-00002", "test-00000-of-00001")) {
      Files.writeString(
          data.resolve(name + ".jsonl"), "{\"dialogue\": \"" + name + "\"}\n".repeat(1));
    }
    Files.writeString(folder.resolve("README.md"), "x");
    Files.writeString(folder.resolve("dataset_infos.json"), "{}");
    List<Dialogue> read = DialogueReader.read(folder, options());
    assertEquals(
        List.of("train-00000-of-00002", "train-00001-of-00002"),
        read.stream().map(Dialogue::dialogue).toList());
    assertEquals(List.of("1", "2"), read.stream().map(Dialogue::id).toList());
    DataFiles files = DataFiles.of(folder, options().withSplit("test", List.of()));
    assertEquals("test", files.split());
    assertEquals(1, files.files().size());
  }

  /** A text beside tables is a description; texts by themselves are the data. */
  @Test
  void textsOfAFolder() throws IOException {
    Path texts = Files.createDirectory(folder.resolve("texts"));
    Files.writeString(texts.resolve("b second.txt"), "B: Ho.\nA: Ho, ho.\n");
    Files.writeString(texts.resolve("a.first.txt"), "A: Hi.\n");
    List<Dialogue> read = DialogueReader.read(texts, options());
    assertEquals(
        List.of("A: Hi.", "B: Ho.\nA: Ho, ho."), read.stream().map(Dialogue::dialogue).toList());
    assertEquals(List.of("a.first", "b second"), read.stream().map(Dialogue::id).toList());
    List<TextRow> lines = TextReader.read(texts, null, options());
    assertEquals(
        List.of("A: Hi.", "B: Ho.", "A: Ho, ho."), lines.stream().map(TextRow::text).toList());
    assertEquals(List.of("1", "2", "3"), lines.stream().map(TextRow::id).toList());
    assertEquals(texts.resolve("b second.txt") + ", line 2", lines.getLast().where());
    assertEquals(3, SummaryReader.read(texts, options()).size());
    Files.writeString(texts.resolve("data.jsonl"), "{\"dialogue\": \"A\"}");
    assertEquals("A", DialogueReader.read(texts, options()).getFirst().dialogue());
  }

  @Test
  void foldersThatAreNotClearAreRefused() throws IOException {
    assertTrue(refusal(folder, options()).contains("is a folder without data files"));
    Files.writeString(folder.resolve("train.csv"), "dialogue\nA\n");
    Files.writeString(folder.resolve("train.jsonl"), "{\"dialogue\": \"A\"}");
    assertTrue(refusal(folder, options()).contains("several formats for the split 'train'"));
    Path evil = Files.createDirectory(folder.resolve("evil"));
    Files.writeString(
        evil.resolve("state.json"), "{\"_data_files\": [{\"filename\": \"../train.csv\"}]}");
    assertTrue(refusal(evil, options()).contains("which is not a plain file name"));
    Files.writeString(
        evil.resolve("state.json"), "{\"_data_files\": [{\"filename\": \"gone.arrow\"}]}");
    assertTrue(refusal(evil, options()).contains("\"gone.arrow\", which does not exist"));
    Files.writeString(evil.resolve("dataset_dict.json"), "{\"splits\": [\"..\"]}");
    assertTrue(refusal(evil, options()).contains("which is not a plain file name"));
    Path file = folder.resolve("train.csv");
    assertTrue(
        refusal(file, options().withSplit("train", List.of())).contains("which has no splits"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"stream.arrow", "file.arrow"})
  void arrowStreamsAndFiles(String name) throws IOException {
    Path file = RESOURCES.resolve(name);
    List<Dialogue> read = DialogueReader.read(file, options());
    assertEquals(
        List.of(
            new Dialogue(
                "7", "A: Tea?\nB: Yes, please.", List.of("B wants tea.", "Tea."), "tea", false),
            new Dialogue("8", "A: Grüße! \uD83D\uDE00", List.of(), null, false),
            new Dialogue("3", "A: Bye.", List.of(), "tea", false)),
        read);
    try (RowSource source =
        DataSource.open(file, new ColumnNames(Columns.WELL_KNOWN, told), false)) {
      Map<String, Object> first = source.next().fields();
      Map<String, Object> second = source.next().fields();
      Map<String, Object> third = source.next().fields();
      assertEquals("short", first.get("view"));
      assertEquals("a text of more than twelve bytes", second.get("view"));
      assertEquals("z", third.get("large"));
      assertEquals(-2.0, third.get("score"));
      assertEquals(0.5, first.get("half"));
      assertEquals(false, second.get("good"));
      assertEquals(-1L, first.get("small"));
      assertEquals(4294967295L, third.get("unsigned"));
      assertEquals(List.of(5L, 6L), third.get("pair"));
      assertEquals(null, second.get("pair"));
      assertEquals(null, first.get("nothing"));
      assertEquals(
          List.of(
              Map.of("role", "user", "content", "Who waters the plants?"),
              Map.of("role", "assistant", "content", "Paul does, after lunch.")),
          first.get("messages"));
      assertEquals(null, source.next());
    }
  }

  @Test
  void arrowWithLz4IsRefusedByName() {
    String said = refusal(RESOURCES.resolve("lz4.feather"), options());
    assertTrue(said.contains("is compressed with LZ4, which is not supported"), said);
  }
}
