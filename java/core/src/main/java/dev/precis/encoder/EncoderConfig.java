package dev.precis.encoder;

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
 * The shape of an encoder that classifies sequences, as {@code config.json} gives it.
 *
 * @param family the names of its tensors and the form of its head
 * @param vocabSize rows of the embedding
 * @param embeddingSize width of the embeddings; where it is not hiddenSize, as in an ELECTRA, they
 *     are projected
 * @param hiddenSize width of the residual stream
 * @param intermediateSize width of the feed-forward layer
 * @param maxPositions rows of the position embedding; of a RoBERTa's the first {@code padTokenId +
 *     1} are not for tokens
 * @param typeVocabSize rows of the token type embedding; 0: there is none
 * @param hiddenDropout probability with which training drops an element of a layer's output
 * @param attentionDropout likewise of an attention probability
 * @param classifierDropout likewise of what the head reads
 * @param labels the classes' names, in the order of the logits
 * @param multiLabel whether each class stands for itself: its probability is the logit's sigmoid,
 *     else that of a softmax over all
 */
public record EncoderConfig(
    EncoderFamily family,
    int vocabSize,
    int embeddingSize,
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

  private static final int LARGEST = 1 << 20;
  private static final int MOST_LABELS = 10_000;

  /** Keeps its own copy of the labels. */
  public EncoderConfig {
    labels = List.copyOf(labels);
  }

  /**
   * Reads {@code config.json} of a model folder.
   *
   * @throws InvalidInputException where it is missing, is of no family known here, or makes no
   *     sense
   */
  public static EncoderConfig read(Path folder) {
    Path file = ModelFolder.config(folder);
    JsonObject json = Json.readObject(file);
    EncoderFamily family = EncoderFamily.of(json);
    family.keys().check(json);
    requireSupported(json);
    return family == EncoderFamily.DISTILBERT ? distilBert(json) : bert(json, family);
  }

  private static EncoderConfig bert(JsonObject json, EncoderFamily family) {
    boolean roberta = family.isRoberta();
    int vocab = vocabSize(json, roberta);
    int hidden = json.integer("hidden_size", 1, LARGEST, 768);
    int heads = json.integer("num_attention_heads", 1, 1024, 12);
    if (hidden % heads != 0) {
      throw json.wrong("hidden_size", "a multiple of num_attention_heads, which is " + heads);
    }
    int pad = json.integer("pad_token_id", 0, vocab - 1, roberta ? 1 : 0);
    float hiddenDropout = rate(json, "hidden_dropout_prob", 0.1);
    List<String> labels = labels(json);
    return new EncoderConfig(
        family,
        vocab,
        family == EncoderFamily.ELECTRA ? json.integer("embedding_size", 1, LARGEST, 128) : hidden,
        hidden,
        json.integer("intermediate_size", 1, LARGEST, 3072),
        json.integer("num_hidden_layers", 1, 1024, 12),
        heads,
        json.integer("max_position_embeddings", roberta ? pad + 4 : 4, LARGEST, 512),
        json.integer("type_vocab_size", 1, 1024, 2),
        epsilon(json),
        activation(json, "hidden_act"),
        hiddenDropout,
        rate(json, "attention_probs_dropout_prob", 0.1),
        rate(json, "classifier_dropout", hiddenDropout),
        pad,
        labels,
        multiLabel(json, labels));
  }

  private static EncoderConfig distilBert(JsonObject json) {
    int vocab = vocabSize(json, false);
    int hidden = size(json, "dim", "hidden_size", LARGEST, 768);
    int heads = size(json, "n_heads", "num_attention_heads", 1024, 12);
    if (hidden % heads != 0) {
      throw json.wrong("dim", "a multiple of n_heads, which is " + heads);
    }
    List<String> labels = labels(json);
    return new EncoderConfig(
        EncoderFamily.DISTILBERT,
        vocab,
        hidden,
        hidden,
        json.integer("hidden_dim", 1, LARGEST, 3072),
        size(json, "n_layers", "num_hidden_layers", 1024, 6),
        heads,
        json.integer("max_position_embeddings", 4, LARGEST, 512),
        0,
        1e-12f,
        activation(json, "activation"),
        rate(json, "dropout", 0.1),
        rate(json, "attention_dropout", 0.1),
        rate(json, "seq_classif_dropout", 0.2),
        json.integer("pad_token_id", 0, vocab - 1, 0),
        labels,
        multiLabel(json, labels));
  }

  /** Reads the vocabulary's size, which a RoBERTa must give; the others have BERT's. */
  private static int vocabSize(JsonObject json, boolean needed) {
    return needed
        ? json.integer("vocab_size", 1, 1 << 24)
        : json.integer("vocab_size", 1, 1 << 24, 30522);
  }

  /** Reads a size that has two names. */
  private static int size(JsonObject json, String key, String other, int most, int otherwise) {
    int size = json.integer(other, 1, most, json.integer(key, 1, most, otherwise));
    if (json.has(key) && size != json.integer(key, 1, most)) {
      throw json.wrong(other, "the same as " + key + ", whose other name it is");
    }
    return size;
  }

  private static boolean multiLabel(JsonObject json, List<String> labels) {
    return labels.size() == 1
        || json.optionalText("problem_type")
            .filter("multi_label_classification"::equals)
            .isPresent();
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

  private static Activation activation(JsonObject json, String key) {
    return switch (json.optionalText(key).orElse("gelu")) {
      case "gelu" -> Activation.GELU_ERF;
      case "gelu_new", "gelu_pytorch_tanh" -> Activation.GELU_TANH;
      case "relu" -> Activation.RELU;
      case "silu", "swish" -> Activation.SILU;
      default -> throw json.wrong(key, "gelu, gelu_new, relu or silu");
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
    return family.isRoberta() ? maxPositions - padTokenId - 1 : maxPositions;
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
        family,
        vocabSize,
        embeddingSize,
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
    String embeddings = family.prefix() + "embeddings.";
    shapes.put(embeddings + "word_embeddings.weight", new long[] {vocabSize, embeddingSize});
    shapes.put(embeddings + "position_embeddings.weight", new long[] {maxPositions, embeddingSize});
    if (typeVocabSize > 0) {
      shapes.put(
          embeddings + "token_type_embeddings.weight", new long[] {typeVocabSize, embeddingSize});
    }
    norm(shapes, embeddings + "LayerNorm", embeddingSize);
    if (projectsEmbeddings()) {
      linear(shapes, projection(), hiddenSize, embeddingSize);
    }
    EncoderFamily.Names names = family.names();
    for (int i = 0; i < numLayers; i++) {
      String layer = layer(i);
      for (String name : List.of(names.query(), names.key(), names.value())) {
        linear(shapes, layer + name, hiddenSize, hiddenSize);
      }
      linear(shapes, layer + names.attentionOut(), hiddenSize, hiddenSize);
      norm(shapes, layer + names.attentionNorm(), hiddenSize);
      linear(shapes, layer + names.feedForwardIn(), intermediateSize, hiddenSize);
      linear(shapes, layer + names.feedForwardOut(), hiddenSize, intermediateSize);
      norm(shapes, layer + names.feedForwardNorm(), hiddenSize);
    }
    linear(shapes, family.head().dense(), hiddenSize, hiddenSize);
    linear(shapes, family.head().out(), labels.size(), hiddenSize);
    return shapes;
  }

  /** Returns the beginning of the names of a layer's tensors. */
  String layer(int index) {
    return family.prefix() + family.names().layers() + index + ".";
  }

  /** Returns whether the embeddings are narrower or wider than the residual stream. */
  boolean projectsEmbeddings() {
    return embeddingSize != hiddenSize;
  }

  /** Returns the name of the layer that projects the embeddings. */
  String projection() {
    return family.prefix() + "embeddings_project";
  }

  private static void norm(Map<String, long[]> shapes, String name, long size) {
    shapes.put(name + ".weight", new long[] {size});
    shapes.put(name + ".bias", new long[] {size});
  }

  private static void linear(Map<String, long[]> shapes, String name, long outputs, long inputs) {
    shapes.put(name + ".weight", new long[] {outputs, inputs});
    shapes.put(name + ".bias", new long[] {outputs});
  }
}
