/**
 * Decoding: {@link dev.precis.generation.Generator} turns source token ids into generated ones, by
 * greedy decoding, sampling or beam search. The options have the names and meanings of
 * transformers' {@code GenerationConfig}.
 */
package dev.precis.generation;
