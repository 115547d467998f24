package dev.precis.cli;

import static dev.precis.cli.CommandLineRun.DIALOGUES;
import static dev.precis.cli.CommandLineRun.FIXTURES;
import static dev.precis.cli.CommandLineRun.MODEL;
import static dev.precis.cli.CommandLineRun.run;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.cli.common.Terminal;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Bad input gets a sentence that names it, exit code 2 (or 1), and nothing half-written. */
final class BadInputTest {
  @TempDir private Path folder;

  /** A copy of the small model, to be spoilt. */
  private Path model() throws IOException {
    Path model = Files.createDirectory(folder.resolve("model"));
    for (String file : List.of("config.json", "model.safetensors", "tokenizer.json")) {
      Files.copy(MODEL.resolve(file), model.resolve(file));
    }
    return model;
  }

  private static ByteBuffer littleEndian(byte[] bytes) {
    return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  private void refuses(int exitCode, List<String> named, Object... args) {
    Path output = folder.resolve("out.jsonl");
    Object[] all = Arrays.copyOf(args, args.length + 2);
    all[args.length] = "--output";
    all[args.length + 1] = output;
    CommandLineRun result = run(all);
    assertEquals(exitCode, result.exitCode(), result.err());
    for (String name : named) {
      assertTrue(result.err().contains(name), name + " in: " + result.err());
    }
    assertEquals(1, result.err().lines().count(), result.err());
    assertFalse(result.err().contains("Internal error"), result.err());
    assertFalse(Files.exists(output));
  }

  private void refusesModel(Path model, String... named) {
    refuses(2, List.of(named), "generate", "--model", model, "--input", DIALOGUES);
  }

  private void refusesInput(String file, byte[] content, String... named) throws IOException {
    Path input = Files.write(folder.resolve(file), content);
    refuses(2, List.of(named), "generate", "--model", MODEL, "--input", input);
  }

  @Test
  void truncatedWeights() throws IOException {
    Path weights = model().resolve("model.safetensors");
    byte[] bytes = Files.readAllBytes(weights);
    Files.write(weights, Arrays.copyOf(bytes, bytes.length - 1000));
    refusesModel(weights.getParent(), "model.safetensors");
  }

  @Test
  void lyingHeader() throws IOException {
    Path weights = model().resolve("model.safetensors");
    byte[] bytes = Files.readAllBytes(weights);
    littleEndian(bytes).putLong(0, Long.MAX_VALUE);
    Files.write(weights, bytes);
    refusesModel(weights.getParent(), "model.safetensors");
  }

  @Test
  void notANumber() throws IOException {
    Path weights = model().resolve("model.safetensors");
    byte[] bytes = Files.readAllBytes(weights);
    long header = littleEndian(bytes).getLong(0);
    for (int at = (int) (8 + header); at + 4 <= bytes.length; at += 4) {
      littleEndian(bytes).putFloat(at, Float.NaN);
    }
    Files.write(weights, bytes);
    CommandLineRun result =
        run(
            "generate",
            "--model",
            weights.getParent(),
            "--input",
            DIALOGUES,
            "--output",
            folder.resolve("out.jsonl"));
    assertTrue(result.exitCode() == 1 || result.exitCode() == 2, result.err());
    assertTrue(result.err().toLowerCase(Locale.ROOT).contains("nan"), result.err());
    assertFalse(result.err().contains("Internal error"), result.err());
  }

  @Test
  void pickleThatCallsSomething() throws IOException {
    Path model = model();
    Files.delete(model.resolve("model.safetensors"));
    Path canary = folder.resolve("canary");
    byte[] pickle =
        ("\u0080\u0002cposix\nsystem\nX\u0000\u0000\u0000\u0000\u0085R.")
            .getBytes(StandardCharsets.ISO_8859_1);
    byte[] command = ("touch " + canary).getBytes(StandardCharsets.UTF_8);
    ByteArrayOutputStream data = new ByteArrayOutputStream();
    int text = 2 + "cposix\nsystem\n".length() + 1;
    data.write(pickle, 0, text);
    data.write(littleEndian(new byte[4]).putInt(command.length).array());
    data.write(command);
    data.write(pickle, text + 4, pickle.length - text - 4);
    try (ZipOutputStream zip =
        new ZipOutputStream(Files.newOutputStream(model.resolve("pytorch_model.bin")))) {
      ZipEntry entry = new ZipEntry("archive/data.pkl");
      CRC32 crc = new CRC32();
      crc.update(data.toByteArray());
      entry.setMethod(ZipEntry.STORED);
      entry.setSize(data.size());
      entry.setCrc(crc.getValue());
      zip.putNextEntry(entry);
      zip.write(data.toByteArray());
    }
    refusesModel(model, "pytorch_model.bin", "posix");
    assertFalse(Files.exists(canary));
  }

  @Test
  void adapterForAnotherModel() throws IOException {
    Path adapter = Files.createDirectory(folder.resolve("lora"));
    Path lora = FIXTURES.resolve("t5-tiny-lora");
    Files.copy(lora.resolve("adapter_config.json"), adapter.resolve("adapter_config.json"));
    // The header's names keep their length: the file is sound, but the model has no block 9.
    byte[] weights = Files.readAllBytes(lora.resolve("adapter_model.safetensors"));
    String text = new String(weights, StandardCharsets.ISO_8859_1).replace("block.0", "block.9");
    Files.write(
        adapter.resolve("adapter_model.safetensors"), text.getBytes(StandardCharsets.ISO_8859_1));
    refuses(
        2,
        List.of("lora adapts", "block.9", "the adapter was trained on another model"),
        "generate",
        "--model",
        MODEL,
        "--adapter",
        adapter,
        "--input",
        DIALOGUES);
  }

  @Test
  void vocabularyThatDoesNotFit() throws IOException {
    Path model = model();
    Path config = model.resolve("config.json");
    String text = Files.readString(config);
    String smaller = text.replaceFirst("\"vocab_size\": \\d+", "\"vocab_size\": 100");
    assertFalse(text.equals(smaller));
    Files.writeString(config, smaller);
    refusesModel(model, "model");
  }

  @ParameterizedTest
  @CsvSource({"config.json", "tokenizer.json", "model.safetensors"})
  void missingFile(String file) throws IOException {
    Path model = model();
    Files.delete(model.resolve(file));
    refusesModel(model, model.toString());
  }

  @ParameterizedTest
  @MethodSource
  void badDialogues(String file, String content, String named) throws IOException {
    refusesInput(file, content.getBytes(StandardCharsets.UTF_8), named);
  }

  private static Stream<Arguments> badDialogues() {
    return Stream.of(
        Arguments.of("a.csv", "id,text_of_it\n1,hello\n", "a.csv"),
        Arguments.of("a.csv", "id,dialogue\n1,\n", "a.csv, line 2"),
        Arguments.of("a.jsonl", "{\"dialogue\":\"x\"}\n{\"dialogue\":\" \"}\n", "a.jsonl, line 2"),
        Arguments.of("a.jsonl", "{\"dialogue\":\"x\"}\n{\"dialogue\":\n", "a.jsonl, line 2"),
        Arguments.of("a.jsonl", "{\"summary\":\"x\"}\n", "a.jsonl, line 1"),
        Arguments.of("a.jsonl", "", "a.jsonl"),
        Arguments.of("a.txt", " \n", "a.txt"),
        Arguments.of("a.docx", "hello", "a.docx must end in"));
  }

  @Test
  void notUtf8() throws IOException {
    byte[] bytes = "{\"dialogue\": \"caf\u00e9\"}\n".getBytes(StandardCharsets.ISO_8859_1);
    refusesInput("latin.jsonl", bytes, "latin.jsonl, line 1", "UTF-8");
  }

  @Test
  void tooLong() throws IOException {
    String dialogue = "{\"id\": \"novel\", \"dialogue\": \"" + "word ".repeat(5000) + "\"}\n";
    refusesInput(
        "long.jsonl",
        dialogue.getBytes(StandardCharsets.UTF_8),
        "long.jsonl",
        "'novel'",
        "--max-source-length 4096",
        "--truncate");
  }

  @Test
  void outputInNoFolder() {
    CommandLineRun result =
        run("generate", "--model", MODEL, "--input", DIALOGUES, "--output", "no/such/out.jsonl");
    assertEquals(2, result.exitCode());
    assertTrue(result.err().contains("no/such"), result.err());
  }

  @Test
  @EnabledOnOs(OS.LINUX)
  void fullDisk() {
    CommandLineRun result =
        run("generate", "--model", MODEL, "--input", DIALOGUES, "--output", "/dev/full");
    assertEquals(1, result.exitCode(), result.err());
    assertTrue(result.err().contains("/dev/full"), result.err());
    assertTrue(result.err().contains("No space left"), result.err());
  }

  @ParameterizedTest
  @CsvSource({"Broken pipe, 141, false", "No space left on device, 1, true"})
  void standardOutputThatFails(String reason, int exitCode, boolean said) {
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    OutputStream out =
        new OutputStream() {
          @Override
          public void write(int b) throws IOException {
            throw new IOException(reason);
          }
        };
    Terminal terminal = new Terminal(out, new PrintStream(err, true), Map.of(), false, false);
    assertEquals(
        exitCode,
        Main.run(
            terminal, "generate", "--model", MODEL.toString(), "--input", DIALOGUES.toString()));
    assertEquals(said, err.toString(StandardCharsets.UTF_8).contains(reason));
    assertEquals(said, err.size() > 0);
    assertEquals(exitCode, Main.run(terminal, "--help"));
  }
}
