package dev.precis.encoder;

import dev.precis.checkpoint.ConfigKeys;
import dev.precis.checkpoint.ModelFolder;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.io.JsonObject;
import dev.precis.ops.Activation;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The shape of a RoBERTa that classifies sequences (Liu et al. 2019), as {@code config.json} gives
 * it.
 *
 * @param vocabSize rows of the embedding
 * @param hiddenSize width of the residual stream
 * @param intermediateSize width of the feed-forward layer
 * @param maxPositions rows of the position embedding; the first {@code padTokenId + 1} are not for
 *     tokens
 * @param typeVocabSize rows of the token type embedding, of which only the first is used
 * @param hiddenDropout probability with which training drops an element of a layer's output
 * @param attentionDropout likewise of an attention probability
 * @param classifierDropout likewise of what the head reads
 * @param labels the classes' names, in the order of the logits
 * @param multiLabel whether each class stands for itself: its probability is the logit's sigmoid,
 *     else that of a softmax over all
 */
public record EncoderConfig(
    int vocabSize,
    int hiddenSize,
    int intermediateSize,
    int numLayers,
    int numHeads,
    int maxPositions,
    int typeVocabSize,
    float layerNormEpsilon,
    Activation activation,
    float hiddenDropout,
    float attentionDropout,
    float classifierDropout,
    int padTokenId,
    List<String> labels,
    boolean multiLabel) {

  /** The beginning of the names of all tensors but the head's. */
  static final String PREFIX = "roberta.";

  /** The beginning of the names of the head's tensors. */
  static final String HEAD = "classifier.";

  private static final int LARGEST = 1 << 20;
  private static final int MOST_LABELS = 10_000;

  /** Keeps its own copy of the labels. */
  public EncoderConfig {
    labels = List.copyOf(labels);
  }

  /**
   * Reads {@code config.json} of a model folder.
   *
   * @throws InvalidInputException where it is missing, is not a RoBERTa's, or makes no sense
   */
  public static EncoderConfig read(Path folder) {
    Path file = ModelFolder.config(folder);
    JsonObject json = Json.readObject(file);
    String type = json.optionalText("model_type").orElse("roberta");
    if (!type.equals("roberta")) {
      throw new InvalidInputException(
          file + " describes a model of type " + type + ", not a RoBERTa: give a RoBERTa folder");
    }
    ConfigKeys.ROBERTA.check(json);
    requireSupported(json);
    int vocab = json.integer("vocab_size", 1, 1 << 24);
    int hidden = json.integer("hidden_size", 1, LARGEST, 768);
    int heads = json.integer("num_attention_heads", 1, 1024, 12);
    if (hidden % heads != 0) {
      throw json.wrong("hidden_size", "a multiple of num_attention_heads, which is " + heads);
    }
    int pad = json.integer("pad_token_id", 0, vocab - 1, 1);
    float hiddenDropout = rate(json, "hidden_dropout_prob", 0.1);
    List<String> labels = labels(json);
    return new EncoderConfig(
        vocab,
        hidden,
        json.integer("intermediate_size", 1, LARGEST, 3072),
        json.integer("num_hidden_layers", 1, 1024, 12),
        heads,
        json.integer("max_position_embeddings", pad + 4, LARGEST, 512),
        json.integer("type_vocab_size", 1, 1024, 2),
        epsilon(json),
        activation(json),
        hiddenDropout,
        rate(json, "attention_probs_dropout_prob", 0.1),
        rate(json, "classifier_dropout", hiddenDropout),
        pad,
        labels,
        labels.size() == 1
            || json.optionalText("problem_type")
                .filter("multi_label_classification"::equals)
                .isPresent());
  }

  private static void requireSupported(JsonObject json) {
    if (!json.optionalText("position_embedding_type").orElse("absolute").equals("absolute")) {
      throw json.wrong("position_embedding_type", "absolute");
    }
    if (json.bool("is_decoder", false)) {
      throw json.wrong("is_decoder", "false: a classifier reads both ways");
    }
    if (json.bool("add_cross_attention", false)) {
      throw json.wrong("add_cross_attention", "false");
    }
  }

  private static float epsilon(JsonObject json) {
    double epsilon = json.number("layer_norm_eps", 1e-12);
    if (!(epsilon > 0 && epsilon < 1)) {
      throw json.wrong("layer_norm_eps", "a number above 0 and below 1");
    }
    return (float) epsilon;
  }

  private static float rate(JsonObject json, String key, double otherwise) {
    double rate = json.number(key, otherwise);
    if (!(rate >= 0 && rate < 1)) {
      throw json.wrong(key, "a number from 0 up to, not including, 1");
    }
    return (float) rate;
  }

  private static Activation activation(JsonObject json) {
    return switch (json.optionalText("hidden_act").orElse("gelu")) {
      case "gelu" -> Activation.GELU_ERF;
      case "gelu_new", "gelu_pytorch_tanh" -> Activation.GELU_TANH;
      case "relu" -> Activation.RELU;
      case "silu", "swish" -> Activation.SILU;
      default -> throw json.wrong("hidden_act", "gelu, gelu_new, relu or silu");
    };
  }

  /** Reads {@code id2label}; without it makes up as many names as {@code num_labels}, or two. */
  private static List<String> labels(JsonObject json) {
    List<String> labels = new ArrayList<>();
    JsonObject names = json.object("id2label");
    if (names.keys().isEmpty()) {
      int count = json.integer("num_labels", 1, MOST_LABELS, 2);
      for (int i = 0; i < count; i++) {
        labels.add("LABEL_" + i);
      }
      return labels;
    }
    for (int i = 0; i < names.keys().size(); i++) {
      String label = names.text(Integer.toString(i));
      if (labels.contains(label)) {
        throw json.wrong("id2label", "a different name for each class");
      }
      labels.add(label);
    }
    // label2id says nothing about scores: people edit id2label by hand and leave it as it was.
    return labels;
  }

  /** Returns the most tokens that a sequence can have: the positions that are for tokens. */
  public int maxTokens() {
    return maxPositions - padTokenId - 1;
  }

  /** Returns the same shape with other classes, of which one is true. */
  public EncoderConfig withLabels(List<String> labels) {
    return with(labels, labels.size() == 1, hiddenDropout, attentionDropout, classifierDropout);
  }

  /** Returns the same shape with one dropout everywhere. */
  public EncoderConfig withDropout(float dropout) {
    return with(labels, multiLabel, dropout, dropout, dropout);
  }

  private EncoderConfig with(
      List<String> labels, boolean multiLabel, float hidden, float attention, float classifier) {
    return new EncoderConfig(
        vocabSize,
        hiddenSize,
        intermediateSize,
        numLayers,
        numHeads,
        maxPositions,
        typeVocabSize,
        layerNormEpsilon,
        activation,
        hidden,
        attention,
        classifier,
        padTokenId,
        labels,
        multiLabel);
  }

  /** Returns the name and shape of every tensor of a checkpoint of this configuration. */
  public Map<String, long[]> tensorShapes() {
    Map<String, long[]> shapes = new LinkedHashMap<>();
    String embeddings = PREFIX + "embeddings.";
    shapes.put(embeddings + "word_embeddings.weight", new long[] {vocabSize, hiddenSize});
    shapes.put(embeddings + "position_embeddings.weight", new long[] {maxPositions, hiddenSize});
    shapes.put(embeddings + "token_type_embeddings.weight", new long[] {typeVocabSize, hiddenSize});
    norm(shapes, embeddings + "LayerNorm");
    for (int i = 0; i < numLayers; i++) {
      String layer = PREFIX + "encoder.layer." + i + ".";
      for (String name : List.of("query", "key", "value")) {
        linear(shapes, layer + "attention.self." + name, hiddenSize, hiddenSize);
      }
      linear(shapes, layer + "attention.output.dense", hiddenSize, hiddenSize);
      norm(shapes, layer + "attention.output.LayerNorm");
      linear(shapes, layer + "intermediate.dense", intermediateSize, hiddenSize);
      linear(shapes, layer + "output.dense", hiddenSize, intermediateSize);
      norm(shapes, layer + "output.LayerNorm");
    }
    linear(shapes, HEAD + "dense", hiddenSize, hiddenSize);
    linear(shapes, HEAD + "out_proj", labels.size(), hiddenSize);
    return shapes;
  }

  private void norm(Map<String, long[]> shapes, String name) {
    shapes.put(name + ".weight", new long[] {hiddenSize});
    shapes.put(name + ".bias", new long[] {hiddenSize});
  }

  private static void linear(Map<String, long[]> shapes, String name, long outputs, long inputs) {
    shapes.put(name + ".weight", new long[] {outputs, inputs});
    shapes.put(name + ".bias", new long[] {outputs});
  }
}
