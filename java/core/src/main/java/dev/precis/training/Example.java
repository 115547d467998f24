package dev.precis.training;

/**
 * A source and the target that the model should give for it, as token ids.
 *
 * @param source its end token included
 * @param target likewise; the start token is not part of it
 */
public record Example(int[] source, int[] target) {}
