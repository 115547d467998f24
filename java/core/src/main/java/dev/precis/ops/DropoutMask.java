package dev.precis.ops;

/**
 * The elements that dropout keeps: a function of the seed, the offset and the element's index
 * alone, so that forward and backward compute the same mask from the same record.
 *
 * @param probability with which an element is dropped, in [0, 1)
 * @param seed of a training step
 * @param offset tells the masks of one step apart
 */
public record DropoutMask(float probability, long seed, long offset) {}
