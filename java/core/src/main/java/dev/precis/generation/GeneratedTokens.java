package dev.precis.generation;

/**
 * The token ids that were generated for one source.
 *
 * @param tokens without the start token, with the end token where one was generated
 * @param score greedy and sampling: the sum of the tokens' log-probabilities; beams: that sum /
 *     length^lengthPenalty
 * @param finished whether it ends with the end token, rather than at maxNewTokens
 * @param logProbabilities of each token, as the model has it; empty for beams
 */
public record GeneratedTokens(
    int[] tokens, float score, boolean finished, float[] logProbabilities) {}
