package dev.precis.t5;

import dev.precis.layers.Linear;
import dev.precis.ops.DistillationLoss;
import dev.precis.ops.LogProbabilities;
import dev.precis.ops.LogitHead;
import dev.precis.ops.Ops;
import dev.precis.ops.PpoLoss;
import dev.precis.ops.Tape;
import dev.precis.ops.Variable;
import dev.precis.tensor.DType;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;

/**
 * {@link T5Model} on a {@link Tape}, with losses: the same stack, with dropout where the paper has
 * it. Whatever of the weights is trained gets its gradient, nothing else does.
 *
 * <p>Not thread-safe.
 */
public final class T5Training {
  private final T5Weights weights;
  private final T5Config config;
  private final Ops ops;
  private final T5Stack stack;

  /**
   * Makes a model to train.
   *
   * @param weights loaded so that gradients can flow through
   * @param dtype of the packed weights: float32 or bfloat16
   * @param dropout probability with which an element is dropped; 0: never
   */
  public T5Training(T5Weights weights, Ops ops, DType dtype, float dropout) {
    this.weights = weights;
    this.config = weights.config();
    this.ops = ops;
    this.stack = new T5Stack(weights, dtype.activations(), dropout);
  }

  /** Returns the model's shape. */
  public T5Config config() {
    return config;
  }

  /** Returns the weights. */
  public T5Weights weights() {
    return weights;
  }

  /**
   * Runs the encoder.
   *
   * @return (tokens, dModel), normalized; its gradient is collected in float32
   */
  public Variable encode(Tape tape, Ragged source) {
    return stack.encode(tape, source);
  }

  /**
   * Runs the decoder over whole target sequences at once ("teacher forcing"). Each source has as
   * many targets, which follow one another.
   *
   * @param encoded of {@link #encode} for the source, or another variable that holds the same
   * @param target decoder inputs: the start token first; as many as sources, or a multiple
   * @return (tokens, dModel), normalized
   */
  public Variable decode(Tape tape, Variable encoded, Ragged source, Ragged target) {
    return stack.decode(tape, encoded, source, target);
  }

  /**
   * Computes the cross-entropy of each label, without the logits.
   *
   * @param hidden of {@link #decode}
   * @param labels (tokens) int32; -100 leaves a token out
   * @param gradScale the gradient that is played back is that of gradScale times the losses' sum
   * @return (tokens) float32: the loss of each
   */
  public Tensor crossEntropy(
      Tape tape, Variable hidden, Tensor labels, float labelSmoothing, float gradScale) {
    Tensor losses = tape.workspace().tensor(DType.FLOAT32, labels.dim(0));
    Tensor dx = newGradient(tape, hidden);
    ops.linearCrossEntropy(
        hidden.value(), head(dx), labels, labelSmoothing, gradScale, losses, gradients(tape, dx));
    return losses;
  }

  /**
   * Computes the loss of a policy's update, without the logits; see {@link Ops#ppoLoss}. The tape
   * plays back the gradient of the whole loss.
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
    Tensor dx = newGradient(tape, hidden);
    PpoLoss.Critic critic =
        values == null
            ? null
            : new PpoLoss.Critic(vector(values.value()), vector(newGradient(tape, values)));
    ops.ppoLoss(
        hidden.value(), head(dx), inputs, critic, coefficients, outputs, gradients(tape, dx));
  }

  /**
   * Computes the log-probabilities of labels, without the logits. The tape plays back the gradient
   * of a loss that reads them: this is the second pass, after one of {@link
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
    Tensor dx = newGradient(tape, hidden);
    ops.logProbability(
        hidden.value(),
        head(dx),
        labels,
        new LogProbabilities(logProbabilities, null, dlogProbabilities),
        null,
        gradients(tape, dx));
  }

  /**
   * Computes the loss of distillation, without the logits; see {@link Ops#distillationLoss}. The
   * tape plays back the gradient of the whole loss.
   *
   * @param hidden of {@link #decode}
   * @param labels (tokens) int32; -100 leaves a token out
   */
  public void distillationLoss(
      Tape tape,
      Variable hidden,
      Tensor labels,
      DistillationLoss.Teacher teacher,
      DistillationLoss.Coefficients coefficients,
      DistillationLoss.Outputs outputs) {
    Tensor dx = newGradient(tape, hidden);
    ops.distillationLoss(
        hidden.value(), head(dx), labels, teacher, coefficients, outputs, gradients(tape, dx));
  }

  /** Returns the output layer, packed transposed as well where the gradient dx is wanted. */
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

  /** Makes room for the gradient of a variable that has none yet; null where it needs none. */
  private static Tensor newGradient(Tape tape, Variable variable) {
    if (!tape.recording() || !variable.needsGradient()) {
      return null;
    }
    Tensor gradient = tape.gradientFor(variable, DType.FLOAT32);
    if (tape.collected(variable)) {
      throw new IllegalStateException("The input of the loss already has a gradient.");
    }
    return gradient;
  }

  /** Returns a column as a vector. */
  private static Tensor vector(Tensor column) {
    return column == null ? null : column.as(column.rows());
  }
}
