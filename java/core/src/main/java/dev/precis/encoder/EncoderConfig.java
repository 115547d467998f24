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
import java.util.Locale;
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
 * @param relative a DeBERTa's relative positions; null: there are none
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
    RelativePositions relative,
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
    return switch (family) {
      case DISTILBERT -> distilBert(json);
      case DEBERTA -> deberta(json);
      default -> bert(json, family);
    };
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
        epsilon(json, 1e-12),
        activation(json, "hidden_act"),
        hiddenDropout,
        rate(json, "attention_probs_dropout_prob", 0.1),
        rate(json, "classifier_dropout", hiddenDropout),
        pad,
        null,
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
        null,
        labels,
        multiLabel(json, labels));
  }

  private static EncoderConfig deberta(JsonObject json) {
    int vocab = json.integer("vocab_size", 1, 1 << 24, 128100);
    int hidden = json.integer("hidden_size", 1, LARGEST, 1536);
    int heads = json.integer("num_attention_heads", 1, 1024, 24);
    if (hidden % heads != 0) {
      throw json.wrong("hidden_size", "a multiple of num_attention_heads, which is " + heads);
    }
    requireSize(json, "attention_head_size", hidden / heads, "hidden_size / num_attention_heads");
    requireSize(json, "embedding_size", hidden, "hidden_size");
    requireSize(json, "pooler_hidden_size", hidden, "hidden_size");
    if (json.integer("conv_kernel_size", 0, LARGEST, 0) > 0) {
      throw json.wrong(
          "conv_kernel_size",
          "0: a DeBERTa with a convolution, as the large ones of v2, is not read");
    }
    if (!json.optionalText("pooler_hidden_act").orElse("gelu").equals("gelu")) {
      throw json.wrong("pooler_hidden_act", "gelu");
    }
    int maxPositions = json.integer("max_position_embeddings", 4, LARGEST, 512);
    float hiddenDropout = rate(json, "hidden_dropout_prob", 0.1);
    List<String> labels = labels(json);
    return new EncoderConfig(
        EncoderFamily.DEBERTA,
        vocab,
        hidden,
        hidden,
        json.integer("intermediate_size", 1, LARGEST, 6144),
        json.integer("num_hidden_layers", 1, 1024, 24),
        heads,
        maxPositions,
        json.integer("type_vocab_size", 0, 1024, 0),
        epsilon(json, 1e-7),
        activation(json, "hidden_act"),
        hiddenDropout,
        rate(json, "attention_probs_dropout_prob", 0.1),
        rate(json, "cls_dropout", hiddenDropout),
        json.integer("pad_token_id", 0, vocab - 1, 0),
        relativePositions(json, maxPositions),
        labels,
        multiLabel(json, labels));
  }

  private static void requireSize(JsonObject json, String key, int size, String reason) {
    if (json.integer(key, 1, LARGEST, size) != size) {
      throw json.wrong(key, size + ", as " + reason + " makes it");
    }
  }

  private static RelativePositions relativePositions(JsonObject json, int maxPositions) {
    if (!json.bool("relative_attention", false)) {
      throw json.wrong(
          "relative_attention", "true: a DeBERTa without relative positions is not supported");
    }
    int buckets = Math.max(0, json.integer("position_buckets", -1, LARGEST, -1));
    int maxDistance = json.integer("max_relative_positions", -1, LARGEST, -1);
    maxDistance = maxDistance < 1 ? maxPositions : maxDistance;
    if (buckets > 0 && (buckets == 1 || maxDistance - 1 <= buckets / 2)) {
      throw json.wrong(
          "position_buckets",
          "2 or more, or -1, and at most twice the farthest distance, which is "
              + (maxDistance - 1));
    }
    List<String> terms = new ArrayList<>();
    if (json.has("pos_att_type") && json.node().get("pos_att_type").isString()) {
      for (String term : json.text("pos_att_type").toLowerCase(Locale.ROOT).split("\\|")) {
        terms.add(term.strip());
      }
    } else if (json.has("pos_att_type")) {
      terms.addAll(json.texts("pos_att_type"));
    }
    if (!List.of("c2p", "p2c").containsAll(terms)) {
      throw json.wrong("pos_att_type", "c2p, p2c or both");
    }
    return new RelativePositions(
        buckets,
        maxDistance,
        json.bool("share_att_key", false),
        terms.contains("c2p"),
        terms.contains("p2c"),
        List.of(
                json.optionalText("norm_rel_ebd")
                    .orElse("none")
                    .toLowerCase(Locale.ROOT)
                    .split("\\|"))
            .stream()
            .anyMatch(each -> each.strip().equals("layer_norm")),
        json.bool("position_biased_input", true));
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

  private static float epsilon(JsonObject json, double otherwise) {
    double epsilon = json.number("layer_norm_eps", otherwise);
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

  /**
   * Makes sure that a model of this shape can be trained.
   *
   * @throws InvalidInputException for a DeBERTa
   */
  public void requireTrainable() {
    if (relative != null) {
      throw new InvalidInputException(
          "A DeBERTa (model_type "
              + family.modelType()
              + ") gives scores here and cannot be trained: choose a RoBERTa, BERT, DistilBERT or"
              + " ELECTRA");
    }
  }

  /** Returns the same shape with other classes, of which one is true. */
  public EncoderConfig withLabels(List<String> labels) {
    return with(
        numLayers, labels, labels.size() == 1, hiddenDropout, attentionDropout, classifierDropout);
  }

  /** Returns the same shape with one dropout everywhere. */
  public EncoderConfig withDropout(float dropout) {
    return with(numLayers, labels, multiLabel, dropout, dropout, dropout);
  }

  /** Returns the same shape with the first layers alone. */
  public EncoderConfig withLayers(int layers) {
    return with(layers, labels, multiLabel, hiddenDropout, attentionDropout, classifierDropout);
  }

  private EncoderConfig with(
      int layers,
      List<String> labels,
      boolean multiLabel,
      float hidden,
      float attention,
      float classifier) {
    return new EncoderConfig(
        family,
        vocabSize,
        embeddingSize,
        hiddenSize,
        intermediateSize,
        layers,
        numHeads,
        maxPositions,
        typeVocabSize,
        layerNormEpsilon,
        activation,
        hidden,
        attention,
        classifier,
        padTokenId,
        relative,
        labels,
        multiLabel);
  }

  /** Returns the name and shape of every tensor of a checkpoint of this configuration. */
  public Map<String, long[]> tensorShapes() {
    Map<String, long[]> shapes = new LinkedHashMap<>();
    String embeddings = family.prefix() + "embeddings.";
    shapes.put(embeddings + "word_embeddings.weight", new long[] {vocabSize, embeddingSize});
    if (hasAbsolutePositions()) {
      shapes.put(
          embeddings + "position_embeddings.weight", new long[] {maxPositions, embeddingSize});
    }
    if (typeVocabSize > 0) {
      shapes.put(
          embeddings + "token_type_embeddings.weight", new long[] {typeVocabSize, embeddingSize});
    }
    norm(shapes, embeddings + "LayerNorm", embeddingSize);
    if (projectsEmbeddings()) {
      linear(shapes, projection(), hiddenSize, embeddingSize);
    }
    if (relative != null) {
      shapes.put(relativeTable(), new long[] {2L * relative.span(), hiddenSize});
      if (relative.normalized()) {
        norm(shapes, relativeNorm(), hiddenSize);
      }
    }
    EncoderFamily.Names names = family.names();
    for (int i = 0; i < numLayers; i++) {
      String layer = layer(i);
      if (relative != null && !relative.shared() && relative.byQuery()) {
        linear(shapes, positionKeys(i), hiddenSize, hiddenSize);
      }
      if (relative != null && !relative.shared() && relative.byKey()) {
        linear(shapes, positionQueries(i), hiddenSize, hiddenSize);
      }
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

  /** Returns whether positions are added to the embeddings. */
  boolean hasAbsolutePositions() {
    return relative == null || relative.absolute();
  }

  /** Returns the name of the table of relative positions. */
  String relativeTable() {
    return family.prefix() + "encoder.rel_embeddings.weight";
  }

  /** Returns the name of the norm that it goes through. */
  String relativeNorm() {
    return family.prefix() + "encoder.LayerNorm";
  }

  /** Returns the name of a layer's projection of relative positions that is for keys. */
  String positionKeys(int layer) {
    return layer(layer) + "attention.self.pos_key_proj";
  }

  /** Returns the name of that which is for queries. */
  String positionQueries(int layer) {
    return layer(layer) + "attention.self.pos_query_proj";
  }

  /**
   * Returns the largest distance of a query from a key that {@link PositionTables} hold: longer
   * ones have the same row, or do not occur.
   */
  int reach() {
    int reach = 0;
    while (reach < maxPositions - 1 && !relative.isLast(reach)) {
      reach++;
    }
    return reach;
  }

  /** Returns the elements of all layers' tables of projected relative positions, 0 without any. */
  public long positionTableElements() {
    if (relative == null) {
      return 0;
    }
    int tables = (relative.byQuery() ? 1 : 0) + (relative.byKey() ? 1 : 0);
    return (2L * reach() + 1) * hiddenSize * tables * numLayers;
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
