package dev.precis.encoder;

import dev.precis.checkpoint.Checkpoint;
import dev.precis.io.InvalidInputException;
import dev.precis.layers.Linear;
import dev.precis.layers.Parameters;
import dev.precis.layers.WeightLoader;
import dev.precis.ops.Attention;
import dev.precis.ops.Ops;
import dev.precis.ops.Weight;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;

/**
 * The weights of an encoder with a head, packed for the kernels.
 *
 * @param words (vocab, width of the embeddings), float32 or bfloat16
 * @param positions (positions, width) float32; null: none are added to the embeddings
 * @param types (token types, width) float32; null: there are none
 * @param type (width) float32: the first of them, which every token of a single text has
 * @param norm of the embeddings
 * @param projection width -> hidden; null: the embeddings have the stream's width
 * @param dense the head's first layer, hidden -> hidden, float32; null: there is no head
 * @param outProjection the head's second layer, hidden -> labels, float32; null likewise
 */
public record EncoderWeights(
    EncoderConfig config,
    Weight words,
    Weight positions,
    Weight types,
    Weight type,
    Norm norm,
    Linear projection,
    List<Layer> layers,
    Linear dense,
    Linear outProjection) {
  /** A layer norm. */
  public record Norm(Weight weight, Weight bias) {}

  /**
   * One layer.
   *
   * @param qkv hidden -> 3 hidden: queries, keys and values
   * @param disentangled attention with relative positions, a DeBERTa's; null: there are none
   */
  public record Layer(
      Linear qkv,
      Linear attentionOut,
      Norm attentionNorm,
      Linear feedForwardIn,
      Linear feedForwardOut,
      Norm feedForwardNorm,
      Attention.Disentangled disentangled) {
    Layer with(Attention.Disentangled kind) {
      return new Layer(
          qkv, attentionOut, attentionNorm, feedForwardIn, feedForwardOut, feedForwardNorm, kind);
    }

    List<Linear> linears() {
      return List.of(qkv, attentionOut, feedForwardIn, feedForwardOut);
    }
  }

  /**
   * Packs a checkpoint, for classification alone.
   *
   * @param owner frees the weights
   * @param dtype of the packed weights: float32 or bfloat16; the head's are float32
   * @throws InvalidInputException where a tensor is missing or has another shape than the
   *     configuration says
   */
  public static EncoderWeights load(
      Checkpoint checkpoint, EncoderConfig config, Ops ops, Arena owner, DType dtype) {
    String head = config.family().head().out() + ".weight";
    if (!checkpoint.contains(head)) {
      throw new InvalidInputException(
          checkpoint.path()
              + " has no "
              + head
              + ": it is an encoder without a classifier; train one with 'precis reward'");
    }
    checkpoint.noteUnused(config.tensorShapes().keySet());
    return load(checkpoint, config, ops, owner, dtype, true);
  }

  /**
   * Packs the first layers of a checkpoint, without a head, for hidden states.
   *
   * @param layers from 0, the embeddings alone, to all
   * @throws InvalidInputException as {@link #load}
   */
  public static EncoderWeights loadLayers(
      Checkpoint checkpoint, EncoderConfig config, int layers, Ops ops, Arena owner, DType dtype) {
    checkpoint.noteUnused(config.tensorShapes().keySet());
    return load(checkpoint, config.withLayers(layers), ops, owner, dtype, false);
  }

  private static EncoderWeights load(
      Checkpoint checkpoint,
      EncoderConfig config,
      Ops ops,
      Arena owner,
      DType dtype,
      boolean head) {
    WeightLoader source =
        WeightLoader.frozen(checkpoint, ops, owner, dtype, WeightLoader.memory(ops, owner));
    EncoderWeights weights = new Loader(source, config, dtype, head).load();
    if (config.relative() != null) {
      List<Attention.Disentangled> kinds =
          PositionTables.project(
              weights.layers.stream().map(Layer::qkv).toList(),
              checkpoint,
              config,
              ops,
              owner,
              dtype);
      List<Layer> layers = new ArrayList<>();
      for (int i = 0; i < kinds.size(); i++) {
        layers.add(weights.layers.get(i).with(kinds.get(i)));
      }
      weights = weights.with(layers);
    }
    checkpoint.requireUnchanged();
    return weights;
  }

  /**
   * Makes weights for full fine-tuning: packed weights are copies of the parameters, which {@link
   * #update} brings up to date; everything else is the parameters themselves.
   *
   * @param parameters of the names and shapes of {@link EncoderConfig#tensorShapes}
   * @throws InvalidInputException for a DeBERTa, whose attention has no gradient here
   */
  public static EncoderWeights train(
      Parameters parameters, EncoderConfig config, Ops ops, Arena owner, DType dtype) {
    config.requireTrainable();
    return new Loader(WeightLoader.trained(parameters, ops, owner, dtype), config, dtype, true)
        .load();
  }

  private EncoderWeights with(List<Layer> layers) {
    return new EncoderWeights(
        config, words, positions, types, type, norm, projection, layers, dense, outProjection);
  }

  /** Returns every product of the model. */
  public List<Linear> linears() {
    List<Linear> all = new ArrayList<>();
    if (projection != null) {
      all.add(projection);
    }
    layers.forEach(layer -> all.addAll(layer.linears()));
    if (dense != null) {
      all.add(dense);
      all.add(outProjection);
    }
    return all;
  }

  /** Brings everything that is packed up to date with the parameters that are trained. */
  public void update(Ops ops) {
    Linear.update(linears(), ops);
  }

  private record Loader(WeightLoader source, EncoderConfig config, DType dtype, boolean head) {
    EncoderWeights load() {
      int d = config.hiddenSize();
      int width = config.embeddingSize();
      EncoderFamily family = config.family();
      String embeddings = family.prefix() + "embeddings.";
      Weight words =
          source.embedding(embeddings + "word_embeddings.weight", config.vocabSize(), width);
      List<Layer> layers = new ArrayList<>();
      for (int i = 0; i < config.numLayers(); i++) {
        layers.add(layer(config.layer(i)));
      }
      Weight positions =
          config.hasAbsolutePositions()
              ? weight(embeddings + "position_embeddings.weight", config.maxPositions(), width)
              : null;
      Weight types =
          config.typeVocabSize() == 0
              ? null
              : weight(embeddings + "token_type_embeddings.weight", config.typeVocabSize(), width);
      return new EncoderWeights(
          config,
          words,
          positions,
          types,
          types == null ? null : firstRow(types),
          norm(embeddings + "LayerNorm", width),
          config.projectsEmbeddings()
              ? linear(List.of(config.projection()), d, width, dtype)
              : null,
          layers,
          head ? linear(List.of(family.head().dense()), d, d, DType.FLOAT32) : null,
          head
              ? linear(List.of(family.head().out()), config.labels().size(), d, DType.FLOAT32)
              : null);
    }

    private Layer layer(String prefix) {
      int d = config.hiddenSize();
      EncoderFamily.Names names = config.family().names();
      return new Layer(
          linear(
              List.of(prefix + names.query(), prefix + names.key(), prefix + names.value()),
              d,
              d,
              dtype),
          linear(List.of(prefix + names.attentionOut()), d, d, dtype),
          norm(prefix + names.attentionNorm(), d),
          linear(List.of(prefix + names.feedForwardIn()), config.intermediateSize(), d, dtype),
          linear(List.of(prefix + names.feedForwardOut()), d, config.intermediateSize(), dtype),
          norm(prefix + names.feedForwardNorm(), d),
          null);
    }

    private Linear linear(List<String> names, long outputs, long inputs, DType dtype) {
      return source.biased(names, outputs, inputs, dtype);
    }

    private Norm norm(String name, int size) {
      return new Norm(weight(name + ".weight", size), weight(name + ".bias", size));
    }

    private Weight weight(String name, long... shape) {
      return source.weight(name, shape);
    }

    private static Weight firstRow(Weight table) {
      return new Weight(
          firstRow(table.value()), table.trained() ? firstRow(table.gradient()) : null);
    }

    private static Tensor firstRow(Tensor table) {
      return table.as(table.columns());
    }
  }
}
