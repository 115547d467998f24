package dev.precis.ops;

import dev.precis.tensor.Tensor;

/**
 * Gradients of a layer norm.
 *
 * @param dx (M, D) float32, written or added to
 * @param accumulate whether dx is added to
 * @param dweight (D) float32, added to; or null
 * @param dbias (D) float32, added to; or null
 */
public record LayerNormGradients(Tensor dx, boolean accumulate, Tensor dweight, Tensor dbias) {}
