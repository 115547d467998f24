package dev.precis.data.parquet;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.github.luben.zstd.ZstdOutputStream;
import dev.precis.data.DataOptions;
import dev.precis.data.Dialogue;
import dev.precis.data.DialogueReader;
import dev.precis.io.InvalidInputException;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Parquet and Zstandard, found by the readers of the core. */
final class ParquetFormatTest {
  private static final Path RESOURCES = Path.of("src/test/resources/dialogues");

  @TempDir private Path folder;

  private static String refusal(Path file) {
    String sentence =
        assertThrows(InvalidInputException.class, () -> DialogueReader.read(file)).getMessage();
    assertEquals(1, sentence.lines().count(), sentence);
    return sentence;
  }

  private static Dialogue dialogue(String id, String text, String... summaries) {
    return new Dialogue(id, text, List.of(summaries), null, false);
  }

  private static byte[] zstd(byte[] content) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (OutputStream out = new ZstdOutputStream(bytes)) {
      out.write(content);
    }
    return bytes.toByteArray();
  }

  @ParameterizedTest
  @ValueSource(strings = {"uncompressed", "snappy", "gzip", "zstd"})
  void readsParquet(String compression) {
    assertEquals(
        List.of(
            new Dialogue(
                "own_1",
                "#Person1#: Is the café on Mill Road open?\n"
                    + "#Person2#: Until six, I think.\n#Person1#: Then I'll hurry.",
                List.of("#Person1# hurries to the café on Mill Road, which is open until six."),
                "opening hours",
                false),
            dialogue(
                "own_2",
                "#Person1#: The kettle is broken again.\n#Person2#: Take mine, I have two.",
                "#Person2# lends #Person1# a kettle."),
            new Dialogue(
                "own_3",
                "#Person1#: Did you book the train?\n"
                    + "#Person2#: Yes, 7:45, platform 2. \uD83D\uDE00",
                List.of(),
                "travel",
                false)),
        DialogueReader.read(RESOURCES.resolve(compression + ".parquet")));
  }

  @Test
  void readsNumbersListsAndMessages() {
    List<Dialogue> dialogues = DialogueReader.read(RESOURCES.resolve("references.parquet"));
    assertEquals(List.of("7", "8"), dialogues.stream().map(Dialogue::id).toList());
    assertEquals(List.of("First.", "Second."), dialogues.get(0).summaries());
    assertEquals(List.of("Only."), dialogues.get(1).summaries());
    Dialogue talk = DialogueReader.read(RESOURCES.resolve("messages.parquet")).getFirst();
    assertEquals("Who waters the plants?", talk.dialogue());
    assertEquals(List.of("Paul does, after lunch."), talk.summaries());
    assertTrue(talk.raw());
  }

  @Test
  void readsZstandard() throws IOException {
    Path file = folder.resolve("d.jsonl.zst");
    byte[] line = "{\"dialogue\": \"A: Hi.\"}\n".repeat(100).getBytes(StandardCharsets.UTF_8);
    byte[] whole = zstd(line);
    Files.write(file, whole);
    assertEquals(100, DialogueReader.read(file).size());
    Files.write(file, Arrays.copyOf(whole, whole.length - 5));
    assertTrue(refusal(file).contains("damaged or cut off"), refusal(file));
    Files.writeString(file, "no zstd");
    assertTrue(refusal(file).contains("cannot be decompressed"), refusal(file));
    Files.write(file, zstd(new byte[100_000_000]));
    assertTrue(refusal(file).contains("more than 200 times its size"), refusal(file));
    assertEquals(
        "A: Bye.", DialogueReader.read(RESOURCES.resolve("zstd.arrow")).getLast().dialogue());
  }

  @Test
  void aFolderOfShardsIsOneDataSet() throws IOException {
    Path data = Files.createDirectory(folder.resolve("data"));
    for (String name : List.of("train-00000-of-00002", "train-00001-of-00002")) {
      Files.copy(RESOURCES.resolve("snappy.parquet"), data.resolve(name + ".parquet"));
    }
    assertEquals(6, DialogueReader.read(folder).size());
  }

  @Test
  void refusalsSpeakNoLibrarysWords() throws IOException {
    assertTrue(
        refusal(RESOURCES.resolve("lz4.parquet"))
            .endsWith(
                "is compressed with LZ4, which is not supported; write it with Snappy, gzip or"
                    + " Zstandard"));
    for (String content : List.of("PAR1 no PAR1", "", "x")) {
      String said = refusal(Files.writeString(folder.resolve("d.parquet"), content));
      assertTrue(said.contains("cannot be read as Parquet: it is damaged"), said);
    }
    assertTrue(refusal(folder.resolve("no.parquet")).endsWith("does not exist"));
  }

  @Test
  @Tag("fuzz")
  void damagedFilesAreRefusedOrRead() throws IOException {
    long seed = Long.getLong("precis.fuzz.seed", System.nanoTime());
    int inputs = Integer.getInteger("precis.fuzz.inputs", 500);
    System.out.println("fuzz seed " + seed + ", " + inputs + " inputs");
    Random random = new Random(seed);
    List<Path> files;
    try (Stream<Path> found = Files.list(RESOURCES)) {
      files = found.filter(file -> !file.toString().contains("lz4")).sorted().toList();
    }
    byte[] compressed = zstd("{\"dialogue\": \"A: Hi.\"}\n".repeat(9).getBytes());
    int refused = 0;
    for (int i = 0; i < inputs; i++) {
      Path whole = files.get(i % files.size());
      boolean zstd = i % 10 == 9;
      byte[] damaged = zstd ? compressed.clone() : Files.readAllBytes(whole);
      if (i % 3 == 0) {
        damaged = Arrays.copyOf(damaged, random.nextInt(damaged.length));
      } else {
        for (int j = 0; j < 4; j++) {
          damaged[random.nextInt(damaged.length)] = (byte) random.nextInt();
        }
      }
      // A new name each time: the file before may still be mapped.
      Path file = folder.resolve(i + (zstd ? ".jsonl.zst" : "-" + whole.getFileName()));
      Files.write(file, damaged);
      int input = i;
      boolean read =
          assertTimeoutPreemptively(
              Duration.ofSeconds(30),
              () -> {
                try {
                  DialogueReader.read(file, DataOptions.STRICT);
                  return true;
                } catch (InvalidInputException e) {
                  assertFalse(e.getMessage().isBlank());
                  return false;
                }
              },
              () -> "input " + input + " of seed " + seed + " hangs");
      refused += read ? 0 : 1;
      Files.delete(file);
    }
    assertTrue(refused >= inputs / 3, "refused: " + refused);
  }
}
