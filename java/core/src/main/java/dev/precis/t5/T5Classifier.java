package dev.precis.t5;

import dev.precis.checkpoint.Checkpoint;
import dev.precis.io.InvalidInputException;
import dev.precis.layers.Linear;
import dev.precis.layers.WeightLoader;
import dev.precis.ops.Activation;
import dev.precis.ops.Ops;
import dev.precis.ops.Tape;
import dev.precis.ops.Variable;
import dev.precis.tensor.DType;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import java.lang.foreign.Arena;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * A T5's encoder with one layer on its first state: transformers' T5ForTokenClassification, read at
 * the first token as HHEM reads it.
 *
 * <pre>
 *   logits = classifier(x of the first token)
 * </pre>
 *
 * <p>Not thread-safe.
 */
public final class T5Classifier {
  private static final String HEAD = "classifier";
  private static final int MOST_LABELS = 10_000;

  private final T5Config config;
  private final T5Weights weights;
  private final Linear head;
  private final T5Stack stack;

  private T5Classifier(T5Weights weights, Linear head, DType dtype) {
    this.weights = weights;
    this.config = weights.config();
    this.head = head;
    this.stack = new T5Stack(weights, dtype.activations(), 0);
  }

  /**
   * Packs the encoder and the head of a checkpoint.
   *
   * @param owner frees the weights
   * @param labels of the head
   * @param dtype of the packed weights: float32 or bfloat16; the head's are float32
   * @throws InvalidInputException where a tensor is missing or has another shape than the
   *     configuration says
   */
  public static T5Classifier load(
      Checkpoint checkpoint, T5Config config, int labels, Ops ops, Arena owner, DType dtype) {
    if (!checkpoint.contains(HEAD + ".weight")) {
      throw new InvalidInputException(
          checkpoint.path()
              + " has no classifier.weight: it is a T5 without a classifier's head; a T5 that"
              + " answers with a word is a judge with a prompt");
    }
    Set<String> used = new LinkedHashSet<>(config.tensorShapes().keySet());
    used.add(HEAD + ".weight");
    used.add(HEAD + ".bias");
    checkpoint.noteUnused(used);
    WeightLoader loader =
        WeightLoader.frozen(checkpoint, ops, owner, dtype, WeightLoader.memory(ops, owner));
    T5Weights weights = T5Weights.loadEncoder(loader, config);
    Linear head = loader.biased(List.of(HEAD), labels, config.dModel(), DType.FLOAT32);
    checkpoint.requireUnchanged();
    return new T5Classifier(weights, head, dtype);
  }

  /**
   * Returns the number of labels of a checkpoint's head; 0 where it has none.
   *
   * @throws InvalidInputException if the head is not a matrix of a plausible size
   */
  public static int labels(Checkpoint checkpoint) {
    return checkpoint.contains(HEAD + ".weight")
        ? size(matrix(checkpoint, HEAD + ".weight")[0], MOST_LABELS, "labels", checkpoint)
        : 0;
  }

  /**
   * Makes the configuration of a FLAN-T5's encoder from the shapes of its tensors, for a folder
   * whose {@code config.json} only names the model that it was made of.
   *
   * @throws InvalidInputException where the tensors are not those of an encoder
   */
  public static T5Config flanConfig(Checkpoint checkpoint) {
    String block = "encoder.block.0.layer.";
    long[] table = matrix(checkpoint, "shared.weight");
    long[] bias = matrix(checkpoint, block + "0.SelfAttention.relative_attention_bias.weight");
    long[] query = matrix(checkpoint, block + "0.SelfAttention.q.weight");
    boolean gated = checkpoint.contains(block + "1.DenseReluDense.wi_0.weight");
    long[] wide =
        matrix(checkpoint, block + "1.DenseReluDense." + (gated ? "wi_0" : "wi") + ".weight");
    int layers = 1;
    while (layers < 1024
        && checkpoint.contains("encoder.block." + layers + ".layer.0.layer_norm.weight")) {
      layers++;
    }
    int heads = size(bias[1], 1024, "heads", checkpoint);
    if (query[0] % heads != 0) {
      throw new InvalidInputException(
          checkpoint.path() + ": the queries' size is no multiple of the number of heads");
    }
    return new T5Config(
        size(table[0], 1 << 24, "tokens", checkpoint),
        size(table[1], 1 << 20, "elements of a state", checkpoint),
        size(query[0] / heads, 1024, "elements of a head", checkpoint),
        size(wide[0], 1 << 20, "elements of the feed-forward layer", checkpoint),
        layers,
        1,
        heads,
        size(bias[0], 4096, "buckets of positions", checkpoint),
        128,
        false,
        1e-6f,
        Activation.GELU_TANH,
        gated,
        false,
        false,
        0,
        0,
        0,
        List.of(1));
  }

  private static int size(long size, int most, String of, Checkpoint checkpoint) {
    if (size < 1 || size > most) {
      throw new InvalidInputException(
          "%s: its tensors have %d %s; a T5's encoder has from 1 to %d"
              .formatted(checkpoint.path(), size, of, most));
    }
    return (int) size;
  }

  private static long[] matrix(Checkpoint checkpoint, String name) {
    long[] shape = checkpoint.weight(name).shape();
    if (shape.length != 2) {
      throw new InvalidInputException(
          checkpoint.path() + ": tensor " + name + " is no matrix, as a T5's is");
    }
    return shape;
  }

  /** Returns the model's shape. */
  public T5Config config() {
    return config;
  }

  /** Returns the bytes of the weights. */
  public long weightBytes() {
    long bytes = weights.embedding().value().address().byteSize() + Linear.bytes(List.of(head));
    for (T5Weights.Layer layer : weights.encoder().layers()) {
      bytes += Linear.bytes(layer.linears());
    }
    return bytes;
  }

  /**
   * Computes the logits of each sequence.
   *
   * @param tokens each sequence with its end token
   * @return (sequences, labels) float32, in the tape's workspace
   */
  public Tensor logits(Tape tape, Ragged tokens) {
    Variable hidden = stack.encode(tape, tokens);
    Tensor first = tokens.firstTokens(tape.workspace());
    return head.apply(tape, tape.rows(hidden, first), DType.FLOAT32).value();
  }
}
