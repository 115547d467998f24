package dev.precis.evaluation;

/**
 * Two texts that are judged together.
 *
 * @param first the premise: what is known, such as a part of a dialogue
 * @param second the hypothesis: what is claimed, such as a sentence of its summary
 */
public record TextPair(String first, String second) {}
