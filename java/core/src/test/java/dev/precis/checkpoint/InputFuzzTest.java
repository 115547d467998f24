package dev.precis.checkpoint;

import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.encoder.EncoderConfig;
import dev.precis.generation.GenerationDefaults;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Notes;
import dev.precis.t5.GenerationConfig;
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
 * with a sentence, and nothing else comes out. The property {@code precis.fuzz.seed} repeats a run,
 * {@code precis.fuzz.inputs} sets the number of inputs of each file.
 */
@Tag("fuzz")
@Timeout(600)
class InputFuzzTest {
  private static final long SEED = Long.getLong("precis.fuzz.seed", System.nanoTime());
  private static final int ROUNDS = Integer.getInteger("precis.fuzz.inputs", 1500);

  /** One key of each kind that is followed. */
  private static final String GENERATION =
      """
      {"decoder_start_token_id": 0, "bos_token_id": null, "eos_token_id": [1, 2],
       "max_length": 20, "max_new_tokens": 30, "min_length": 2, "min_new_tokens": 3,
       "num_beams": 4, "length_penalty": 0.6, "early_stopping": "never",
       "num_return_sequences": 2, "do_sample": false, "temperature": 0.7, "top_k": 20,
       "top_p": 0.9, "repetition_penalty": 1.2, "no_repeat_ngram_size": 3,
       "encoder_no_repeat_ngram_size": 2, "encoder_repetition_penalty": 1.1,
       "bad_words_ids": [[5], [6, 7]], "sequence_bias": [[[8, 9], -2.5]],
       "suppress_tokens": [10, 11], "begin_suppress_tokens": [12], "forced_bos_token_id": 13,
       "forced_eos_token_id": [1], "exponential_decay_length_penalty": [5, 1.5],
       "renormalize_logits": true, "min_p": 0.1, "transformers_version": "5.17.0"}
      """;

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
    ", generation_config.json, 0, 9000, generation",
  })
  void readsOrRefuses(String source, String target, int from, int to, String rest)
      throws IOException {
    byte[] whole = prepare(source, rest);
    Path file = folder.resolve(target);
    System.out.println("fuzz " + target + " of " + rest + ", seed " + SEED);
    Random random = new Random(SEED);
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
    boolean ofT5 = rest.equals("sharded") || rest.equals("generation");
    Path model = Fixtures.folder(ofT5 ? "t5-tiny" : rest);
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
    if (rest.equals("generation")) {
      return GENERATION.getBytes(StandardCharsets.UTF_8);
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
      case "generation" -> {
        GenerationConfig config = GenerationConfig.read(folder);
        new GenerationDefaults(config, T5Config.of(config)).options();
      }
      case "t5-tiny-lora", "dora" -> PeftAdapter.open(folder).close();
      case "roberta-tiny" -> {
        EncoderConfig.read(folder).tensorShapes();
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
