package dev.precis.ops;

import dev.precis.tensor.Tensor;

/**
 * The elements that dropout keeps: a function of the seed, the offset and the element's index, so
 * that forward and backward compute the same mask from the same record. Where rows are named, the
 * index is that of an example's position instead of the batch's row, and the mask does not depend
 * on how examples are put into batches.
 *
 * @param probability with which an element is dropped, in [0, 1)
 * @param seed of a training step
 * @param offset tells the masks of one step apart, below 2^32
 * @param rows (M) int64: for each row, {@code example << 32 | position}; null: rows are not named
 */
public record DropoutMask(float probability, long seed, long offset, Tensor rows) {
  /** Makes a mask whose rows are not named. */
  public DropoutMask(float probability, long seed, long offset) {
    this(probability, seed, offset, null);
  }
}
