package dev.precis.alignment.policy;

import java.util.Locale;

/** Divisor of GRPO's advantages, by TRL's names of {@code scale_rewards}. */
public enum ScoreScale {
  /** The standard deviation of the scores of one prompt's responses. */
  GROUP,
  /** The standard deviation of all scores of the step (REINFORCE++, Hu 2025). */
  BATCH,
  /** Nothing: a prompt whose scores differ little teaches little (Dr. GRPO, Liu et al. 2025). */
  NONE;

  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
