package dev.precis.alignment.policy;

import java.util.Locale;

/** The weight of each token in GRPO's loss over an optimizer step, by TRL's names. */
public enum GrpoLoss {
  /** The mean over responses of the mean over their tokens (Shao et al. 2024). */
  GRPO,
  /** The mean over all tokens of the optimizer step (DAPO, Yu et al. 2025). */
  DAPO,
  /**
   * The sum over tokens, divided by the number of responses times the longest that one may be, so
   * that a token counts the same in every response (Dr. GRPO, Liu et al. 2025).
   */
  DR_GRPO,
  /** The mean over the tokens of each mini-batch, and then over the mini-batches. */
  BNPO;

  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
