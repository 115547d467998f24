package dev.precis.t5;

import dev.precis.layers.Linear;
import dev.precis.ops.Attention;
import dev.precis.ops.OpTimer;
import dev.precis.ops.Tape;
import dev.precis.ops.Variable;
import dev.precis.ops.Weight;
import dev.precis.t5.T5Weights.Layer;
import dev.precis.tensor.DType;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import java.util.List;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;

/**
 * Encoder and decoder of T5 (Raffel et al. 2020), as the paper describes them:
 *
 * <pre>
 *   x = embedding(ids)
 *   x = x + o attention(q k v norm(x))                   in each layer
 *   x = x + o attention(q norm(x), k v encoded)          in each layer of the decoder
 *   x = x + wo act(wi norm(x))                           in each layer
 *   hidden = norm(x)
 * </pre>
 *
 * <p>A tape that records makes it the model to train, with dropout where the paper has it; one that
 * does not record makes it the model for inference, which computes the same numbers as training
 * without dropout.
 */
final class T5Stack {
  /**
   * Rows of the feed-forward layer that are computed at once on the CPU, whose cache holds them:
   * does not change the result.
   */
  private static final int FEED_FORWARD_ROWS = 512;

  /** The same on a GPU, which a few rows would leave idle: bounds memory. */
  private static final int FEED_FORWARD_ROWS_ON_GPU = 16384;

  /**
   * Multiplications of one product on the CPU: some 50 ms of two cores, within which a call that is
   * cancelled ends. A product of more rows is computed in pieces, which does not change the result.
   */
  private static final long PRODUCT_SIZE = 4_000_000_000L;

  private final T5Weights weights;
  private final T5Config config;
  private final DType activations;
  private final float dropout;
  private final long productSize;
  private final Attention.Kind bidirectional;
  private final Attention.Kind causal;

  /**
   * Makes the stacks of a model.
   *
   * @param activations type of the values between operations: float32 or bfloat16
   * @param dropout probability with which an element is dropped where the tape records
   */
  T5Stack(T5Weights weights, DType activations, float dropout) {
    this(weights, activations, dropout, PRODUCT_SIZE);
  }

  /** Makes the stacks of a model whose products are computed in pieces of so many operations. */
  T5Stack(T5Weights weights, DType activations, float dropout, long productSize) {
    this.productSize = productSize;
    this.weights = weights;
    this.config = weights.config();
    this.activations = activations;
    this.dropout = dropout;
    bidirectional = kind(false);
    causal = kind(true);
  }

  /** Makes a kind of attention without scale: the initial values of T5 make up for it. */
  private Attention.Kind kind(boolean causal) {
    return new Attention.Kind(
        config.numHeads(), causal, !causal, config.relativeAttentionMaxDistance(), 1f);
  }

  DType activations() {
    return activations;
  }

  /** Returns the kind of attention of the decoder over itself. */
  Attention.Kind causal() {
    return causal;
  }

  /** Runs the encoder; returns (tokens, dModel), normalized. */
  Variable encode(Tape tape, Ragged source) {
    T5Weights.Stack stack = weights.encoder();
    return in(
        OpTimer.Section.ENCODER,
        tape,
        () ->
            run(
                tape,
                stack,
                source,
                weights.prompt(),
                (layer, scratch) ->
                    List.of(
                        x -> selfAttention(tape, layer, x, source, bidirectional, scratch),
                        x -> feedForward(tape, layer, x, scratch))));
  }

  /**
   * Runs the decoder over whole target sequences at once ("teacher forcing"); returns (tokens,
   * dModel), normalized.
   *
   * @param target as many sequences as sources or a multiple: those of a source follow one another
   */
  Variable decode(Tape tape, Variable encoded, Ragged source, Ragged target) {
    T5Weights.Stack stack = weights.decoder();
    Ragged readers = target.grouped(source.sequences(), tape.workspace());
    Tensor sourceRows = tape.dropoutRows(source);
    return in(
        OpTimer.Section.DECODER,
        tape,
        () ->
            run(
                tape,
                stack,
                target,
                null,
                (layer, scratch) ->
                    List.of(
                        x -> selfAttention(tape, layer, x, target, causal, scratch),
                        x ->
                            crossAttention(
                                tape, layer, x, encoded, sourceRows, readers, source, scratch),
                        x -> feedForward(tape, layer, x, scratch))));
  }

