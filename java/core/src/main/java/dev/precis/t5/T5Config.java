package dev.precis.t5;

import dev.precis.checkpoint.ConfigKeys;
import dev.precis.checkpoint.TensorNames;
import dev.precis.io.InvalidInputException;
import dev.precis.io.JsonObject;
import dev.precis.io.Notes;
import dev.precis.ops.Activation;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * The shape of a T5 model, as {@code config.json} gives it.
 *
 * @param vocabSize rows of the embedding and of the output layer
 * @param dModel width of the residual stream
 * @param dKv width of an attention head; heads x dKv need not be dModel
 * @param dFf width of the feed-forward layer
 * @param gated whether the feed-forward layer has two inputs, one of which gates the other
 * @param relativeAttentionNumBuckets buckets of the relative position bias, of both stacks
 * @param biasInEveryLayer whether every layer has a relative position bias of its own, as UMT5's,
 *     or all layers of a stack share the first one's
 * @param scaleDecoderOutputs whether the decoder's output is scaled by dModel^-0.5 before the
 *     output layer: T5 v1.0 does, v1.1 and FLAN-T5 do not
 * @param dropoutRate probability with which training drops an element, everywhere the paper does
 * @param decoderStartTokenId the decoder's first input, as {@link GenerationConfig} has it
 * @param eosTokenIds the tokens that end a sequence, at least one, as {@link GenerationConfig} has
 *     them
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
    boolean biasInEveryLayer,
    float layerNormEpsilon,
    Activation activation,
    boolean gated,
    boolean tieWordEmbeddings,
    boolean scaleDecoderOutputs,
    float dropoutRate,
    int decoderStartTokenId,
    int padTokenId,
    List<Integer> eosTokenIds) {

  private static final int LARGEST = 1 << 20;
  private static final List<String> TYPES = List.of("t5", "mt5", "umt5");

  /**
   * Reads {@code config.json} of a model folder, and from {@code generation_config.json} the tokens
   * that start and end a sequence.
   *
   * @throws InvalidInputException where it is missing, is not a T5's, or makes no sense
   */
  public static T5Config read(Path folder) {
    return of(GenerationConfig.read(folder));
  }

  /**
   * Makes the configuration of what the files say.
   *
   * @throws InvalidInputException where that is not a T5's, or makes no sense
   */
  public static T5Config of(GenerationConfig generation) {
    JsonObject json = generation.model();
    String type = supportedType(json);
    ConfigKeys.T5.check(json);
    boolean multilingual = !type.equals("t5");
    int layers = size(json, "num_layers", "num_hidden_layers", 1024, multilingual ? 8 : 6);
    boolean tied = json.bool("tie_word_embeddings", true);
    String projection =
        json.optionalText("feed_forward_proj").orElse(multilingual ? "gated-gelu" : "relu");
    boolean gated = json.bool("is_gated_act", projection.startsWith("gated-"));
    int vocab = json.integer("vocab_size", 1, 1 << 24, multilingual ? 250112 : 32128);
    return new T5Config(
        vocab,
        size(json, "d_model", "hidden_size", LARGEST, 512),
        size(json, "d_kv", "head_dim", 1024, 64),
        json.integer("d_ff", 1, LARGEST, multilingual ? 1024 : 2048),
        layers,
        json.integer("num_decoder_layers", 1, 1024, layers),
        size(json, "num_heads", "num_attention_heads", 1024, multilingual ? 6 : 8),
        json.integer("relative_attention_num_buckets", 2, 4096, 32),
        json.integer("relative_attention_max_distance", 2, LARGEST, 128),
        type.equals("umt5"),
        epsilon(json),
        activation(json, projection),
        gated,
        tied,
        json.bool("scale_decoder_outputs", scales(type, tied)),
        dropoutRate(json),
        generation.startToken(vocab),
        json.integer("pad_token_id", 0, vocab - 1, 0),
        generation.endTokens(vocab));
  }

  /** Refuses the folder of another model by its own name. */
  private static String supportedType(JsonObject json) {
    String type = json.optionalText("model_type").orElse("t5");
    if (TYPES.contains(type)) {
      List<String> architectures = json.texts("architectures");
      if (!json.has("model_type")
          && !architectures.isEmpty()
          && !architectures.getFirst().matches("U?M?T5.*")) {
        type = architectures.getFirst();
      } else {
        if (!architectures.isEmpty()
            && !architectures
                .getFirst()
                .matches(
                    "U?M?T5(ForConditionalGeneration|WithLMHeadModel|ForTokenClassification)")) {
          Notes.say(
              json.where()
                  + " describes a "
                  + architectures.getFirst()
                  + ": its encoder and decoder are read as a model that generates");
        }
        return type;
      }
    }
    throw new InvalidInputException(
        json.where()
            + " describes a model of type "
            + TensorNames.shown(type)
            + ", not a T5: give a folder of T5, FLAN-T5, mT5, UMT5 or ByT5 (model_type t5, mt5 or"
            + " umt5)");
  }

  /**
   * Returns whether the decoder's output is scaled where the configuration does not say. So does
   * transformers 5: a T5 that is tied, every UMT5 and no mT5, whatever their configurations tie.
   */
  private static boolean scales(String type, boolean tied) {
    return switch (type) {
      case "mt5" -> false;
      case "umt5" -> true;
      default -> tied;
    };
  }

  /** Reads a size that has two names. */
  private static int size(JsonObject json, String key, String other, int most, int otherwise) {
    int size = json.integer(other, 1, most, json.integer(key, 1, most, otherwise));
    if (json.has(key) && size != json.integer(key, 1, most)) {
      throw json.wrong(other, "the same as " + key + ", whose other name it is");
    }
    return size;
  }

  private static float epsilon(JsonObject json) {
    double epsilon = json.number("layer_norm_epsilon", 1e-6);
    if (!(epsilon > 0 && epsilon < 1)) {
      throw json.wrong("layer_norm_epsilon", "a number above 0 and below 1");
    }
    return (float) epsilon;
  }

  private static float dropoutRate(JsonObject json) {
    double rate = json.number("dropout_rate", 0.1);
    if (!(rate >= 0 && rate < 1)) {
      throw json.wrong("dropout_rate", "a number from 0 up to, not including, 1");
    }
    return (float) rate;
  }

  /** Reads the activation: {@code dense_act_fn} counts where the two keys differ. */
  private static Activation activation(JsonObject json, String projection) {
    String named = projection.substring(projection.startsWith("gated-") ? "gated-".length() : 0);
    // FLAN-T5 writes "gated-gelu" and means the tanh form, which transformers calls gelu_new.
    boolean tanh = projection.toLowerCase(Locale.ROOT).equals("gated-gelu");
    Activation projected = activation(json, "feed_forward_proj", tanh ? "gelu_new" : named);
    return json.has("dense_act_fn")
        ? activation(json, "dense_act_fn", json.text("dense_act_fn"))
        : projected;
  }

  private static Activation activation(JsonObject json, String key, String name) {
    return switch (name.toLowerCase(Locale.ROOT)) {
      case "relu" -> Activation.RELU;
      case "gelu" -> Activation.GELU_ERF;
      case "gelu_new", "gelu_pytorch_tanh", "gelu_fast" -> Activation.GELU_TANH;
      case "silu", "swish" -> Activation.SILU;
      default -> throw json.wrong(key, "relu, gelu, gelu_new or silu, perhaps with gated- before");
    };
  }

  /** Returns the first of the tokens that end a sequence. */
  public int eosTokenId() {
    return eosTokenIds.getFirst();
  }

  /** Returns whether a token ends a sequence. */
  public boolean ends(int token) {
    return eosTokenIds.contains(token);
  }

  /** Returns the width of all heads together. */
  public int inner() {
    return numHeads * dKv;
  }

  /** Returns the number of multiplications with which the encoder reads a source. */
  public double encoderWork(int tokens) {
    double weights = (double) dModel * (4.0 * inner() + (gated ? 3.0 : 2.0) * dFf);
    double attention = 2.0 * inner() * tokens;
    return numLayers * (weights + attention) * tokens;
  }

  /** Returns the factor of the decoder's output before the output layer. */
  public float outputScale() {
    return scaleDecoderOutputs ? (float) (1 / Math.sqrt(dModel)) : 1f;
  }

  /** Returns the name and shape of every tensor of a checkpoint of this configuration. */
  public Map<String, long[]> tensorShapes() {
    Map<String, long[]> shapes = new LinkedHashMap<>();
    shapes.put("shared.weight", new long[] {vocabSize, dModel});
    stackShapes(shapes, "encoder", numLayers, false);
    stackShapes(shapes, "decoder", numDecoderLayers, true);
    if (!tieWordEmbeddings) {
      shapes.put("lm_head.weight", new long[] {vocabSize, dModel});
    }
    return shapes;
  }

  private void stackShapes(Map<String, long[]> shapes, String stack, int layers, boolean cross) {
    long[] in = {inner(), dModel};
    long[] out = {dModel, inner()};
    long[] norm = {dModel};
    for (int i = 0; i < layers; i++) {
      String layer = stack + ".block." + i + ".layer.";
      attentionShapes(shapes, layer + "0.SelfAttention.", in, out);
      if (i == 0 || biasInEveryLayer) {
        shapes.put(
            layer + "0.SelfAttention.relative_attention_bias.weight",
            new long[] {relativeAttentionNumBuckets, numHeads});
      }
      shapes.put(layer + "0.layer_norm.weight", norm);
      if (cross) {
        attentionShapes(shapes, layer + "1.EncDecAttention.", in, out);
        shapes.put(layer + "1.layer_norm.weight", norm);
      }
      String forward = layer + (cross ? "2" : "1");
      for (String name : gated ? List.of("wi_0", "wi_1") : List.of("wi")) {
        shapes.put(forward + ".DenseReluDense." + name + ".weight", new long[] {dFf, dModel});
      }
      shapes.put(forward + ".DenseReluDense.wo.weight", new long[] {dModel, dFf});
      shapes.put(forward + ".layer_norm.weight", norm);
    }
    shapes.put(stack + ".final_layer_norm.weight", norm);
  }

  private static void attentionShapes(
      Map<String, long[]> shapes, String attention, long[] in, long[] out) {
    shapes.put(attention + "q.weight", in);
    shapes.put(attention + "k.weight", in);
    shapes.put(attention + "v.weight", in);
    shapes.put(attention + "o.weight", out);
  }
}
