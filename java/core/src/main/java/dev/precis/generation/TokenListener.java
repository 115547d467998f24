package dev.precis.generation;

/**
 * Receives every token as it is chosen. Beam search does not call it, because a beam's past can
 * change.
 */
@FunctionalInterface
public interface TokenListener {
  /**
   * Receives one token.
   *
   * @param source index of the source
   * @param sequence index of the sequence among the source's numReturnSequences
   * @param token the token's id
   * @param logProbability of the token, as the model has it
   */
  void token(int source, int sequence, int token, float logProbability);
}
