package dev.precis.t5;

import dev.precis.InvalidInputException;
import dev.precis.checkpoint.Json;
import dev.precis.checkpoint.JsonObject;
import dev.precis.ops.Ops.Activation;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;

/**
 * The shape of a T5 model, as {@code config.json} gives it.
 *
 * @param vocabSize rows of the embedding and of the output layer
 * @param dModel width of the residual stream
 * @param dKv width of an attention head; heads x dKv need not be dModel
 * @param dFf width of the feed-forward layer
 * @param gated whether the feed-forward layer has two inputs, one of which gates the other
 * @param relativeAttentionNumBuckets buckets of the relative position bias, of both stacks
 * @param scaleDecoderOutputs whether the decoder's output is scaled by dModel^-0.5 before the
 *     output layer: T5 v1.0 does, v1.1 and FLAN-T5 do not
 */
public record T5Config(
    int vocabSize,
    int dModel,
    int dKv,
    int dFf,
    int numLayers,
    int numDecoderLayers,
    int numHeads,
    int relativeAttentionNumBuckets,
    int relativeAttentionMaxDistance,
    float layerNormEpsilon,
    Activation activation,
    boolean gated,
    boolean tieWordEmbeddings,
    boolean scaleDecoderOutputs,
    int decoderStartTokenId,
    int padTokenId,
    int eosTokenId) {

  private static final int LARGEST = 1 << 20;

  /**
   * Reads {@code config.json} of a model folder.
   *
   * @throws InvalidInputException where it is missing, is not a T5's, or makes no sense
   */
  public static T5Config read(Path folder) {
    Path file = folder.resolve("config.json");
    JsonObject json = Json.readObject(file);
    String type = json.optionalText("model_type").orElse("t5");
    if (!List.of("t5", "mt5", "umt5", "longt5").contains(type)) {
      throw new InvalidInputException(
          file + " describes a model of type " + type + ", not a T5: give a T5 or FLAN-T5 folder");
    }
    if (!type.equals("t5") && !type.equals("mt5")) {
      throw new InvalidInputException(
          file + " describes a model of type " + type + ", whose attention is not supported");
    }
    int layers = json.integer("num_layers", 1, 1024);
    boolean tied = json.bool("tie_word_embeddings", true);
    String projection = json.optionalText("feed_forward_proj").orElse("relu");
    boolean gated = projection.startsWith("gated-");
    int vocab = json.integer("vocab_size", 1, 1 << 24);
    return new T5Config(
        vocab,
        json.integer("d_model", 1, LARGEST),
        json.integer("d_kv", 1, 1024),
        json.integer("d_ff", 1, LARGEST),
        layers,
        json.integer("num_decoder_layers", 1, 1024, layers),
        json.integer("num_heads", 1, 1024),
        json.integer("relative_attention_num_buckets", 2, 4096, 32),
        json.integer("relative_attention_max_distance", 2, LARGEST, 128),
        (float) json.number("layer_norm_epsilon", 1e-6),
        activation(json, projection, gated),
        gated,
        tied,
        json.bool("scale_decoder_outputs", tied),
        json.integer("decoder_start_token_id", 0, vocab - 1, 0),
        json.integer("pad_token_id", 0, vocab - 1, 0),
        json.integer("eos_token_id", 0, vocab - 1, 1));
  }

  private static Activation activation(JsonObject json, String projection, boolean gated) {
    String name = gated ? projection.substring("gated-".length()) : projection;
    return switch (name.toLowerCase(Locale.ROOT)) {
      case "relu" -> Activation.RELU;
      // FLAN-T5 writes "gated-gelu" and means the tanh form, which transformers calls gelu_new.
      case "gelu" -> gated ? Activation.GELU_TANH : Activation.GELU_ERF;
      case "gelu_new" -> Activation.GELU_TANH;
      case "silu", "swish" -> Activation.SILU;
      default ->
          throw json.wrong("feed_forward_proj", "relu, gelu, gated-gelu, gated-relu or gated-silu");
    };
  }

  /** Width of all heads together. */
  public int inner() {
    return numHeads * dKv;
  }

  /** What the decoder's output is multiplied by before the output layer. */
  public float outputScale() {
    return scaleDecoderOutputs ? (float) (1 / Math.sqrt(dModel)) : 1f;
  }
}