  /** Computes something whose operations belong to a section. */
  private static Variable in(OpTimer.Section section, Tape tape, Supplier<Variable> work) {
    return tape.ops().timer().in(section, work);
  }

  /** Makes the sublayers of a layer. */
  private interface Sublayers {
    List<UnaryOperator<Variable>> of(Layer layer, Scratch scratch);
  }

  private Variable run(
      Tape tape, T5Weights.Stack stack, Ragged tokens, SoftPrompt prompt, Sublayers sublayers) {
    return tape.withDropoutRows(
        tape.dropoutRows(tokens), () -> runNamed(tape, stack, tokens, prompt, sublayers));
  }

  private Variable runNamed(
      Tape tape, T5Weights.Stack stack, Ragged tokens, SoftPrompt prompt, Sublayers sublayers) {
    Workspace workspace = tape.workspace();
    Tensor hidden = workspace.tensor(activations, tokens.tokens(), config.dModel());
    Workspace.Mark mark = workspace.mark();
    Variable x = prompt == null ? embed(tape, tokens.ids()) : embed(tape, tokens, prompt);
    Scratch scratch = tape.recording() ? new Scratch(workspace, tokens.tokens()) : null;
    for (Layer layer : stack.layers()) {
      x = tape.block(x, sublayers.of(layer, scratch));
    }
    Variable out =
        tape.finalNorm(x, stack.finalNorm(), config.layerNormEpsilon(), dropout(tape), hidden);
    if (!tape.recording()) {
      workspace.release(mark);
    }
    return out;
  }

  /**
   * Memory that all layers share while a tape records, for values that no backward step reads. A
   * tape that does not record releases such memory after each sublayer.
   */
  private final class Scratch {
    final Tensor normed;
    final Tensor narrow;

    Scratch(Workspace workspace, long rows) {
      normed = workspace.tensor(activations, rows, config.dModel());
      narrow = workspace.tensor(activations, rows, config.dFf());
    }
  }

  private float dropout(Tape tape) {
    return tape.recording() ? dropout : 0;
  }

  /** Begins a residual stream (tokens, dModel) float32. */
  Variable embed(Tape tape, Tensor ids) {
    return tape.embedding(weights.embedding(), ids, dropout(tape));
  }

  /** Begins the residual stream of sources that begin with the virtual tokens of a prompt. */
  private Variable embed(Tape tape, Ragged source, SoftPrompt prompt) {
    Tape.TrainedRows trained = tape.recording() ? prompt.trained(source, tape.workspace()) : null;
    return tape.embedding(weights.embedding(), source.ids(), dropout(tape), trained);
  }

  /** Normalizes a residual stream into new memory. */
  Variable norm(Tape tape, Variable x, Weight weight) {
    Tensor y = tape.workspace().tensor(activations, x.value().rows(), config.dModel());
    return tape.rmsNorm(x, weight, config.layerNormEpsilon(), y);
  }

  /** Normalizes a residual stream for a product that reads it. */
  private Variable norm(Tape tape, Variable x, Weight weight, Linear reader, Scratch scratch) {
    return scratch == null || reader.needsInput()
        ? norm(tape, x, weight)
        : tape.rmsNorm(x, weight, config.layerNormEpsilon(), scratch.normed);
  }

  private Variable selfAttention(
      Tape tape, Layer layer, Variable x, Ragged tokens, Attention.Kind kind, Scratch scratch) {
    Variable normed = norm(tape, x, layer.selfNorm(), layer.qkv(), scratch);
    Variable qkv = product(tape, layer.qkv(), normed);
    Weight bias = layer.bias();
    Variable mixed =
        tape.selfAttention(qkv, shape(tape, kind, bias.value(), tokens, tokens), bias.gradient());
    return addTo(tape, layer.selfOut(), mixed, x);
  }

