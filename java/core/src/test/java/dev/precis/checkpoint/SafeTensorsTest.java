package dev.precis.checkpoint;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.io.InvalidInputException;
import dev.precis.tensor.DType;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class SafeTensorsTest {
  private static final String ONE = "{'a':{'dtype':'F32','shape':[2],'data_offsets':[0,8]}}";

  @TempDir Path folder;

  private Path file(String header, int dataBytes) throws IOException {
    byte[] json = header.replace('\'', '"').getBytes(StandardCharsets.UTF_8);
    return file(json.length, json, dataBytes);
  }

  private Path file(long length, byte[] json, int dataBytes) throws IOException {
    ByteBuffer bytes =
        ByteBuffer.allocate(8 + json.length + dataBytes).order(ByteOrder.LITTLE_ENDIAN);
    bytes.putLong(length).put(json);
    for (int i = 0; bytes.hasRemaining(); i++) {
      bytes.put((byte) i);
    }
    return Files.write(folder.resolve("x.safetensors"), bytes.array());
  }

  private static String refusal(Path file) {
    String message =
        assertThrows(InvalidInputException.class, () -> Checkpoint.openFile(file).close())
            .getMessage();
    assertTrue(message.contains(file.getFileName().toString()), message);
    assertFalse(message.contains("\n") || message.contains("%"), message);
    return message;
  }

  /** A file of the reference implementation is written again byte for byte after reading it. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "fixtures/t5-tiny/model.safetensors",
        "fixtures/roberta-tiny/model.safetensors",
        "fixtures/t5-tiny-lora/adapter_model.safetensors",
        "checkpoint/odd.safetensors"
      })
  void writesTheBytesOfTheReference(String name) throws IOException {
    Path original = Fixtures.resource(name);
    Path copy = folder.resolve("copy.safetensors");
    try (Checkpoint checkpoint = Checkpoint.openFile(original)) {
      List<TensorView> shuffled =
          new ArrayList<>(checkpoint.names().stream().map(checkpoint::get).toList());
      Collections.shuffle(shuffled, new Random(7));
      SafeTensors.write(copy, shuffled, checkpoint.metadata());
    }
    assertEquals(-1, Files.mismatch(original, copy));
  }

  @Test
  void readsValuesAndMetadata() throws IOException {
    Path path = folder.resolve("y.safetensors");
    SafeTensors.write(
        path,
        List.of(
            new TensorView(
                "a", DType.FLOAT32, new long[] {2}, MemorySegment.ofArray(new float[] {1.5f, -2})),
            new TensorView(
                "b\u00e9\ud83d\ude00",
                DType.BFLOAT16,
                new long[] {1, 2},
                MemorySegment.ofArray(new short[] {0x3f80, (short) 0xc040})),
            new TensorView("none", DType.INT8, new long[] {0, 5}, MemorySegment.NULL)),
        Map.of("format", "pt", "note", "\"quoted\"\n"));
    try (Checkpoint checkpoint = Checkpoint.openFile(path)) {
      assertArrayEquals(new float[] {1.5f, -2}, checkpoint.get("a").toFloat32());
      assertArrayEquals(new float[] {1, -3}, checkpoint.get("b\u00e9\ud83d\ude00").toFloat32());
      assertEquals(0, checkpoint.get("none").data().byteSize());
      assertEquals(Map.of("format", "pt", "note", "\"quoted\"\n"), checkpoint.metadata());
      assertTrue(checkpoint.get("a").data().isReadOnly());
      assertThrows(InvalidInputException.class, () -> checkpoint.get("none").toFloat32());
    }
  }

  @Test
  void alignsTensorsThatTheFileDoesNot() throws IOException {
    String header = "{'a':{'dtype':'F32','shape':[1],'data_offsets':[0,4]}} ";
    for (int padding = 0; padding < 4; padding++) {
      try (Checkpoint checkpoint = Checkpoint.openFile(file(header + " ".repeat(padding), 4))) {
        MemorySegment data = checkpoint.get("a").data();
        assertEquals(0, data.address() % 4);
        assertArrayEquals(new byte[] {0, 1, 2, 3}, checkpoint.get("a").toBytes());
      }
    }
  }

  @Test
  void acceptsWhatTheFormatAllows() throws IOException {
    String header =
        "{'s':{'dtype':'F64','shape':[],'data_offsets':[0,8]},"
            + "'z':{'shape':[3,0],'data_offsets':[8,8],'dtype':'I64','later':{'x':[1]}},"
            + "'w':{'dtype':'I16','shape':[1],'data_offsets':[8,10]}}   ";
    try (Checkpoint checkpoint = Checkpoint.openFile(file(header, 10))) {
      assertEquals(1, checkpoint.get("s").elements());
      assertEquals(0, checkpoint.get("z").elements());
      String message =
          assertThrows(InvalidInputException.class, () -> checkpoint.get("w")).getMessage();
      assertTrue(message.contains("tensor w as I16"), message);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "{'a':{'dtype':'F32','shape':[2],'data_offsets':[0,8]}} | 7 | announces 8: it is damaged",
        "{'a':{'dtype':'F32','shape':[2],'data_offsets':[0,8]}} | 9 | announces 8: it is damaged",
        "{'a':{'dtype':'F32','shape':[3],'data_offsets':[0,8]}} | 8 | shape [3] of F32",
        "{'a':{'dtype':'F32','shape':[2],'data_offsets':[8,0]}} | 8 | overlap or leave a hole",
        "{'a':{'dtype':'F32','shape':[2],'data_offsets':[4,12]}} | 12 | overlap or leave a hole",
        "{'a':{'dtype':'F32','shape':[-2],'data_offsets':[0,8]}} | 8 | negative",
        "{'a':{'dtype':'F32','shape':[2.0],'data_offsets':[0,8]}} | 8 | whole numbers",
        "{'a':{'dtype':'F32','shape':[2],'data_offsets':[0,8,9]}} | 8 | more than 2",
        "{'a':{'dtype':'F32','shape':[2],'data_offsets':[0]}} | 8 | lacks",
        "{'a':{'dtype':'F32','shape':[2]}} | 8 | lacks",
        "{'a':{'dtype':'F99','shape':[2],'data_offsets':[0,8]}} | 8 | F99",
        "{'a':{'dtype':3,'shape':[2],'data_offsets':[0,8]}} | 8 | a text",
        "{'a':[0]} | 8 | an object",
        "{'a':{'dtype':'F4','shape':[1],'data_offsets':[0,1]}} | 1 | shape [1] of F4",
        "{'a':{'dtype':'F32','shape':[4294967296,4294967296],'data_offsets':[0,0]}} | 0 | shape",
        "{'a':{'dtype':'F32','shape':[9223372036854775807],'data_offsets':[0,0]}} | 0 | shape",
        "{'a':{'dtype':'F32','shape':[99999999999999999999],'data_offsets':[0,0]}} | 0 | valid"
            + " JSON",
        "{'__metadata__':{'n':1}} | 0 | metadata",
        "{'a':{} | 0 | lacks",
        "{} x | 0 | valid JSON",
        "{} {} | 0 | something after",
      })
  void refusesLies(String header, int dataBytes, String reason) throws IOException {
    String message = refusal(file(header, dataBytes));
    assertTrue(message.contains(reason), message);
  }

  @Test
  void refusesOverlapsAndDuplicates() throws IOException {
    String two =
        "{'%s':{'dtype':'U8','shape':[4],'data_offsets':[%d,%d]},'%s':{'dtype':'U8',"
            + "'shape':[4],'data_offsets':[%d,%d]}}";
    assertTrue(refusal(file(two.formatted("a", 0, 4, "b", 2, 6), 6)).contains("overlap"));
    assertTrue(refusal(file(two.formatted("a", 0, 4, "b", 0, 4), 4)).contains("overlap"));
    assertTrue(refusal(file(two.formatted("a", 0, 4, "b", 6, 10), 10)).contains("hole"));
    assertTrue(refusal(file(two.formatted("a", 0, 4, "a", 4, 8), 8)).contains("stands twice"));
  }

  @ParameterizedTest
  @ValueSource(longs = {0, 1, 55, 1L << 40, Long.MAX_VALUE, -1, Long.MIN_VALUE})
  void refusesHeaderLengths(long length) throws IOException {
    byte[] json = ONE.replace('\'', '"').getBytes(StandardCharsets.UTF_8);
    assertTrue(refusal(file(length, json, 0)).contains("header"));
  }

  @Test
  void refusesWhatIsNoHeader() throws IOException {
    assertTrue(refusal(file(" {}", 0)).contains("'{'"));
    byte[] utf16 = "{}".getBytes(StandardCharsets.UTF_16LE);
    refusal(file(utf16.length, utf16, 0));
    byte[] invalid = {'{', '"', (byte) 0xff, '"', ':', '{', '}', '}'};
    assertTrue(refusal(file(invalid.length, invalid, 0)).contains("UTF-8"));
    String deep = "{\"a\":{\"x\":" + "[".repeat(5000) + "]".repeat(5000) + "}}";
    assertTrue(refusal(file(deep, 0)).contains("valid JSON"));
    Path pointer = folder.resolve("model.safetensors");
    Files.writeString(
        pointer, "version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 3\n");
    assertTrue(refusal(pointer).contains("git lfs pull"));
    Files.write(pointer, new byte[0]);
    assertTrue(refusal(pointer).contains("too short"));
    assertTrue(refusal(folder.resolve("absent.safetensors")).contains("does not exist"));
  }

  @Test
  void hidesControlCharactersOfNames() throws IOException {
    String escape = "{'\\u001b[31m':{'dtype':'F32','shape':[2],'data_offsets':[0,9]}}";
    assertFalse(refusal(file(escape, 9)).contains("\u001b"));
  }

  @Test
  void everyTruncationIsRefused() throws IOException {
    byte[] whole = Files.readAllBytes(Fixtures.resource("checkpoint/odd.safetensors"));
    Path cut = folder.resolve("cut.safetensors");
    for (int length = 0; length < whole.length; length += 3) {
      Files.write(cut, Arrays.copyOf(whole, length));
      refusal(cut);
    }
  }

  /** Writing that fails half-way leaves the file as it was, and nothing beside it. */
  @Test
  void aFailedWriteChangesNothing() throws IOException {
    Path path = folder.resolve("kept.safetensors");
    Files.writeString(path, "before");
    SafeTensors.Source good =
        new SafeTensors.Source(
            "a", DType.FLOAT32, new long[] {2}, () -> MemorySegment.ofArray(new float[2]));
    SafeTensors.Source bad =
        new SafeTensors.Source(
            "b",
            DType.FLOAT32,
            new long[] {2},
            () -> {
              throw new UncheckedIOException(new IOException("the source broke"));
            });
    assertThrows(
        UncheckedIOException.class,
        () -> SafeTensors.writeSources(path, List.of(good, bad), Map.of()));
    SafeTensors.Source lying =
        new SafeTensors.Source(
            "b", DType.FLOAT32, new long[] {3}, () -> MemorySegment.ofArray(new float[2]));
    assertThrows(
        IllegalArgumentException.class,
        () -> SafeTensors.writeSources(path, List.of(good, lying), Map.of()));
    assertThrows(
        IllegalArgumentException.class,
        () -> SafeTensors.writeSources(path, List.of(good, good), Map.of()));
    assertEquals("before", Files.readString(path));
    try (Stream<Path> files = Files.list(folder)) {
      assertEquals(List.of(path), files.toList());
    }
  }

  @Test
  void namesTheFolderThatCannotBeWritten() {
    Path path = folder.resolve("no/such/x.safetensors");
    String message =
        assertThrows(UncheckedIOException.class, () -> SafeTensors.write(path, List.of(), Map.of()))
            .getMessage();
    assertEquals(
        "Cannot write " + path + ", which stays as it was: its folder or itself does not exist",
        message);
  }
}
