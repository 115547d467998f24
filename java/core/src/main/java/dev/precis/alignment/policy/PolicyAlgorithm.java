package dev.precis.alignment.policy;

import java.util.Locale;

/** Algorithms of policy optimization. */
public enum PolicyAlgorithm {
  /** Proximal policy optimization with a critic (Schulman et al. 2017). */
  PPO,
  /** Advantages relative to a group of responses to one prompt (Shao et al. 2024). */
  GRPO,
  /** REINFORCE with the other responses of the group as baseline (Ahmadian et al. 2024). */
  RLOO;

  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
