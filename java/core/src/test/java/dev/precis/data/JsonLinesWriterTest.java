package dev.precis.data;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.precis.io.InvalidInputException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class JsonLinesWriterTest {
  @TempDir Path folder;
  private Path file;
  private Path partial;

  private record Result(String id, String summary, int[] tokens, double score) {}

  @BeforeEach
  void name() {
    file = folder.resolve("out.jsonl");
    partial = folder.resolve("out.jsonl.partial");
  }

  private List<String> names() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(path -> path.getFileName().toString()).sorted().toList();
    }
  }

  @Test
  void writesOneObjectALine() throws IOException {
    try (JsonLinesWriter out = JsonLinesWriter.to(file)) {
      out.write(new Result("1", "Zürich\n\"café\" \uD83D\uDE00", new int[] {3, 1}, -0.5));
      out.write(Map.of("id", 2));
      out.commit();
    }
    assertEquals(
        """
        {"id":"1","summary":"Zürich\\n\\"café\\" \uD83D\uDE00","tokens":[3,1],"score":-0.5}
        {"id":2}
        """,
        Files.readString(file));
    assertEquals(List.of("out.jsonl"), names());
  }

  @Test
  void eachLineIsInThePartialFileAtOnce() throws IOException {
    try (JsonLinesWriter out = JsonLinesWriter.to(file)) {
      out.write(1);
      assertEquals("1\n", Files.readString(partial));
      out.write(2);
      assertEquals("1\n2\n", Files.readString(partial));
      assertFalse(Files.exists(file));
      out.commit();
    }
    assertEquals("1\n2\n", Files.readString(file));
  }

  @Test
  void withoutACommitTheOldFileStays() throws IOException {
    Files.writeString(file, "old\n");
    assertThrows(
        ArithmeticException.class,
        () -> {
          try (JsonLinesWriter out = JsonLinesWriter.to(file)) {
            out.write(1);
            throw new ArithmeticException("the run fails");
          }
        });
    assertEquals("old\n", Files.readString(file));
    assertEquals("1\n", Files.readString(partial));
    try (JsonLinesWriter out = JsonLinesWriter.to(file)) {
      out.write(2);
      out.commit();
    }
    assertEquals("2\n", Files.readString(file));
    assertEquals(List.of("out.jsonl"), names());
  }

  @Test
  void aRunThatWritesNothingLeavesNothing() throws IOException {
    JsonLinesWriter.to(file).close();
    assertEquals(List.of(), names());
  }

  @Test
  void twoRunsDoNotWriteTheSameFile() {
    try (JsonLinesWriter out = JsonLinesWriter.to(file)) {
      out.write(1);
      String sentence =
          assertThrows(InvalidInputException.class, () -> JsonLinesWriter.to(file)).getMessage();
      assertTrue(sentence.contains("another run"), sentence);
      out.commit();
    }
  }

  @Test
  void aLinkStaysALink() throws IOException {
    Path target = Files.writeString(folder.resolve("target.jsonl"), "old\n");
    Files.createSymbolicLink(file, target);
    try (JsonLinesWriter out = JsonLinesWriter.to(file)) {
      out.write(1);
      out.commit();
    }
    assertTrue(Files.isSymbolicLink(file));
    assertEquals("1\n", Files.readString(target));
  }

  @Test
  void aFullDiskIsOneSentence() {
    Path full = Path.of("/dev/full");
    assumeTrue(Files.exists(full));
    try (JsonLinesWriter out = JsonLinesWriter.to(full)) {
      String sentence = assertThrows(UncheckedIOException.class, () -> out.write(1)).getMessage();
      assertEquals("Cannot write /dev/full: No space left on device", sentence);
    }
  }

  @Test
  void aDeviceIsWrittenToAndNotReplaced() {
    Path nothing = Path.of("/dev/null");
    assumeTrue(Files.exists(nothing));
    try (JsonLinesWriter out = JsonLinesWriter.to(nothing)) {
      out.write(1);
      out.commit();
    }
    assertFalse(Files.isRegularFile(nothing));
  }

  @Test
  void saysWhereItCannotWrite() throws IOException {
    assertTrue(refusal(folder).contains("is a folder"));
    assertTrue(refusal(folder.resolve("absent/out.jsonl")).contains("does not exist"));
    Path plain = Files.writeString(folder.resolve("plain"), "");
    assertTrue(refusal(plain.resolve("out.jsonl")).startsWith("Cannot write"));
  }

  private static String refusal(Path path) {
    return assertThrows(InvalidInputException.class, () -> JsonLinesWriter.to(path)).getMessage();
  }
}
