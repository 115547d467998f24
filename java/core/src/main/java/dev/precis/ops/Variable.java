package dev.precis.ops;

import dev.precis.tensor.Tensor;

/**
 * A tensor on a {@link Tape}, and the gradient of the loss with respect to it once the tape has
 * been played back that far.
 */
public final class Variable {
  /** A place that collects a gradient; variables along a residual stream share one. */
  static final class Gradient {
    Tensor tensor;
    boolean written;
  }

  private final Tensor value;
  private final boolean needsGradient;
  final Gradient gradient; // null on a tape that does not record

  Variable(Tensor value, boolean needsGradient, Gradient gradient) {
    this.value = value;
    this.needsGradient = needsGradient;
    this.gradient = gradient;
  }

  /** Returns the tensor. */
  public Tensor value() {
    return value;
  }

  /** Returns whether anything that is trained lies upstream. */
  public boolean needsGradient() {
    return needsGradient;
  }

  /** Returns the gradient as far as it was collected; null where none has come yet. */
  public Tensor gradient() {
    return gradient != null && gradient.written ? gradient.tensor : null;
  }
}
