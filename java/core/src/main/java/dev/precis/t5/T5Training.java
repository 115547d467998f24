package dev.precis.t5;

import dev.precis.layers.Linear;
import dev.precis.layers.Parameters;
import dev.precis.ops.Attention;
import dev.precis.ops.DropoutMask;
import dev.precis.ops.LogProbabilities;
import dev.precis.ops.LogitHead;
import dev.precis.ops.Ops;
import dev.precis.ops.PpoLoss;
import dev.precis.ops.Tape;
import dev.precis.ops.Variable;
import dev.precis.t5.T5Weights.Layer;
import dev.precis.tensor.DType;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;

/**
 * {@link T5Model} on a {@link Tape}: the same model, with dropout where the paper has it, whose
 * gradients can be had. Whatever of the weights is trained gets its gradient, nothing else does.
 *
 * <p>Not for several threads.
 */
public final class T5Training {
  private final T5Weights weights;
  private final T5Config config;
  private final Parameters parameters;
  private final Ops ops;
  private final DType activationType;
  private final float dropout;

  /**
   * A model to train.
   *
   * @param weights loaded so that gradients can flow through
   * @param parameters what is trained, of the weights or of adapters on them
   * @param dtype of the packed weights: float32 or bfloat16
   * @param dropout probability with which an element is dropped; 0: never
   */
  public T5Training(T5Weights weights, Parameters parameters, Ops ops, DType dtype, float dropout) {
    this.weights = weights;
    this.config = weights.config();
    this.parameters = parameters;
    this.ops = ops;
    this.activationType = dtype == DType.FLOAT32 ? DType.FLOAT32 : DType.BFLOAT16;
    this.dropout = dropout;
  }

  public T5Config config() {
    return config;
  }

  public T5Weights weights() {
    return weights;
  }

  /** The encoder's output (tokens, dModel), normalised; its gradient is collected in float32. */
  public Variable encode(Tape tape, Ragged source) {
    Variable x = embed(tape, source.ids());
    Tensor hidden = tape.workspace().tensor(activationType, source.tokens(), config.dModel());
    T5Weights.Stack stack = weights.encoder();
    Scratch scratch = new Scratch(tape.workspace(), source.tokens());
    for (Layer layer : stack.layers()) {
      x =
          tape.block(
              x,
              before ->
                  feedForward(
                      tape,
                      layer,
                      selfAttention(tape, layer, before, source, stack, false, scratch),
                      scratch));
    }
    return tape.finalNorm(
        x,
        stack.finalNorm(),
        gradient(stack.finalNorm()),
        config.layerNormEpsilon(),
        dropout(tape),
        hidden);
  }

  /**
   * The decoder's output (tokens, dModel), normalised, for whole target sequences. Each source has
   * as many targets, which follow one another.
   *
   * @param encoded of {@link #encode} for the source, or another variable that holds the same
   * @param target decoder inputs: the start token first; as many as sources, or a multiple
   */
  public Variable decode(Tape tape, Variable encoded, Ragged source, Ragged target) {
    Ragged readers = target.grouped(source.sequences(), tape.workspace());
    Variable x = embed(tape, target.ids());
    Tensor hidden = tape.workspace().tensor(activationType, target.tokens(), config.dModel());
    T5Weights.Stack stack = weights.decoder();
    Scratch scratch = new Scratch(tape.workspace(), target.tokens());
    for (Layer layer : stack.layers()) {
      x =
          tape.block(
              x,
              before -> {
                Variable y = selfAttention(tape, layer, before, target, stack, true, scratch);
                y = crossAttention(tape, layer, y, encoded, source, readers, scratch);
                return feedForward(tape, layer, y, scratch);
              });
    }
    return tape.finalNorm(
        x,
        stack.finalNorm(),
        gradient(stack.finalNorm()),
        config.layerNormEpsilon(),
        dropout(tape),
        hidden);
  }

  /**
   * The cross-entropy of each label (de-facto teacher forcing), computed without the logits.
   *
   * @param hidden of {@link #decode}
   * @param labels (tokens) int32; -100 leaves a token out
   * @param gradScale the gradient that is played back is that of gradScale times the losses' sum
   * @return (tokens) float32: the loss of each
   */
  public Tensor crossEntropy(
      Tape tape, Variable hidden, Tensor labels, float labelSmoothing, float gradScale) {
    Tensor losses = tape.workspace().tensor(DType.FLOAT32, labels.dim(0));
    boolean recording = tape.recording();
    Tensor dx = null;
    if (recording && hidden.needsGradient()) {
      dx = tape.gradientFor(hidden, DType.FLOAT32);
      if (tape.collected(hidden)) {
        throw new IllegalStateException("The decoder's output already has a gradient.");
      }
    }
    ops.linearCrossEntropy(
        hidden.value(), head(dx), labels, labelSmoothing, gradScale, losses, gradients(tape, dx));
    return losses;
  }

  /**
   * The loss of a policy's update, computed without the logits; see {@link Ops#ppoLoss} for what is
   * read and written. What is played back is the gradient of the whole loss.
   *
   * @param hidden of {@link #decode}
   * @param values of the critic, (tokens, 1); or null
   */
  public void ppoLoss(
      Tape tape,
      Variable hidden,
      Variable values,
      PpoLoss.Inputs inputs,
      PpoLoss.Coefficients coefficients,
      PpoLoss.Outputs outputs) {
    Tensor dx = written(tape, hidden);
    PpoLoss.Critic critic =
        values == null
            ? null
            : new PpoLoss.Critic(vector(values.value()), vector(written(tape, values)));
    ops.ppoLoss(
        hidden.value(), head(dx), inputs, critic, coefficients, outputs, gradients(tape, dx));
  }

