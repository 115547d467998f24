package dev.precis.checkpoint;

import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.encoder.RobertaConfig;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Notes;
import dev.precis.t5.T5Config;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The files of a model and of an adapter with bytes and tokens changed: each is read or refused
 * with a sentence, and nothing else comes out.
 */
@Tag("fuzz")
@Timeout(600)
class InputFuzzTest {
  private static final int ROUNDS = 1500;
  private static final String[] TOKENS = {
    "null",
    "true",
    "-1",
    "0",
    "1e400",
    "9223372036854775808",
    "\"\"",
    "[]",
    "{}",
    "NaN",
    "\"\\ud800\"",
    "[[[[[[[[",
    "{\"a\":",
    "\"(.*)*(.*)*x\"",
    "lora_A",
    "modules_to_save",
    "..",
    ".bin",
    ","
  };

  @TempDir Path folder;

  @BeforeEach
  void quiet() {
    Notes.listener(_ -> {});
  }

  @AfterEach
  void noListener() {
    Notes.listener(null);
  }

  private static byte[] mutated(byte[] whole, int from, int to, Random random) {
    byte[] bytes = whole.clone();
    int end = Math.min(to, bytes.length);
    int changes = 1 + random.nextInt(4);
    for (int i = 0; i < changes; i++) {
      int at = from + random.nextInt(end - from);
      switch (random.nextInt(6)) {
        case 0 -> bytes[at] ^= (byte) (1 << random.nextInt(8));
        case 1 -> bytes[at] = (byte) random.nextInt(256);
        case 2 -> bytes[at] = (byte) 0xff;
        case 3 -> {
          byte[] token = TOKENS[random.nextInt(TOKENS.length)].getBytes(StandardCharsets.UTF_8);
          System.arraycopy(token, 0, bytes, at, Math.min(token.length, end - at));
        }
        case 4 -> {
          int other = from + random.nextInt(end - from);
          int length = random.nextInt(Math.min(40, end - Math.max(at, other)));
          System.arraycopy(whole, other, bytes, at, length);
        }
        default -> bytes[at] = bytes[from + random.nextInt(end - from)];
      }
    }
    return random.nextInt(50) == 0 ? Arrays.copyOf(bytes, random.nextInt(bytes.length)) : bytes;
  }

  @ParameterizedTest
  @CsvSource({
    "models/umt5-tiny/model.safetensors, model.safetensors, 0, 6000, umt5-tiny",
    "checkpoint/odd.bin, pytorch_model.bin, 0, 4784, t5-tiny",
    "checkpoint/odd-protocol5.bin, pytorch_model.bin, 0, 3200, t5-tiny",
    "fixtures/t5-tiny/config.json, config.json, 0, 9000, t5-tiny",
    "fixtures/roberta-tiny/config.json, config.json, 0, 9000, roberta-tiny",
    "fixtures/t5-tiny-lora/adapter_config.json, adapter_config.json, 0, 9000, t5-tiny-lora",
    "models/adapter-dora/adapter_model.safetensors, adapter_model.safetensors, 0, 9000, dora",
    ", model.safetensors.index.json, 0, 9000, sharded",
  })
  void readsOrRefuses(String source, String target, int from, int to, String rest)
      throws IOException {
    byte[] whole = prepare(source, rest);
    Path file = folder.resolve(target);
    long seed = 20261129;
    System.out.println("fuzz " + target + " of " + rest + ", seed " + seed);
    Random random = new Random(seed);
    int refused = 0;
    for (int round = 0; round < ROUNDS; round++) {
      Files.write(file, mutated(whole, from, to, random));
      try {
        read(rest);
      } catch (InvalidInputException e) {
        assertTrue(e.getMessage().length() < 2000, "a sentence, not a file");
        refused++;
      }
    }
    assertTrue(refused > ROUNDS / 20, "only " + refused + " changes were noticed");
  }

  private byte[] prepare(String source, String rest) throws IOException {
    Path model = Fixtures.folder(rest.equals("sharded") ? "t5-tiny" : rest);
    if (rest.equals("dora")) {
      model = Fixtures.resource("models/adapter-dora");
    } else if (rest.equals("umt5-tiny")) {
      model = Fixtures.resource("models/umt5-tiny");
    }
    for (String name : new String[] {"config.json", "adapter_config.json"}) {
      if (Files.exists(model.resolve(name))) {
        Files.copy(model.resolve(name), folder.resolve(name));
      }
    }
    for (String name : new String[] {"adapter_model.safetensors"}) {
      if (Files.exists(model.resolve(name))) {
        Files.copy(model.resolve(name), folder.resolve(name));
      }
    }
    if (rest.equals("roberta-tiny") || rest.equals("t5-tiny") && source.endsWith("config.json")) {
      Files.copy(model.resolve("model.safetensors"), folder.resolve("model.safetensors"));
    }
    if (!rest.equals("sharded")) {
      return Files.readAllBytes(Fixtures.resource(source));
    }
    Files.copy(model.resolve("model.safetensors"), folder.resolve("shard-1.safetensors"));
    StringBuilder index = new StringBuilder("{\"metadata\":{\"total_size\":1},\"weight_map\":{");
    try (Checkpoint checkpoint = Checkpoint.open(model)) {
      String separator = "";
      for (String name : checkpoint.names()) {
        index.append(separator).append('"').append(name).append("\":\"shard-1.safetensors\"");
        separator = ",";
      }
    }
    return index.append("}}").toString().getBytes(StandardCharsets.UTF_8);
  }

  private void read(String rest) {
    switch (rest) {
      case "t5-tiny-lora", "dora" -> PeftAdapter.open(folder).close();
      case "roberta-tiny" -> {
        RobertaConfig.read(folder).tensorShapes();
        Checkpoint.open(folder).close();
      }
      default -> {
        T5Config.read(folder);
        try (Checkpoint checkpoint = Checkpoint.open(folder)) {
          checkpoint.find("shared.weight").ifPresent(TensorView::elements);
        }
      }
    }
  }
}
