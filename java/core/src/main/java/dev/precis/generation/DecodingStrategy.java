package dev.precis.generation;

/**
 * Chooses the tokens of a decoding: greedily, by sampling or by beam search. {@link DecodingLoop}
 * calls it once before the first step and then in every step.
 */
interface DecodingStrategy {
  /** Fills the rows of the first step. */
  void start();

  /** Returns the rows of the next step; 0 ends the decoding. */
  int rows();

  /**
   * Returns whether {@link #choose} reads and changes scores on the host: then it is called after
   * the model's operations are complete, and is not captured.
   */
  boolean choosesOnHost();

  /**
   * Launches the operations that choose tokens from the step's logits. They may be captured as a
   * CUDA graph: they must be the same for the same rows and the same table of ancestors, and must
   * not read results.
   */
  void choose();

  /** Reads the tokens that were chosen and prepares the rows of the next step. */
  void accept();
}
