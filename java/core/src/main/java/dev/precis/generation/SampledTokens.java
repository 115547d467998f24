package dev.precis.generation;

import java.io.Serializable;

/**
 * The tokens that were sampled for one source, with their log-probabilities.
 *
 * @param tokens without the start token, with the end token if one was sampled
 * @param logProbabilities of each token, as the model has it
 * @param warpedLogProbabilities of each token in the distribution that it was sampled from: after
 *     the rules, temperature, top-k and top-p
 * @param finished whether it ends with the end token, rather than at the limit
 */
public record SampledTokens(
    int[] tokens, float[] logProbabilities, float[] warpedLogProbabilities, boolean finished)
    implements Serializable {}
