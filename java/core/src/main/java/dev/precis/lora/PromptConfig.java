package dev.precis.lora;

import dev.precis.io.InvalidInputException;
import java.io.Serializable;

/**
 * The soft prompt to train (Lester et al. 2021).
 *
 * @param tokens number of virtual tokens
 * @param initialIds tokens whose embeddings they begin with, repeated or cut to that number; empty:
 *     those of tokens that are sampled from the vocabulary
 */
public record PromptConfig(int tokens, int[] initialIds) implements Serializable {
  /** The most virtual tokens: each makes every source longer. */
  public static final int MAX_TOKENS = 4096;

  /** Checks the number. */
  public PromptConfig {
    InvalidInputException.require(
        tokens >= 1 && tokens <= MAX_TOKENS, "prompt-tokens", "1 to " + MAX_TOKENS, tokens);
    initialIds = initialIds.clone();
  }

  @Override
  public int[] initialIds() {
    return initialIds.clone();
  }
}
