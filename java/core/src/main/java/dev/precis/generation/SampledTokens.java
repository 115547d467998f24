package dev.precis.generation;

/**
 * What was sampled for one source, token by token.
 *
 * @param tokens without the start token, with the end token where one was drawn
 * @param logProbabilities of each token, as the model has it
 * @param warpedLogProbabilities of each token in the distribution it was drawn from: after the
 *     rules, temperature, top-k and top-p
 * @param finished whether it ends with the end token, rather than at the limit
 */
public record SampledTokens(
    int[] tokens, float[] logProbabilities, float[] warpedLogProbabilities, boolean finished) {}
