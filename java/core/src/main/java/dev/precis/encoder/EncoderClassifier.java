package dev.precis.encoder;

import dev.precis.encoder.EncoderWeights.Layer;
import dev.precis.encoder.EncoderWeights.Norm;
import dev.precis.io.InvalidInputException;
import dev.precis.ops.Attention;
import dev.precis.ops.Ops;
import dev.precis.ops.Tape;
import dev.precis.ops.Variable;
import dev.precis.tensor.DType;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import java.lang.foreign.ValueLayout;
import java.util.List;

/**
 * An encoder that classifies sequences, on a {@link Tape}: transformers'
 * RobertaForSequenceClassification and its relatives, with their dropout where the tape records.
 *
 * <pre>
 *   x = project(norm(word + position + type))                       no projection but ELECTRA's
 *   x = norm(x + attention(x));  x = norm(x + out(gelu(in(x))))     for each layer
 *   logits = outProjection(act(dense(x of the first token)))        act as the family's head has it
 * </pre>
 *
 * <p>A DeBERTa's attention is disentangled, see {@link Attention.Disentangled}.
 *
 * <p>Sequences lie one behind the other, without padding. Not thread-safe.
 */
public final class EncoderClassifier {
  /** The kernel asks for a distance, which without a bias nothing depends on. */
  private static final int NO_BIAS_DISTANCE = 128;

  private final EncoderWeights weights;
  private final EncoderConfig config;
  private final DType activations;
  private final boolean dropout;
  private final Attention.Kind attention;

  /**
   * Makes a classifier of its weights.
   *
   * @param dtype of the packed weights: float32 or bfloat16
   * @param dropout whether the configuration's dropout is applied where the tape records
   */
  public EncoderClassifier(EncoderWeights weights, Ops ops, DType dtype, boolean dropout) {
    this.weights = weights;
    this.config = weights.config();
    this.activations = dtype.activations();
    this.dropout = dropout;
    this.attention =
        new Attention.Kind(
            config.numHeads(),
            false,
            true,
            NO_BIAS_DISTANCE,
            (float) (1 / Math.sqrt((double) config.hiddenSize() / config.numHeads())));
  }

  public EncoderConfig config() {
    return config;
  }

  public EncoderWeights weights() {
    return weights;
  }

  /**
   * Computes the logits of each sequence.
   *
   * @param tokens each sequence with its special tokens
   * @return (sequences, labels) float32
   * @throws InvalidInputException where a sequence is longer than the model has positions
   */
  public Variable logits(Tape tape, Ragged tokens) {
    return logits(tape, tokens, null);
  }

  /**
   * Computes the logits of each sequence, of tokens that have types.
   *
   * @param tokens each sequence with its special tokens
   * @param types (tokens) int32: the type of each token; null: all are of the type 0
   * @return (sequences, labels) float32
   * @throws InvalidInputException where a sequence is longer than the model has positions
   */
  public Variable logits(Tape tape, Ragged tokens, Tensor types) {
    Variable first =
        tape.withDropoutRows(tape.dropoutRows(tokens), () -> firstStates(tape, tokens, types));
    return tape.withDropoutRows(tape.dropoutSequences(tokens), () -> head(tape, first));
  }

  /**
   * Computes the last layer's output for each token.
   *
   * @param tokens each sequence with its special tokens
   * @param types as {@link #logits(Tape, Ragged, Tensor)} has them
   * @return (tokens, hiddenSize) float32
   * @throws InvalidInputException where a sequence is longer than the model has positions
   */
  public Variable states(Tape tape, Ragged tokens, Tensor types) {
    if (tokens.longest() > config.maxTokens()) {
      throw new InvalidInputException(
          "A sequence has %d tokens, but the model reads at most %d: cut it"
              .formatted(tokens.longest(), config.maxTokens()));
    }
    float hiddenDropout = rate(tape, config.hiddenDropout());
    Variable x = embed(tape, tokens, types, hiddenDropout);
    for (Layer layer : weights.layers()) {
      x =
          tape.block(
              x,
              List.of(
                  y -> attention(tape, layer, y, tokens, hiddenDropout),
                  y -> feedForward(tape, layer, y, hiddenDropout)));
    }
    return x;
  }

