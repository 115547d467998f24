package dev.precis.ops;

import dev.precis.tensor.Tensor;

/**
 * The output layer of kernels that compute {@code logits = scale x w'} tile by tile, so that the
 * logits never exist whole.
 *
 * @param packed w (V, D)
 * @param transposed the same weights, packed transposed: needed with a gradient by x, else null
 * @param scale of the logits
 */
public record LogitHead(PackedMatrix packed, PackedMatrix transposed, float scale) {
  /**
   * The gradients that a loss over the logits is asked for.
   *
   * @param dx (M, D) float32, written; or null
   * @param dw (V, D) float32, added to; or null
   */
  public record Gradients(Tensor dx, Tensor dw) {
    /** No gradients. */
    public static final Gradients NONE = new Gradients(null, null);
  }

  /**
   * A request for the Kullback-Leibler divergence of the distribution p from a reference's q, whose
   * logits have the same scale.
   *
   * @param referenceX (M, D)
   * @param referenceW (V, D), packed, which may be the policy's own
   * @param divergences (M) float32, written: {@code sum_v p (log p - log q)}
   */
  public record Divergence(Tensor referenceX, PackedMatrix referenceW, Tensor divergences) {}
}
