package dev.precis.generation;

/**
 * The text that was generated for one prompt.
 *
 * @param text decoded, without special tokens
 * @param tokens without the start token, with the end token where one was generated
 * @param score greedy and sampling: the sum of the tokens' log-probabilities; beams: that sum /
 *     length^lengthPenalty
 * @param finished whether it ends with the end token, rather than at maxNewTokens
 */
public record Generation(String text, int[] tokens, float score, boolean finished) {}