  private Variable crossAttention(
      Tape tape,
      Layer layer,
      Variable x,
      Variable encoded,
      Tensor sourceRows,
      Ragged readers,
      Ragged source,
      Scratch scratch) {
    Variable normed = norm(tape, x, layer.crossNorm(), layer.crossQuery(), scratch);
    Variable query = product(tape, layer.crossQuery(), normed);
    Variable keyValue =
        tape.withDropoutRows(
            sourceRows,
            () ->
                in(
                    OpTimer.Section.ENCODER,
                    tape,
                    () -> product(tape, layer.crossKeyValue(), encoded)));
    Variable mixed =
        tape.crossAttention(query, keyValue, shape(tape, bidirectional, null, readers, source));
    return addTo(tape, layer.crossOut(), mixed, x);
  }

  /** Computes a product in new memory. */
  private Variable product(Tape tape, Linear linear, Variable x) {
    Tensor y = tape.workspace().tensor(activations, x.value().rows(), linear.outputs());
    return product(tape, linear, x, y);
  }

  /** Computes a product: of a few rows at a time where nothing is recorded. */
  Variable product(Tape tape, Linear linear, Variable x, Tensor y) {
    long all = x.value().rows();
    long piece = rowsAtOnce(tape, linear);
    if (tape.recording() || all <= piece) {
      return linear.apply(tape, x, y);
    }
    for (long at = 0; at < all; at += piece) {
      long n = Math.min(piece, all - at);
      linear.apply(tape, tape.constant(x.value().rows(at, n)), y.rows(at, n));
    }
    return tape.constant(y);
  }

  /** Adds a product to a residual stream: a few rows at a time where nothing is recorded. */
  private Variable addTo(Tape tape, Linear linear, Variable x, Variable stream) {
    long all = x.value().rows();
    long piece = rowsAtOnce(tape, linear);
    if (tape.recording() || all <= piece) {
      return linear.addTo(tape, x, stream, dropout(tape));
    }
    for (long at = 0; at < all; at += piece) {
      long n = Math.min(piece, all - at);
      Variable rows = tape.constant(stream.value().rows(at, n));
      linear.addTo(tape, tape.constant(x.value().rows(at, n)), rows, 0);
    }
    return stream;
  }

  private long rowsAtOnce(Tape tape, Linear linear) {
    if (tape.ops().onGpu()) {
      return Long.MAX_VALUE;
    }
    return Math.max(64, productSize / (linear.inputs() * linear.outputs()));
  }

  private Attention.Shape shape(
      Tape tape, Attention.Kind kind, Tensor bias, Ragged queries, Ragged keys) {
    float rate = dropout(tape);
    return new Attention.Shape(
        kind, bias, queries.offsets(), keys.offsets(), rate > 0 ? tape.nextMask(rate) : null);
  }

  /** Computes {@code x + wo act(wi norm(x))} on a tape that does not record. */
  Variable feedForward(Tape tape, Layer layer, Variable x) {
    return feedForward(tape, layer, x, null);
  }

  private Variable feedForward(Tape tape, Layer layer, Variable x, Scratch scratch) {
    return tape.rowwise(
        x,
        tape.ops().onGpu() ? FEED_FORWARD_ROWS_ON_GPU : FEED_FORWARD_ROWS,
        rows -> {
          Linear in = layer.feedForwardIn();
          Linear out = layer.feedForwardOut();
          Variable normed = norm(tape, rows, layer.feedForwardNorm(), in, scratch);
          Variable wide = in.apply(tape, normed, activations);
          Tensor y =
              scratch == null || out.needsInput()
                  ? tape.workspace().tensor(activations, wide.value().rows(), config.dFf())
                  : scratch.narrow;
          Variable narrow = tape.activation(wide, config.activation(), config.gated(), y);
          narrow = tape.dropout(narrow, dropout(tape));
          return out.addTo(tape, narrow, rows, dropout(tape));
        });
  }
}
