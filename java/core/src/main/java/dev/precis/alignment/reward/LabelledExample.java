package dev.precis.alignment.reward;

/**
 * A tokenized text with its label.
 *
 * @param tokens token ids, special tokens included
 * @param label index among the model's labels
 */
public record LabelledExample(int[] tokens, int label) {}