  /** Returns the states of each sequence's first token, (sequences, hiddenSize). */
  private Variable firstStates(Tape tape, Ragged tokens, Tensor types) {
    return tape.rows(states(tape, tokens, types), tokens.firstTokens(tape.workspace()));
  }

  private Variable head(Tape tape, Variable first) {
    float headDropout = rate(tape, config.classifierDropout());
    EncoderFamily.Head head = config.family().head();
    first = head.dropsInput() ? tape.dropout(first, headDropout) : first;
    Variable hidden = weights.dense().apply(tape, first, DType.FLOAT32);
    hidden = tape.activation(hidden, head.activation(), false, like(tape, hidden.value()));
    hidden = tape.dropout(hidden, headDropout);
    return weights.outProjection().apply(tape, hidden, DType.FLOAT32);
  }

  private float rate(Tape tape, float rate) {
    return dropout && tape.recording() ? rate : 0;
  }

  private static Tensor like(Tape tape, Tensor tensor) {
    return tape.workspace().tensor(tensor.dtype(), tensor.rows(), tensor.columns());
  }

  private Variable embed(Tape tape, Ragged tokens, Tensor types, float dropout) {
    Variable x = tape.embedding(weights.words(), tokens.ids(), 0);
    if (weights.positions() != null) {
      x = tape.addEmbedding(x, weights.positions(), positions(tape, tokens));
    }
    if (types != null) {
      x = tape.addEmbedding(x, weights.types(), types);
    } else if (weights.type() != null) {
      x = tape.addBias(x, weights.type());
    }
    x = norm(tape, x, weights.norm(), dropout);
    return weights.projection() == null ? x : project(tape, x);
  }

  /** Begins the residual stream with the embeddings in its width. */
  private Variable project(Tape tape, Variable x) {
    Tensor zero = tape.workspace().tensor(DType.FLOAT32, x.value().rows(), config.hiddenSize());
    tape.ops().zero(zero);
    return weights.projection().addTo(tape, x, tape.lasting(zero, false), 0);
  }

  /**
   * Makes the positions: from 0 on or, in a RoBERTa, from behind the padding's id, where padding in
   * the text itself has its own.
   */
  private Tensor positions(Tape tape, Ragged tokens) {
    Tensor positions = tape.workspace().tensor(DType.INT32, tokens.tokens());
    int pad = config.family().isRoberta() ? config.padTokenId() : -1;
    for (int s = 0; s < tokens.sequences(); s++) {
      int next = pad + 1;
      for (int i = tokens.begin(s); i < tokens.begin(s + 1); i++) {
        boolean padding = tokens.ids().memory().getAtIndex(ValueLayout.JAVA_INT, i) == pad;
        positions.memory().setAtIndex(ValueLayout.JAVA_INT, i, padding ? pad : next++);
      }
    }
    return positions;
  }

  private Variable attention(Tape tape, Layer layer, Variable x, Ragged tokens, float dropout) {
    Variable qkv = layer.qkv().apply(tape, x, activations);
    Variable mixed =
        layer.disentangled() == null
            ? tape.selfAttention(qkv, shape(tape, tokens), null)
            : tape.disentangledSelfAttention(qkv, layer.disentangled(), tokens.offsets());
    x = layer.attentionOut().addTo(tape, mixed, x, dropout);
    return norm(tape, x, layer.attentionNorm(), 0);
  }

  private Variable feedForward(Tape tape, Layer layer, Variable x, float dropout) {
    Variable in = layer.feedForwardIn().apply(tape, x, activations);
    Variable active = tape.activation(in, config.activation(), false, like(tape, in.value()));
    x = layer.feedForwardOut().addTo(tape, active, x, dropout);
    return norm(tape, x, layer.feedForwardNorm(), 0);
  }

  private Variable norm(Tape tape, Variable x, Norm norm, float dropout) {
    return tape.layerNorm(x, norm.weight(), norm.bias(), config.layerNormEpsilon(), dropout);
  }

  private Attention.Shape shape(Tape tape, Ragged tokens) {
    float dropout = rate(tape, config.attentionDropout());
    return new Attention.Shape(
        attention,
        null,
        tokens.offsets(),
        tokens.offsets(),
        dropout > 0 ? tape.nextMask(dropout) : null);
  }
}
