package dev.precis.encoder;

import dev.precis.checkpoint.ConfigKeys;
import dev.precis.io.InvalidInputException;
import dev.precis.io.JsonObject;
import dev.precis.ops.Activation;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;

/**
 * Families of encoders with a classification head. They are one network, a transformer that norms
 * after each sublayer, and differ in the names of their tensors, their embeddings and their head:
 *
 * <pre>
 *   logits = out(act(dense(x of the first token)))
 * </pre>
 */
public enum EncoderFamily {
  /** RoBERTa (Liu et al. 2019). */
  ROBERTA(
      "roberta",
      "Roberta",
      ConfigKeys.ROBERTA,
      Names.BERT,
      new Head("classifier.dense", "classifier.out_proj", Activation.TANH, true)),
  /** XLM-RoBERTa (Conneau et al. 2020): a RoBERTa of many languages. */
  XLM_ROBERTA(
      "xlm-roberta",
      "XLMRoberta",
      ConfigKeys.ROBERTA,
      Names.BERT,
      new Head("classifier.dense", "classifier.out_proj", Activation.TANH, true)),
  /** BERT (Devlin et al. 2019). */
  BERT(
      "bert",
      "Bert",
      ConfigKeys.BERT,
      Names.BERT,
      new Head("bert.pooler.dense", "classifier", Activation.TANH, false)),
  /** DistilBERT (Sanh et al. 2019), which has no token types. */
  DISTILBERT(
      "distilbert",
      "DistilBert",
      ConfigKeys.DISTILBERT,
      Names.DISTILBERT,
      new Head("pre_classifier", "classifier", Activation.RELU, false)),
  /** ELECTRA's discriminator (Clark et al. 2020), whose embeddings may be narrower. */
  ELECTRA(
      "electra",
      "Electra",
      ConfigKeys.ELECTRA,
      Names.BERT,
      new Head("classifier.dense", "classifier.out_proj", Activation.GELU_ERF, true)),
  /** DeBERTa of the versions 2 and 3 (He et al. 2021), whose attention has relative positions. */
  DEBERTA(
      "deberta-v2",
      "DebertaV2",
      ConfigKeys.DEBERTA,
      Names.DEBERTA,
      new Head("pooler.dense", "classifier", Activation.GELU_ERF, true));

  /**
   * The classification head.
   *
   * @param dense its first layer's tensors, without {@code .weight}
   * @param out its second layer's
   * @param activation between the two
   * @param dropsInput whether training drops elements of what {@code dense} reads, too
   */
  public record Head(String dense, String out, Activation activation, boolean dropsInput) {}

  /**
   * Names of a layer's tensors, behind the layer's own prefix.
   *
   * @param layers stands before the layer's number
   */
  record Names(
      String layers,
      String query,
      String key,
      String value,
      String attentionOut,
      String attentionNorm,
      String feedForwardIn,
      String feedForwardOut,
      String feedForwardNorm) {
    static final Names BERT =
        new Names(
            "encoder.layer.",
            "attention.self.query",
            "attention.self.key",
            "attention.self.value",
            "attention.output.dense",
            "attention.output.LayerNorm",
            "intermediate.dense",
            "output.dense",
            "output.LayerNorm");
    static final Names DEBERTA =
        new Names(
            BERT.layers,
            "attention.self.query_proj",
            "attention.self.key_proj",
            "attention.self.value_proj",
            BERT.attentionOut,
            BERT.attentionNorm,
            BERT.feedForwardIn,
            BERT.feedForwardOut,
            BERT.feedForwardNorm);
    static final Names DISTILBERT =
        new Names(
            "transformer.layer.",
            "attention.q_lin",
            "attention.k_lin",
            "attention.v_lin",
            "attention.out_lin",
            "sa_layer_norm",
            "ffn.lin1",
            "ffn.lin2",
            "output_layer_norm");
  }

  private final String modelType;
  private final String className;
  private final ConfigKeys keys;
  private final Names names;
  private final Head head;

  EncoderFamily(String modelType, String className, ConfigKeys keys, Names names, Head head) {
    this.modelType = modelType;
    this.className = className;
    this.keys = keys;
    this.names = names;
    this.head = head;
  }

  /**
   * Returns the family of a configuration: {@code model_type}, RoBERTa where it is missing.
   *
   * @throws InvalidInputException if it is of none of them
   */
  static EncoderFamily of(JsonObject config) {
    String type = config.optionalText("model_type").orElse(ROBERTA.modelType);
    return Arrays.stream(values())
        .filter(each -> each.modelType.equals(type))
        .findFirst()
        .orElseThrow(
            () ->
                new InvalidInputException(
                    config.where()
                        + " describes a model of type "
                        + type
                        + ", not a RoBERTa, BERT, DistilBERT, ELECTRA or DeBERTa: give the folder"
                        + " of a classifier with model_type "
                        + Arrays.stream(values())
                            .map(EncoderFamily::modelType)
                            .collect(Collectors.joining(", "))));
  }

  /** Returns the values of {@code model_type} that name a family. */
  public static List<String> modelTypes() {
    return Arrays.stream(values()).map(EncoderFamily::modelType).toList();
  }

  /** Returns its {@code model_type}. */
  public String modelType() {
    return modelType;
  }

  /** Returns transformers' name of the class with the classification head. */
  public String architecture() {
    return className + "ForSequenceClassification";
  }

  /** Returns the head. */
  public Head head() {
    return head;
  }

  ConfigKeys keys() {
    return keys;
  }

  Names names() {
    return names;
  }

  /** Returns the beginning of the names of all tensors but the head's. */
  public String prefix() {
    return isRoberta() ? "roberta." : this == DEBERTA ? "deberta." : modelType + ".";
  }

  /** Returns whether it is a RoBERTa, whose positions count from behind the padding's id. */
  boolean isRoberta() {
    return this == ROBERTA || this == XLM_ROBERTA;
  }
}
