package dev.precis.ops;

import dev.precis.tensor.Tensor;

/**
 * A weight that a kernel reads as it is: a norm's, a bias, an embedding.
 *
 * @param value of the weight
 * @param gradient float32, of the same shape, added to; null where the weight is not trained
 */
public record Weight(Tensor value, Tensor gradient) {
  /** Returns whether the weight is trained. */
  public boolean trained() {
    return gradient != null;
  }
}
