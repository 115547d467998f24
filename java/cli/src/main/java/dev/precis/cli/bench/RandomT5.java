package dev.precis.cli.bench;

import dev.precis.cli.common.BuiltInModel;
import dev.precis.cli.common.TemporaryFolder;
import dev.precis.io.AtomicFile;
import dev.precis.t5.T5Config;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** A FLAN-T5 of random weights in a temporary folder, so that no measurement needs a download. */
final class RandomT5 implements AutoCloseable {
  private static final int VOCABULARY = 32128;

  /**
   * The shapes that {@code --size} names.
   *
   * @param dModel width of the residual stream
   * @param layers of the encoder, and of the decoder
   */
  enum Size {
    MINI(8192, 256, 512, 4, 4),
    SMALL(VOCABULARY, 512, 1024, 8, 6),
    BASE(VOCABULARY, 768, 2048, 12, 12),
    LARGE(VOCABULARY, 1024, 2816, 24, 16),
    XL(VOCABULARY, 2048, 5120, 24, 32);

    private final int vocabulary;
    private final int dModel;
    private final int dFf;
    private final int layers;
    private final int heads;

    Size(int vocabulary, int dModel, int dFf, int layers, int heads) {
      this.vocabulary = vocabulary;
      this.dModel = dModel;
      this.dFf = dFf;
      this.layers = layers;
      this.heads = heads;
    }

    /** Returns config.json. */
    String config() {
      return """
      {"model_type": "t5", "vocab_size": %d, "d_model": %d, "d_kv": 64, "d_ff": %d,
       "num_layers": %d, "num_decoder_layers": %d, "num_heads": %d,
       "relative_attention_num_buckets": 32, "relative_attention_max_distance": 128,
       "layer_norm_epsilon": 1e-6, "feed_forward_proj": "gated-gelu",
       "tie_word_embeddings": false, "decoder_start_token_id": 0, "pad_token_id": 0,
       "eos_token_id": 1}
      """
          .formatted(vocabulary, dModel, dFf, layers, layers, heads);
    }
  }

  private final TemporaryFolder folder = TemporaryFolder.create("precis-bench-");
  private final T5Config config;

  /** Writes the model. */
  RandomT5(Size size) {
    try (BuiltInModel probe = BuiltInModel.probe()) {
      // Texts are not read, but a model without a tokenizer is not loaded.
      for (String file : new String[] {"tokenizer.json", "tokenizer_config.json"}) {
        Files.copy(probe.folder().resolve(file), path().resolve(file));
      }
      AtomicFile.writeText(path().resolve("config.json"), size.config());
      config = T5Config.read(path());
      RandomWeights.write(config.tensorShapes(), path().resolve("model.safetensors"), this::values);
    } catch (IOException e) {
      folder.close();
      throw new UncheckedIOException("Cannot write a model to " + folder.path(), e);
    } catch (RuntimeException | Error e) {
      folder.close();
      throw e;
    }
  }

  /** Returns values at which activations keep their size from layer to layer. */
  private RandomWeights.Values values(String name, long[] shape) {
    if (shape.length == 1) {
      return RandomWeights.constant(1);
    }
    if (name.equals("shared.weight")) {
      return RandomWeights.uniform(1);
    }
    if (name.contains("relative_attention_bias")) {
      return RandomWeights.uniform(0.5);
    }
    // Scores are not divided by the root of d_kv, so queries are.
    double deviation = 1 / Math.sqrt(shape[1]);
    return RandomWeights.uniform(
        name.endsWith(".q.weight") ? deviation / Math.sqrt(config.dKv()) : deviation);
  }

  Path path() {
    return folder.path();
  }

  T5Config config() {
    return config;
  }

  @Override
  public void close() {
    folder.close();
  }
}
