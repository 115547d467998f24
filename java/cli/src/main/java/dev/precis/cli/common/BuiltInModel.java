package dev.precis.cli.common;

import dev.precis.io.Json;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import tools.jackson.databind.JsonNode;

/** A model from the jar, unpacked into a temporary folder while it is open. */
public final class BuiltInModel implements AutoCloseable {
  private static final List<String> T5 =
      List.of("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json");
  private static final List<String> CLASSIFIER =
      List.of("config.json", "model.safetensors", "vocab.json", "merges.txt", "reward.json");
  private static final String DIALOGUES = "dialogues.jsonl";

  private final TemporaryFolder temporary = TemporaryFolder.create("precis-");

  private BuiltInModel(String name, List<String> files, List<String> others) {
    try {
      for (String file : files) {
        unpack(name + "/" + file, file);
      }
      for (String file : others) {
        unpack(file, file);
      }
    } catch (IOException e) {
      temporary.close();
      throw new UncheckedIOException(
          "Cannot unpack the built-in model into %s: %s"
              .formatted(System.getProperty("java.io.tmpdir"), e.getMessage()),
          e);
    }
  }

  private void unpack(String name, String file) throws IOException {
    try (InputStream in = resource(name)) {
      Files.copy(in, folder().resolve(file));
    }
  }

  /** Unpacks the tiny model that the engine is checked with, and a few dialogues. */
  public static BuiltInModel probe() {
    return new BuiltInModel("t5-tiny", T5, List.of(DIALOGUES));
  }

  /**
   * Unpacks the model that the demo fine-tunes: 3 million parameters, trained by
   * scripts/make-builtin-model.
   */
  public static BuiltInModel base() {
    return new BuiltInModel("base", T5, List.of());
  }

  /**
   * Unpacks the classifier of toxic summaries, with labels nothate and hate: 150,000 parameters,
   * trained by scripts/make-builtin-classifier.
   */
  public static BuiltInModel toxicity() {
    return new BuiltInModel("toxicity", CLASSIFIER, List.of());
  }

  private static InputStream resource(String name) {
    return BuiltInModel.class.getResourceAsStream("/dev/precis/cli/demo/" + name);
  }

  /** Returns the model's folder. */
  public Path folder() {
    return temporary.path();
  }

  /** Returns the dialogues of the tiny model, with summaries, as JSON lines. */
  public Path dialogues() {
    return folder().resolve(DIALOGUES);
  }

  /**
   * Returns what transformers generates greedily with the tiny model from its first dialogue: token
   * ids without the start token.
   */
  public static int[] expectedTokens() {
    try (InputStream in = resource("golden/generate_t5-tiny.json")) {
      JsonNode golden =
          Json.mapper().readTree(new String(in.readAllBytes(), StandardCharsets.UTF_8));
      JsonNode sequence = golden.get(0).get("sequences").get(0);
      int[] tokens = new int[sequence.size() - 1];
      for (int i = 0; i < tokens.length; i++) {
        tokens[i] = sequence.get(i + 1).intValue();
      }
      return tokens;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void close() {
    temporary.close();
  }
}
