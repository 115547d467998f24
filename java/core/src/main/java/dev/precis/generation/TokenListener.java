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

  /**
   * Receives the alternatives to the token that the next call of {@link #token} brings for this
   * sequence, where {@link GenerationOptions#alternatives} asks for them.
   *
   * @param source index of the source
   * @param sequence index of the sequence among the source's numReturnSequences
   * @param tokens the most probable tokens, the most probable first; the chosen one may be among
   *     them
   * @param logProbabilities of these, as the model has them
   */
  default void alternatives(int source, int sequence, int[] tokens, float[] logProbabilities) {}
}
