package dev.precis.training;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Killing;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.node.ObjectNode;

/** Runs whose files were damaged on the disk resume from what is left, and end as they did. */
final class DamagedRunTest {
  private static final long LAST = TrainingProcess.STEPS;

  @TempDir private static Path whole;

  @TempDir private Path folder;
  private final List<String> notes = new ArrayList<>();
  private byte[] result;
  private List<String> losses;

  @BeforeAll
  static void aWholeRun() {
    TrainingProcess.train(whole, new Trainer.Listener() {});
  }

  @BeforeEach
  void aCopyOfIt() throws IOException {
    try (Stream<Path> all = Files.walk(whole)) {
      for (Path each : all.filter(path -> !path.equals(whole)).toList()) {
        Files.copy(each, folder.resolve(whole.relativize(each)));
      }
    }
    result = Files.readAllBytes(adapter());
    losses = Killing.metrics(folder);
  }

  private Path adapter() {
    return folder.resolve("adapter/adapter_model.safetensors");
  }

  private Path newest(String name) {
    return folder.resolve("checkpoints/step-" + LAST).resolve(name);
  }

  private void train() {
    ObjectNode config = Json.mapper().createObjectNode().put("test", true);
    List<Example> all = TrainingGoldenTest.dialogues();
    try (RunFolder run = RunFolder.resume(folder, config).notes(notes::add);
        TrainableT5 t5 = TrainingProcess.trainable();
        Trainer trainer =
            new Trainer(
                t5, TrainingProcess.options(), all.subList(0, 40), all.subList(40, 48), run)) {
      trainer.resume();
      trainer.train(new Trainer.Listener() {});
    }
  }

  private static void change(Path file, String how) throws IOException {
    byte[] bytes = Files.readAllBytes(file);
    switch (how) {
      case "flipped" -> {
        bytes[bytes.length - 7] ^= 0x10;
        Files.write(file, bytes);
      }
      case "cut" -> Files.write(file, Arrays.copyOf(bytes, bytes.length / 2));
      case "empty" -> Files.write(file, new byte[0]);
      case "zeros" -> Files.write(file, new byte[bytes.length]);
      default -> Files.delete(file);
    }
  }

  private void endsAsItDid() throws IOException {
    Files.delete(adapter());
    train();
    assertArrayEquals(result, Files.readAllBytes(adapter()));
    assertEquals(losses, Killing.metrics(folder));
  }

  @ParameterizedTest
  @CsvSource({
    "optimizer.safetensors, flipped",
    "optimizer.safetensors, missing",
    "optimizer.safetensors, zeros",
    "adapter/adapter_model.safetensors, flipped",
    "adapter/adapter_model.safetensors, cut",
    "adapter/adapter_config.json, empty",
    "state.json, flipped",
    "state.json, cut",
    "state.json, missing",
    "SHA256SUMS, cut",
    "SHA256SUMS, empty"
  })
  void theCheckpointBeforeADamagedOneIsUsed(String name, String how) throws IOException {
    change(newest(name), how);
    endsAsItDid();
    assertEquals(1, notes.size(), notes.toString());
    assertTrue(
        notes.getFirst().contains("step " + LAST)
            && notes.getFirst().endsWith("continues from that of step " + (LAST - 1) + "."),
        notes.getFirst());
  }

  /** Without checksums, as older versions wrote checkpoints, the values themselves are checked. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "\"step\": 1",
        "\"step\": \"6\"",
        "\"loss\": \"low\"",
        "\"loss\": null",
        "\"best_step\": -1",
        "\"best_step\": 1000000",
        "\"best_step\": 1.5",
        "\"without_improvement\": -2",
        "\"without_improvement\": {}"
      })
  void everyFieldOfThePositionIsChecked(String field) throws IOException {
    Files.delete(newest("SHA256SUMS"));
    Path state = newest("state.json");
    String key = field.substring(0, field.indexOf(':'));
    String before = Files.readString(state);
    String after = before.replaceAll(key + " : [^,\\n]+", field);
    assertFalse(before.equals(after), before);
    Files.writeString(state, after);
    endsAsItDid();
    assertTrue(notes.getFirst().contains(key), notes.toString());
  }

  @Test
  void aCheckpointWithoutChecksumsIsTakenAsItIs() throws IOException {
    Files.delete(newest("SHA256SUMS"));
    endsAsItDid();
    assertEquals(List.of(), notes);
  }

  @Test
  void whereNothingIsLeftASentenceSaysSo() throws IOException {
    for (long step : new long[] {LAST - 1, LAST, TrainingProcess.STEPS / 2}) {
      Path state = folder.resolve("checkpoints/step-" + step + "/state.json");
      if (Files.exists(state)) {
        change(state, "cut");
      }
    }
    for (Path each : Files.list(folder.resolve("checkpoints")).toList()) {
      change(each.resolve("optimizer.safetensors"), "cut");
    }
    String said = assertThrows(InvalidInputException.class, this::train).getMessage();
    assertTrue(said.contains("No checkpoint of") && said.contains("another --output"), said);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{\"step\": 3, \"loss\": 2.",
        "\u0000\u0000\u0000\u0000",
        "not json\n[1, 2]\n{\"step\": 2.5}\n{\"step\": -1}\n{\"loss\": 1}\n",
        "\u00ff\u00fe\u0080",
        "{\"step\": 99, \"loss\": 1.0}\n"
      })
  void damagedMetricsAreMended(String tail) throws IOException {
    Files.write(
        folder.resolve("metrics.jsonl"),
        tail.getBytes(StandardCharsets.ISO_8859_1),
        StandardOpenOption.APPEND);
    endsAsItDid();
    boolean damaged = !tail.contains("99");
    assertEquals(damaged, notes.toString().contains("metrics.jsonl had"), notes.toString());
  }
}
