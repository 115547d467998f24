package dev.precis.ops;

import dev.precis.tensor.Tensor;

/**
 * Rules that change scores before a token is chosen; the order and the formulas are those of {@code
 * precis_logit_rules}.
 *
 * @param history (M, length) int32: the tokens so far, the start token included
 * @param historyLengths (M) int32
 * @param endTokens int32, rank 1
 * @param repetitionPenalty 1: none
 * @param noRepeatNgramSize 0: none
 * @param minNewTokens before which no end token is chosen
 */
public record LogitRules(
    Tensor history,
    Tensor historyLengths,
    Tensor endTokens,
    float repetitionPenalty,
    int noRepeatNgramSize,
    int minNewTokens) {}
