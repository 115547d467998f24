package dev.precis.benchmarks;

import dev.precis.checkpoint.SafeTensors;
import dev.precis.io.FileTree;
import dev.precis.tensor.DType;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.function.Consumer;
import java.util.function.Supplier;

/**
 * A FLAN-T5 folder with random weights in bfloat16, so that no run depends on a download. Weights
 * have the deviation at which activations keep their size from layer to layer.
 *
 * @param layers of the encoder, and of the decoder
 */
record RandomCheckpoint(int vocabulary, int dModel, int dKv, int dFf, int layers, int heads) {
  private static final int BUCKETS = 32;

  /** Returns FLAN-T5-base, or a tiny model for tests. */
  static RandomCheckpoint ofSize(String size) {
    return switch (size) {
      case "base" -> new RandomCheckpoint(32128, 768, 64, 2048, 12, 12);
      case "tiny" -> new RandomCheckpoint(500, 32, 8, 48, 2, 3);
      default -> throw new IllegalArgumentException("No size " + size + ": base or tiny");
    };
  }

  /** Writes the folder, lets it be used and deletes it. */
  void use(Consumer<Path> user) {
    try {
      Path folder = Files.createTempDirectory("precis-benchmark");
      try {
        write(folder);
        user.accept(folder);
      } finally {
        FileTree.delete(folder);
      }
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot make or delete a temporary folder", e);
    }
  }

  /** Writes config.json, model.safetensors and tokenizer.json. */
  void write(Path folder) {
    try (InputStream tokenizer = RandomCheckpoint.class.getResourceAsStream("tokenizer.json")) {
      Files.copy(tokenizer, folder.resolve("tokenizer.json"));
      Files.writeString(folder.resolve("config.json"), config());
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot write a checkpoint to " + folder, e);
    }
    SafeTensors.writeSources(
        folder.resolve("model.safetensors"), tensors(), Map.of("format", "pt"));
  }

  /**
   * Writes a folder in the form of PEFT: LoRA on every q and v.
   *
   * @param number of the adapter; each has other weights
   */
  void writeAdapter(Path folder, int rank, int number) {
    List<SafeTensors.Source> all = new ArrayList<>();
    for (SafeTensors.Source weight : tensors()) {
      String module = weight.name().substring(0, weight.name().length() - ".weight".length());
      if (module.endsWith(".q") || module.endsWith(".v")) {
        long[] shape = weight.shape();
        String name = "base_model.model." + module;
        all.add(weights(name + ".lora_A", number, 0.02, rank, (int) shape[1]));
        all.add(weights(name + ".lora_B", number, 0.02, (int) shape[0], rank));
      }
    }
    try {
      Files.createDirectories(folder);
      Files.writeString(
          folder.resolve("adapter_config.json"),
          """
          {"peft_type": "LORA", "r": %d, "lora_alpha": %d, "target_modules": ["q", "v"]}
          """
              .formatted(rank, rank));
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot write an adapter to " + folder, e);
    }
    SafeTensors.writeSources(folder.resolve("adapter_model.safetensors"), all, Map.of());
  }

  private String config() {
    return """
    {
      "model_type": "t5",
      "vocab_size": %d,
      "d_model": %d,
      "d_kv": %d,
      "d_ff": %d,
      "num_layers": %d,
      "num_decoder_layers": %d,
      "num_heads": %d,
      "relative_attention_num_buckets": %d,
      "relative_attention_max_distance": 128,
      "layer_norm_epsilon": 1e-6,
      "feed_forward_proj": "gated-gelu",
      "tie_word_embeddings": false,
      "decoder_start_token_id": 0,
      "pad_token_id": 0,
      "eos_token_id": 1
    }
    """
        .formatted(vocabulary, dModel, dKv, dFf, layers, layers, heads, BUCKETS);
  }

  private List<SafeTensors.Source> tensors() {
    List<SafeTensors.Source> all = new ArrayList<>();
    all.add(weights("shared", 1, vocabulary, dModel));
    all.add(weights("lm_head", 1 / Math.sqrt(dModel), vocabulary, dModel));
    for (String stack : List.of("encoder", "decoder")) {
      all.add(norm(stack + ".final_layer_norm"));
      all.add(
          weights(
              stack + ".block.0.layer.0.SelfAttention.relative_attention_bias",
              0.5,
              BUCKETS,
              heads));
      for (int i = 0; i < layers; i++) {
        String layer = stack + ".block." + i + ".layer.";
        int last = stack.equals("decoder") ? 2 : 1;
        attention(all, layer + "0.SelfAttention.");
        if (last == 2) {
          attention(all, layer + "1.EncDecAttention.");
        }
        String feedForward = layer + last + ".DenseReluDense.";
        all.add(weights(feedForward + "wi_0", 1 / Math.sqrt(dModel), dFf, dModel));
        all.add(weights(feedForward + "wi_1", 1 / Math.sqrt(dModel), dFf, dModel));
        all.add(weights(feedForward + "wo", 1 / Math.sqrt(dFf), dModel, dFf));
        for (int part = 0; part <= last; part++) {
          all.add(norm(layer + part + ".layer_norm"));
        }
      }
    }
    return all;
  }

  private void attention(List<SafeTensors.Source> all, String prefix) {
    int inner = heads * dKv;
    // Scores are not divided by the root of d_kv, so queries are.
    all.add(weights(prefix + "q", 1 / Math.sqrt((double) dModel * dKv), inner, dModel));
    all.add(weights(prefix + "k", 1 / Math.sqrt(dModel), inner, dModel));
    all.add(weights(prefix + "v", 1 / Math.sqrt(dModel), inner, dModel));
    all.add(weights(prefix + "o", 1 / Math.sqrt(inner), dModel, inner));
  }

  private SafeTensors.Source norm(String name) {
    return source(
        name,
        () -> {
          short[] ones = new short[dModel];
          Arrays.fill(ones, Bfloat16.of(1));
          return ones;
        },
        dModel);
  }

  /**
   * Returns uniform numbers of mean 0 and this standard deviation, a function of the name and
   * number.
   */
  private static SafeTensors.Source weights(
      String name, double deviation, int outputs, int inputs) {
    return weights(name, 0, deviation, outputs, inputs);
  }

  private static SafeTensors.Source weights(
      String name, int number, double deviation, int outputs, int inputs) {
    return source(
        name,
        () -> {
          short[] values = new short[Math.multiplyExact(outputs, inputs)];
          SplittableRandom random = new SplittableRandom(name.hashCode() + 31L * number);
          float scale = (float) (deviation * Math.sqrt(3) / 0x1p31);
          for (int i = 0; i < values.length; i++) {
            values[i] = Bfloat16.of(random.nextInt() * scale);
          }
          return values;
        },
        outputs,
        inputs);
  }

  private static SafeTensors.Source source(String name, Supplier<short[]> values, long... shape) {
    return new SafeTensors.Source(
        name + ".weight", DType.BFLOAT16, shape, () -> MemorySegment.ofArray(values.get()));
  }
}
