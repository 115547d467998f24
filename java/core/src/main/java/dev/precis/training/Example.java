package dev.precis.training;

import java.io.Serializable;

/**
 * A source and the target that the model should generate for it, as token ids.
 *
 * @param source tokens, the end token included
 * @param target tokens, the end token included, the start token not
 */
public record Example(int[] source, int[] target) implements Serializable {}
