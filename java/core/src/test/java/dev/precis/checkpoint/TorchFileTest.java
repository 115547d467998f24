package dev.precis.checkpoint;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.io.InvalidInputException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class TorchFileTest {
  @TempDir Path folder;

  private static void assertSameTensors(Checkpoint expected, Checkpoint actual) {
    assertEquals(expected.names(), actual.names());
    for (String name : expected.names()) {
      TensorView a = expected.get(name);
      TensorView b = actual.get(name);
      assertEquals(a.dtype(), b.dtype(), name);
      assertArrayEquals(a.shape(), b.shape(), name);
      assertEquals(-1, a.data().mismatch(b.data()), name);
      assertEquals(0, b.data().address() % b.dtype().bytes(), name);
    }
  }

  /** A zip whose pickle is given, with storage "0" of eight floats. */
  private Path torchFile(byte[] pickle) {
    Path file = folder.resolve("pytorch_model.bin");
    PickleBytes.zip(file, pickle, Map.of("0", eightFloats()), ZipEntry.STORED);
    return file;
  }

  private static byte[] eightFloats() {
    ByteBuffer floats = ByteBuffer.allocate(32).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < 8; i++) {
      floats.putFloat(i);
    }
    return floats.array();
  }

  private static PickleBytes dictOf(String name) {
    return new PickleBytes().op('}').text(name);
  }

  private static byte[] oneTensor(long elements, long offset, long[] shape, long[] strides) {
    return dictOf("w").tensor("FloatStorage", "0", elements, offset, shape, strides).op('s').stop();
  }

  private static String refusal(Path file) {
    String message =
        assertThrows(InvalidInputException.class, () -> Checkpoint.openFile(file).close())
            .getMessage();
    assertTrue(message.contains(file.getFileName().toString()), message);
    assertFalse(message.contains("\n") || message.contains("%"), message);
    return message;
  }

  @Test
  void agreesWithSafetensors() {
    try (Checkpoint expected =
            Checkpoint.openFile(Fixtures.resource("fixtures/roberta-tiny/model.safetensors"));
        Checkpoint actual =
            Checkpoint.openFile(Fixtures.resource("fixtures/roberta-tiny/pytorch_model.bin"))) {
      assertSameTensors(expected, actual);
      assertTrue(
          actual.names().stream().map(actual::get).allMatch(t -> t.data().isMapped()),
          "contiguous tensors are views of the file");
    }
  }

  /** All types, strides, offsets, shared storages, parameters: saved by PyTorch itself. */
  @ParameterizedTest
  @ValueSource(strings = {"odd.bin", "odd-protocol5.bin"})
  void agreesWithPyTorch(String name) {
    try (Checkpoint expected =
            Checkpoint.openFile(Fixtures.resource("checkpoint/odd.safetensors"));
        Checkpoint actual = Checkpoint.openFile(Fixtures.resource("checkpoint/" + name))) {
      assertEquals(17, actual.names().size());
      for (String tensor : expected.names()) {
        assertTrue(actual.contains(tensor), tensor);
        assertArrayEquals(expected.get(tensor).shape(), actual.get(tensor).shape(), tensor);
        assertEquals(-1, expected.get(tensor).data().mismatch(actual.get(tensor).data()), tensor);
      }
      assertFalse(actual.contains("epoch"), "a number is no tensor");
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {ZipEntry.STORED, ZipEntry.DEFLATED})
  void readsStoredAndCompressedArchives(int method) {
    Path file = folder.resolve("x.bin");
    try (Checkpoint expected =
        Checkpoint.openFile(Fixtures.resource("fixtures/t5-tiny-lora/adapter_model.safetensors"))) {
      PickleBytes.save(file, expected.names().stream().map(expected::get).toList(), method);
      try (Checkpoint actual = Checkpoint.openFile(file)) {
        assertSameTensors(expected, actual);
      }
    }
  }

  @Test
  void readsZip64() throws IOException {
    Path file = torchFile(oneTensor(8, 1, new long[] {2, 3}, new long[] {3, 1}));
    byte[] zip = Files.readAllBytes(file);
    ByteBuffer in = ByteBuffer.wrap(zip).order(ByteOrder.LITTLE_ENDIAN);
    int end = zip.length - 22;
    int directory = in.getInt(end + 16);
    ByteBuffer out = ByteBuffer.allocate(zip.length + 56 + 20).order(ByteOrder.LITTLE_ENDIAN);
    out.put(zip, 0, end);
    out.putInt(0x06064b50).putLong(44).putShort((short) 45).putShort((short) 45);
    out.putInt(0).putInt(0).putLong(in.getShort(end + 8)).putLong(in.getShort(end + 10));
    out.putLong(in.getInt(end + 12)).putLong(directory);
    out.putInt(0x07064b50).putInt(0).putLong(end).putInt(1);
    out.putInt(0x06054b50).putShort((short) 0).putShort((short) 0);
    out.putShort((short) -1).putShort((short) -1).putInt(-1).putInt(-1).putShort((short) 0);
    Files.write(file, out.array());
    try (Checkpoint checkpoint = Checkpoint.openFile(file)) {
      assertArrayEquals(new float[] {1, 2, 3, 4, 5, 6}, checkpoint.get("w").toFloat32());
    }
  }

  static Stream<Arguments> malicious() {
    byte[] none = new byte[0];
    return Stream.of(
        Arguments.of(
            "REDUCE of os.system",
            dictOf("w").global("posix", "system").text("touch ran").op(0x85).op('R').op('s').stop(),
            "posix.system"),
        Arguments.of(
            "STACK_GLOBAL of builtins.eval",
            dictOf("w").text("builtins").text("eval").op(0x93).text("1").op(0x85).op('R').stop(),
            "builtins.eval"),
        Arguments.of(
            "INST",
            dictOf("w").op('(').text("touch ran").op('i').raw("os\nsystem\n".getBytes()).stop(),
            "INST on os.system"),
        Arguments.of(
            "OBJ",
            dictOf("w").op('(').global("os", "system").text("x").op('o').stop(),
            "os.system"),
        Arguments.of(
            "OBJ of an allowed name",
            dictOf("w").op('(').global("collections", "OrderedDict").op('o').stop(),
            "opcode OBJ"),
        Arguments.of(
            "NEWOBJ",
            dictOf("w").global("subprocess", "Popen").op(')').op(0x81).stop(),
            "subprocess.Popen"),
        Arguments.of(
            "NEWOBJ of an allowed name",
            dictOf("w").global("collections", "OrderedDict").op(')').op(0x81).stop(),
            "opcode NEWOBJ"),
        Arguments.of(
            "NEWOBJ_EX",
            dictOf("w").global("collections", "OrderedDict").op(')').op('}').op(0x92).stop(),
            "opcode NEWOBJ_EX"),
        Arguments.of(
            "BUILD of a tensor",
            dictOf("w")
                .tensor("FloatStorage", "0", 8, 0, new long[] {8}, new long[] {1})
                .op('}')
                .op('b')
                .op('s')
                .stop(),
            "opcode BUILD"),
        Arguments.of("EXT1", dictOf("w").op(0x82).op(1).stop(), "opcode EXT1"),
        Arguments.of("EXT2", dictOf("w").op(0x83).op(1).op(0).stop(), "opcode EXT2"),
        Arguments.of("EXT4", dictOf("w").op(0x84).u32(1).stop(), "opcode EXT4"),
        Arguments.of("PERSID", dictOf("w").op('P').raw("x\n".getBytes()).stop(), "opcode PERSID"),
        Arguments.of(
            "a name with a dot",
            dictOf("w").text("torch").text("serialization.os.system").op(0x93).stop(),
            "torch.serialization.os.system"),
        Arguments.of(
            "another module's OrderedDict",
            dictOf("w").global("torch", "OrderedDict").op(')').op('R').stop(),
            "torch.OrderedDict"),
        Arguments.of(
            "torch.load in a pickle",
            dictOf("w").global("torch", "load").raw(none).text("x").op(0x85).op('R').stop(),
            "torch.load"),
        Arguments.of(
            "a storage that is called",
            dictOf("w").global("torch", "FloatStorage").op(')').op('R').op('s').stop(),
            "torch.FloatStorage"),
        Arguments.of(
            "OrderedDict with arguments",
            dictOf("w").global("collections", "OrderedDict").text("x").op(0x85).op('R').stop(),
            "collections.OrderedDict"));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("malicious")
  void refusesMaliciousPickles(String name, byte[] pickle, String named) {
    String message = refusal(torchFile(pickle));
    assertTrue(message.contains(named), message);
    assertTrue(message.contains("refused and nothing in it was run"), message);
  }

  /** Output of Python's own pickler for an object whose unpickling would run a command. */
  @Test
  void runsNothingOfARealMaliciousFile() {
    String message = refusal(Fixtures.resource("checkpoint/malicious.bin"));
    assertTrue(message.contains("posix.system"), message);
    assertFalse(Files.exists(Path.of("precis-ran-a-pickle")));
  }

  static Stream<Arguments> damaged() {
    long[] flat = {8};
    long[] one = {1};
    return Stream.of(
        Arguments.of(oneTensor(9, 0, flat, one), "lacks the data"),
        Arguments.of(oneTensor(1L << 61, 0, flat, one), "beyond all bounds"),
        Arguments.of(oneTensor(8, 1, flat, one), "outside its storage"),
        Arguments.of(oneTensor(8, 0, flat, new long[] {2}), "outside its storage"),
        Arguments.of(oneTensor(8, Long.MAX_VALUE, flat, one), "beyond all bounds"),
        Arguments.of(
            oneTensor(8, 0, new long[] {1L << 32, 1L << 32}, new long[] {0, 0}),
            "beyond all bounds"),
        Arguments.of(oneTensor(8, 0, new long[] {1L << 40}, new long[] {0}), "far beyond"),
        Arguments.of(oneTensor(8, -1, flat, one), "do not go together"),
        Arguments.of(oneTensor(8, 0, flat, new long[] {1, 1}), "do not go together"),
        Arguments.of(oneTensor(8, 0, new long[] {-1}, one), "negative"),
        Arguments.of(oneTensor(8, 0, new long[65], new long[65]), "65 dimensions"),
        Arguments.of(
            dictOf("w").tensor("FloatStorage", "7", 8, 0, flat, one).op('s').stop(), "storage 7"),
        Arguments.of(
            dictOf("w").tensor("FloatStorage", "../x", 8, 0, flat, one).op('s').stop(),
            "storage ../x"),
        Arguments.of(new PickleBytes().op('N').stop(), "state dict"),
        Arguments.of(new PickleBytes().stop(), "stack runs empty"),
        Arguments.of(new PickleBytes().op('(').stop(), "mark"),
        Arguments.of(new PickleBytes().op('t').stop(), "mark is missing"),
        Arguments.of(new PickleBytes().op('h').op(9).stop(), "never stored"),
        Arguments.of(new PickleBytes().op('}').op(')').op('N').op('s').stop(), "key"),
        Arguments.of(new PickleBytes().op('}').op('(').op('N').op('u').stop(), "dictionary"),
        Arguments.of(new PickleBytes().op('X').u32(-1).stop(), "too early"),
        Arguments.of(new PickleBytes().op(0x8d).u32(-1).u32(-1).stop(), "too early"),
        Arguments.of(new PickleBytes().op(0x95).u32(-1).u32(-1).stop(), "too early"),
        Arguments.of(new PickleBytes().op(0x8a).op(9).stop(), "64 bits"),
        Arguments.of(new PickleBytes().op('c').raw(new byte[2000]).stop(), "no end"),
        Arguments.of(new PickleBytes().op('0').stop(), "0x30"),
        Arguments.of(new byte[] {(byte) 0x80, 9, '.'}, "protocol"),
        Arguments.of(new byte[] {'N', '.'}, "protocol"),
        Arguments.of(new byte[0], "too early"));
  }

  @ParameterizedTest
  @MethodSource("damaged")
  void refusesDamagedPickles(byte[] pickle, String reason) {
    String message = refusal(torchFile(pickle));
    assertTrue(message.contains(reason), message);
  }

  /** A list that holds itself, and a million-fold stack, neither recurse nor exhaust anything. */
  @Test
  void survivesCyclesAndDepth() {
    byte[] cycle =
        new PickleBytes()
            .op('}')
            .text("w")
            .op(']')
            .op('q')
            .op(0)
            .op('h')
            .op(0)
            .op('a')
            .op('s')
            .stop();
    assertTrue(refusal(torchFile(cycle)).contains("holds no tensors"));
    byte[] marks = new byte[5_000_000];
    Arrays.fill(marks, (byte) ']');
    String message = refusal(torchFile(new PickleBytes().raw(marks).stop()));
    assertTrue(message.contains("no checkpoint needs"), message);
  }

  @Test
  void namesLegacyAndForeignFormats() throws IOException {
    assertTrue(
        refusal(Fixtures.resource("checkpoint/odd-legacy.bin")).contains("torch.save(torch.load"));
    Path file = folder.resolve("x.bin");
    Files.writeString(file, "version https://git-lfs.github.com/spec/v1\noid sha256:1\n");
    assertTrue(refusal(file).contains("git lfs pull"));
    Files.writeString(file, "<html>");
    assertTrue(refusal(file).contains("not a file of torch.save"));
    Files.write(file, new byte[0]);
    assertTrue(refusal(file).contains("not a file of torch.save"));
    byte[] tar = new byte[1024];
    System.arraycopy("ustar".getBytes(StandardCharsets.US_ASCII), 0, tar, 257, 5);
    Files.write(file, tar);
    assertTrue(refusal(file).contains("before 1.6"));
    try (ZipOutputStream zip = new ZipOutputStream(Files.newOutputStream(file))) {
      PickleBytes.entry(zip, "readme.txt", new byte[3], ZipEntry.STORED);
    }
    assertTrue(refusal(file).contains("not one of torch.save"));
    try (ZipOutputStream zip = new ZipOutputStream(Files.newOutputStream(file))) {
      PickleBytes.entry(zip, "m/data.pkl", new byte[3], ZipEntry.STORED);
      PickleBytes.entry(zip, "m/constants.pkl", new byte[3], ZipEntry.STORED);
    }
    assertTrue(refusal(file).contains("TorchScript"));
    try (ZipOutputStream zip = new ZipOutputStream(Files.newOutputStream(file))) {
      PickleBytes.entry(zip, "m/data.pkl", new byte[3], ZipEntry.STORED);
      PickleBytes.entry(zip, "m/byteorder", "big".getBytes(), ZipEntry.STORED);
    }
    assertTrue(refusal(file).contains("big-endian"));
  }

  @Test
  void refusesZipBombs() throws IOException {
    Path file = folder.resolve("bomb.bin");
    byte[] pickle = oneTensor(20_000_000, 0, new long[] {20_000_000}, new long[] {1});
    PickleBytes.zip(file, pickle, Map.of("0", new byte[80_000_000]), ZipEntry.DEFLATED);
    assertTrue(Files.size(file) < 1_000_000);
    try (Checkpoint checkpoint = Checkpoint.openFile(file)) {
      String message =
          assertThrows(InvalidInputException.class, () -> checkpoint.get("w")).getMessage();
      assertTrue(message.contains("unpacks to more than"), message);
    }
  }

  @Test
  void refusesCompressedDataOfAnotherSize() throws IOException {
    Path file = folder.resolve("x.bin");
    byte[] pickle = oneTensor(8, 0, new long[] {8}, new long[] {1});
    PickleBytes.zip(file, pickle, Map.of("0", eightFloats()), ZipEntry.DEFLATED);
    byte[] zip = Files.readAllBytes(file);
    ByteBuffer bytes = ByteBuffer.wrap(zip).order(ByteOrder.LITTLE_ENDIAN);
    int directory = bytes.getInt(zip.length - 6);
    int second = directory + 46 + bytes.getShort(directory + 28);
    bytes.putInt(second + 24, 40);
    Files.write(file, zip);
    try (Checkpoint checkpoint = Checkpoint.openFile(file)) {
      assertTrue(
          assertThrows(InvalidInputException.class, () -> checkpoint.get("w"))
              .getMessage()
              .contains("does not unpack to its 40 bytes"));
    }
  }

  @Test
  void everyTruncationIsRefused() throws IOException {
    byte[] whole = Files.readAllBytes(Fixtures.resource("checkpoint/odd.bin"));
    Path cut = folder.resolve("cut.bin");
    for (int length = 0; length < whole.length; length += 13) {
      Files.write(cut, Arrays.copyOf(whole, length));
      refusal(cut);
    }
  }

  @Test
  void everyTruncationOfAPickleIsRefused() throws IOException {
    byte[] pickle;
    try (ZipFile zip = new ZipFile(Fixtures.resource("checkpoint/odd.bin").toFile())) {
      pickle = zip.getInputStream(zip.getEntry("odd/data.pkl")).readAllBytes();
    }
    for (int length = 0; length < pickle.length; length += 5) {
      String message = refusal(torchFile(Arrays.copyOf(pickle, length)));
      assertTrue(message.contains("nothing was run"), message);
    }
  }
}
