package dev.precis.alignment.reward;

/**
 * A text and what it is.
 *
 * @param tokens ids, special tokens included
 * @param label its index among the model's labels
 */
public record LabelledExample(int[] tokens, int label) {}
