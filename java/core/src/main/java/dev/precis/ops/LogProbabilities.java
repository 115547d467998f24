package dev.precis.ops;

import dev.precis.tensor.Tensor;

/**
 * Vectors of {@link Ops#logProbability}, (M) float32.
 *
 * @param logProbabilities written: of the labels
 * @param entropies written; or null
 * @param dlogProbabilities read: the loss's gradient by logProbabilities, needed with dx and dw and
 *     refused without; or null
 */
public record LogProbabilities(
    Tensor logProbabilities, Tensor entropies, Tensor dlogProbabilities) {}
