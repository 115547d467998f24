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
 * @param rows the rules of each row, in place of the last three; null: all rows have these
 */
public record LogitRules(
    Tensor history,
    Tensor historyLengths,
    Tensor endTokens,
    float repetitionPenalty,
    int noRepeatNgramSize,
    int minNewTokens,
    RowRules rows) {
  /** Makes rules that are the same for all rows. */
  public LogitRules(
      Tensor history,
      Tensor historyLengths,
      Tensor endTokens,
      float repetitionPenalty,
      int noRepeatNgramSize,
      int minNewTokens) {
    this(
        history,
        historyLengths,
        endTokens,
        repetitionPenalty,
        noRepeatNgramSize,
        minNewTokens,
        null);
  }

  /** Makes rules that each row has for itself. */
  public LogitRules(Tensor history, Tensor historyLengths, Tensor endTokens, RowRules rows) {
    this(history, historyLengths, endTokens, 1, 0, 0, rows);
  }
}
