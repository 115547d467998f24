package dev.precis.t5;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.T5;
import dev.precis.checkpoint.Checkpoint;
import dev.precis.checkpoint.SafeTensors;
import dev.precis.checkpoint.TensorView;
import dev.precis.io.InvalidInputException;
import dev.precis.tensor.DType;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The choice of the output layer when the configuration and the file disagree. transformers (5.17)
 * ties where the configuration says so, unless the file holds an {@code lm_head.weight} with other
 * values than the embedding's: then that one is used. Scaling follows the configuration alone.
 */
class TiedHeadTest {
  @TempDir Path temporary;

  /** A copy of a fixture with another configuration and, perhaps, another output layer. */
  private Path changed(String fixture, UnaryOperator<String> config, float[] head)
      throws IOException {
    Path folder = Files.createDirectories(temporary.resolve("model"));
    for (String name : List.of("tokenizer.json", "tokenizer_config.json")) {
      Files.copy(Fixtures.folder(fixture).resolve(name), folder.resolve(name));
    }
    String original = Files.readString(Fixtures.folder(fixture).resolve("config.json"));
    String text = config.apply(original);
    Files.writeString(folder.resolve("config.json"), text);
    try (Checkpoint checkpoint = Checkpoint.open(Fixtures.folder(fixture))) {
      List<TensorView> tensors = new ArrayList<>();
      for (String name : checkpoint.names()) {
        if (!name.equals("lm_head.weight")) {
          tensors.add(checkpoint.get(name));
        }
      }
      if (head != null) {
        tensors.add(
            new TensorView(
                "lm_head.weight",
                DType.FLOAT32,
                checkpoint.get("shared.weight").shape(),
                MemorySegment.ofArray(head)));
      }
      SafeTensors.write(folder.resolve("model.safetensors"), tensors, Map.of("format", "pt"));
    }
    return folder;
  }

  private static float[] tensor(String fixture, String name, float factor) {
    try (Checkpoint checkpoint = Checkpoint.open(Fixtures.folder(fixture))) {
      float[] values = checkpoint.get(name).toFloat32();
      for (int i = 0; i < values.length; i++) {
        values[i] *= factor;
      }
      return values;
    }
  }

  /** The folder's logits are the fixture's, times a factor. */
  private static void assertLogits(Path folder, String fixture, float factor) {
    try (Checkpoint golden = Fixtures.arrays("forward_" + fixture + ".safetensors")) {
      T5ForwardTest.Batch batch = T5ForwardTest.Batch.of(golden);
      T5ForwardTest.Outcome outcome =
          T5ForwardTest.run(
              folder, new T5.LoadOptions().dtype(DType.FLOAT32), batch.sources(), batch.labels());
      List<float[]> want = T5ForwardTest.rows(golden, "logits", batch.labels());
      for (float[] row : want) {
        for (int i = 0; i < row.length; i++) {
          row[i] *= factor;
        }
      }
      double error = T5ForwardTest.error(outcome.logits(), want);
      assertTrue(error < 1e-4, "logits differ by " + error);
    }
  }

  @Test
  void anOutputLayerOfItsOwnCountsThoughTheConfigurationTies() throws IOException {
    Path folder =
        changed(
            "t5-tiny",
            config ->
                config.replace("\"tie_word_embeddings\": false", "\"tie_word_embeddings\": true"),
            tensor("t5-tiny", "lm_head.weight", 1));
    // Tied models scale, unless the configuration says otherwise: d_model is 64.
    assertLogits(folder, "t5-tiny", 1 / 8f);
  }

  @Test
  void mt5NeverScales() throws IOException {
    Path folder =
        changed(
            "t5-tiny",
            config ->
                config
                    .replace("\"tie_word_embeddings\": false", "\"tie_word_embeddings\": true")
                    .replace("\"model_type\": \"t5\"", "\"model_type\": \"mt5\""),
            tensor("t5-tiny", "lm_head.weight", 1));
    assertLogits(folder, "t5-tiny", 1);
  }

  @Test
  void anOutputLayerThatRepeatsTheEmbeddingIsTied() throws IOException {
    Path folder =
        changed("t5-tiny-v1.0", config -> config, tensor("t5-tiny-v1.0", "shared.weight", 1));
    assertLogits(folder, "t5-tiny-v1.0", 1);
  }

  @Test
  void anotherOutputLayerInATiedModelCounts() throws IOException {
    Path folder =
        changed("t5-tiny-v1.0", config -> config, tensor("t5-tiny-v1.0", "shared.weight", -2));
    assertLogits(folder, "t5-tiny-v1.0", -2);
  }

  @Test
  void scalingCanBeSwitchedOff() throws IOException {
    Path folder =
        changed(
            "t5-tiny-v1.0",
            config ->
                config.replace(
                    "\"scale_decoder_outputs\": true", "\"scale_decoder_outputs\": false"),
            null);
    assertLogits(folder, "t5-tiny-v1.0", 8);
  }

  @Test
  void anUntiedModelWithoutItsOutputLayerIsRefused() throws IOException {
    Path folder = changed("t5-tiny", config -> config, null);
    InvalidInputException e =
        assertThrows(InvalidInputException.class, () -> T5.load(folder).close());
    assertEquals(
        folder
            + " has no tensor lm_head.weight, though config.json says that the output layer is not"
            + " tied to the embedding: the checkpoint is incomplete",
        e.getMessage());
  }
}
