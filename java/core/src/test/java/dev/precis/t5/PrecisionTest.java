package dev.precis.t5;

import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.checkpoint.Checkpoint;
import dev.precis.checkpoint.SafeTensors;
import dev.precis.device.DeviceOptions;
import dev.precis.ops.Ops;
import dev.precis.tensor.DType;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Measures the error of bfloat16, int8 and int4 at a shape that is large enough to add errors up:
 * random weights with the spread that T5 starts training with, d_model 256, 4 + 4 layers, 4096
 * tokens.
 */
class PrecisionTest {
  private static final int WIDTH = 256;
  private static final int HEADS = 8;
  private static final int HEAD = 32;
  private static final int INNER = HEADS * HEAD;
  private static final int WIDE = 640;
  private static final int LAYERS = 4;
  private static final int VOCABULARY = 4096;
  private static final int[] SOURCES = {120, 37, 1, 64};
  private static final int[] TARGETS = {24, 1, 9, 40};

  @TempDir static Path folder;

  private static final List<SafeTensors.Source> TENSORS = new ArrayList<>();

  @BeforeAll
  static void writeModel() throws IOException {
    weights("shared", 1, VOCABULARY, WIDTH);
    weights("lm_head", 1 / Math.sqrt(WIDTH), VOCABULARY, WIDTH);
    for (String stack : List.of("encoder", "decoder")) {
      ones(stack + ".final_layer_norm");
      weights(stack + ".block.0.layer.0.SelfAttention.relative_attention_bias", 0.5, 32, HEADS);
      for (int i = 0; i < LAYERS; i++) {
        String layer = stack + ".block." + i + ".layer.";
        attention(layer + "0.SelfAttention.");
        ones(layer + "0.layer_norm");
        if (stack.equals("decoder")) {
          attention(layer + "1.EncDecAttention.");
          ones(layer + "1.layer_norm");
        }
        layer += stack.equals("decoder") ? "2." : "1.";
        ones(layer + "layer_norm");
        weights(layer + "DenseReluDense.wi_0", 1 / Math.sqrt(WIDTH), WIDE, WIDTH);
        weights(layer + "DenseReluDense.wi_1", 1 / Math.sqrt(WIDTH), WIDE, WIDTH);
        weights(layer + "DenseReluDense.wo", 1 / Math.sqrt(WIDE), WIDTH, WIDE);
      }
    }
    SafeTensors.writeSources(folder.resolve("model.safetensors"), TENSORS, Map.of());
    Files.writeString(
        folder.resolve("config.json"),
        """
        {"model_type": "t5", "vocab_size": %d, "d_model": %d, "d_kv": %d, "d_ff": %d,
         "num_layers": %d, "num_heads": %d, "feed_forward_proj": "gated-gelu",
         "tie_word_embeddings": false}
        """
            .formatted(VOCABULARY, WIDTH, HEAD, WIDE, LAYERS, HEADS));
  }

  private static void attention(String prefix) {
    // Scores are not divided by the root of the head's width: queries are small instead.
    weights(prefix + "q", 1 / Math.sqrt((double) WIDTH * HEAD), INNER, WIDTH);
    weights(prefix + "k", 1 / Math.sqrt(WIDTH), INNER, WIDTH);
    weights(prefix + "v", 1 / Math.sqrt(WIDTH), INNER, WIDTH);
    weights(prefix + "o", 1 / Math.sqrt(INNER), WIDTH, INNER);
  }

  private static void ones(String name) {
    float[] values = new float[WIDTH];
    java.util.Arrays.fill(values, 1);
    add(name, values, WIDTH);
  }

  /** Normal, of mean 0; the same for the same name. */
  private static void weights(String name, double deviation, int outputs, int inputs) {
    SplittableRandom random = new SplittableRandom(name.hashCode());
    float[] values = new float[outputs * inputs];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (random.nextGaussian() * deviation);
    }
    add(name, values, outputs, inputs);
  }

  private static void add(String name, float[] values, long... shape) {
    TENSORS.add(
        new SafeTensors.Source(
            name + ".weight", DType.FLOAT32, shape, () -> MemorySegment.ofArray(values)));
  }

  /** The logits of a batch with random tokens, forced. */
  private static float[] logits(DType dtype) {
    T5Config config = T5Config.read(folder);
    try (Ops ops = Ops.open(new DeviceOptions());
        Arena arena = Arena.ofConfined();
        Checkpoint checkpoint = Checkpoint.open(folder);
        Workspace workspace = ops.newWorkspace()) {
      T5Model model =
          new T5Model(T5Weights.load(checkpoint, config, ops, arena, dtype), ops, dtype);
      SplittableRandom random = new SplittableRandom(11);
      T5Model.Encoded encoded =
          model.encode(Ragged.of(sequences(random, SOURCES), VOCABULARY, workspace), workspace);
      Ragged target = Ragged.of(sequences(random, TARGETS), VOCABULARY, workspace);
      Tensor logits = workspace.tensor(DType.FLOAT32, target.tokens(), VOCABULARY);
      model.logits(model.decode(encoded, target, workspace), logits);
      float[] all = new float[target.tokens() * VOCABULARY];
      for (int t = 0; t < target.tokens(); t++) {
        System.arraycopy(logits.row(t), 0, all, t * VOCABULARY, VOCABULARY);
      }
      return all;
    }
  }

  private static List<int[]> sequences(SplittableRandom random, int[] lengths) {
    List<int[]> all = new ArrayList<>();
    for (int length : lengths) {
      all.add(random.ints(length, 0, VOCABULARY).toArray());
    }
    return all;
  }

  @Test
  void narrowWeightsStayCloseToFloat32() {
    float[] exact = logits(DType.FLOAT32);
    double bfloat16 = Fixtures.relativeError(logits(DType.BFLOAT16), exact);
    double int8 = Fixtures.relativeError(logits(DType.INT8), exact);
    assertTrue(bfloat16 < 2e-2, "bfloat16 differs by " + bfloat16);
    double int4 = Fixtures.relativeError(logits(DType.INT4), exact);
    assertTrue(int8 < 5e-2, "int8 differs by " + int8);
    assertTrue(int4 < 4e-1, "int4 differs by " + int4);
    // Not the same weights four times.
    assertTrue(bfloat16 > 1e-4 && int8 > bfloat16, bfloat16 + " and " + int8);
    assertTrue(int4 > 2 * int8, int4 + " and " + int8);
  }
}