  /**
   * The log-probabilities of labels, computed without the logits. What is played back is the
   * gradient of a loss that reads them: the second pass, after one of {@link
   * T5Model#logProbabilities} for the loss.
   *
   * @param hidden of {@link #decode}
   * @param labels (tokens) int32
   * @param dlogProbabilities (tokens) float32: the loss's gradient by them
   * @param logProbabilities (tokens) float32, written: the same as in the first pass
   */
  public void logProbabilities(
      Tape tape,
      Variable hidden,
      Tensor labels,
      Tensor dlogProbabilities,
      Tensor logProbabilities) {
    Tensor dx = written(tape, hidden);
    ops.logProbability(
        hidden.value(),
        head(dx),
        labels,
        new LogProbabilities(logProbabilities, null, dlogProbabilities),
        null,
        gradients(tape, dx));
  }

  /** The output layer, packed transposed as well where the gradient dx is wanted. */
  private LogitHead head(Tensor dx) {
    Linear head = weights.lmHead();
    return new LogitHead(
        head.packed(), dx == null ? null : head.packTransposed(), config.outputScale());
  }

  private LogitHead.Gradients gradients(Tape tape, Tensor dx) {
    Linear head = weights.lmHead();
    boolean trained = tape.recording() && head.weights() != null;
    return new LogitHead.Gradients(dx, trained ? head.weights().getFirst().gradient() : null);
  }

  /** Where the gradient of a variable goes that has none yet; null where it needs none. */
  private static Tensor written(Tape tape, Variable variable) {
    if (!tape.recording() || !variable.needsGradient()) {
      return null;
    }
    Tensor gradient = tape.gradientFor(variable, DType.FLOAT32);
    if (tape.collected(variable)) {
      throw new IllegalStateException("What the loss reads already has a gradient.");
    }
    return gradient;
  }

  /** A column as a vector. */
  private static Tensor vector(Tensor column) {
    return column == null ? null : column.as(column.rows());
  }

  private float dropout(Tape tape) {
    return tape.recording() ? dropout : 0;
  }

  private Tensor gradient(Tensor weight) {
    return parameters.gradientOf(weight);
  }

  private Variable embed(Tape tape, Tensor ids) {
    return tape.embedding(weights.embedding(), gradient(weights.embedding()), ids, dropout(tape));
  }

  /** Memory that every layer uses anew, for what no backward step reads. */
  private final class Scratch {
    final Tensor normed;
    final Tensor narrow;

    Scratch(Workspace workspace, long rows) {
      normed = workspace.tensor(activationType, rows, config.dModel());
      narrow = workspace.tensor(activationType, rows, config.dFf());
    }
  }

  private Variable norm(Tape tape, Variable x, Tensor weight, Linear reader, Scratch scratch) {
    Tensor y =
        reader.needsInput() && tape.recording()
            ? tape.workspace().tensor(activationType, x.value().rows(), config.dModel())
            : scratch.normed;
    return tape.rmsNorm(x, weight, gradient(weight), config.layerNormEpsilon(), y);
  }

  private Tensor result(Tape tape, Variable x, Linear linear) {
    return tape.workspace().tensor(activationType, x.value().rows(), linear.outputs());
  }

  private Attention.Shape shape(
      Tape tape, Tensor bias, Ragged queries, Ragged keys, boolean causal) {
    float dropout = dropout(tape);
    return new Attention.Shape(
        new Attention.Kind(
            config.numHeads(), causal, !causal, config.relativeAttentionMaxDistance(), 1f),
        bias,
        queries.offsets(),
        keys.offsets(),
        dropout > 0 ? new DropoutMask(dropout, tape.seed(), tape.nextDropout()) : null);
  }

  private Variable selfAttention(
      Tape tape,
      Layer layer,
      Variable x,
      Ragged tokens,
      T5Weights.Stack stack,
      boolean causal,
      Scratch scratch) {
    Variable normed = norm(tape, x, layer.selfNorm(), layer.qkv(), scratch);
    Variable qkv = layer.qkv().apply(tape, normed, result(tape, x, layer.qkv()));
    Variable mixed =
        tape.selfAttention(
            qkv, shape(tape, stack.bias(), tokens, tokens, causal), gradient(stack.bias()));
    return layer.selfOut().addTo(tape, mixed, x, dropout(tape));
  }

  private Variable crossAttention(
      Tape tape,
      Layer layer,
      Variable x,
      Variable encoded,
      Ragged source,
      Ragged target,
      Scratch scratch) {
    Variable normed = norm(tape, x, layer.crossNorm(), layer.crossQuery(), scratch);
    Variable query = layer.crossQuery().apply(tape, normed, result(tape, x, layer.crossQuery()));
    Variable keyValue =
        layer.crossKeyValue().apply(tape, encoded, result(tape, encoded, layer.crossKeyValue()));
    Variable mixed = tape.crossAttention(query, keyValue, shape(tape, null, target, source, false));
    return layer.crossOut().addTo(tape, mixed, x, dropout(tape));
  }

  private Variable feedForward(Tape tape, Layer layer, Variable x, Scratch scratch) {
    Variable normed = norm(tape, x, layer.feedForwardNorm(), layer.feedForwardIn(), scratch);
    Variable wide =
        layer.feedForwardIn().apply(tape, normed, result(tape, x, layer.feedForwardIn()));
    Tensor y =
        layer.feedForwardOut().needsInput() && tape.recording()
            ? tape.workspace().tensor(activationType, x.value().rows(), config.dFf())
            : scratch.narrow;
    Variable narrow = tape.activation(wide, config.activation(), config.gated(), y);
    narrow = tape.dropout(narrow, dropout(tape));
    return layer.feedForwardOut().addTo(tape, narrow, x, dropout(tape));
  }
}
