package dev.precis.generation;

/**
 * The requests and the decoding of a model at one moment.
 *
 * @param waiting requests that have not begun
 * @param running requests that have begun and are not complete
 * @param rows sequences of the last decoding step, beam searches apart
 * @param cacheBytes of the KV cache, beam searches apart
 * @param steps decoding steps since the model was loaded, beam searches apart
 * @param tokens that were generated since then, beam searches apart
 * @param drafted draft tokens that steps have verified since then
 * @param accepted draft tokens that were chosen: each has saved its sequence a step
 */
public record BatchLoad(
    int waiting,
    int running,
    int rows,
    long cacheBytes,
    long steps,
    long tokens,
    long drafted,
    long accepted) {}
