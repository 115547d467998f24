package dev.precis.alignment.policy;

import java.util.Locale;

/** The unit, a token or a sequence, whose ratio of new to old probability the loss clips. */
public enum ImportanceSampling {
  /** Of each token: {@code exp(log p_t - log p_old_t)}. */
  TOKEN,
  /**
   * Of the whole response, so that all of its tokens have the same. RLOO takes its probability
   * (Ahmadian et al. 2024): {@code exp(sum_t (log p_t - log p_old_t))}. GRPO takes the geometric
   * mean of its tokens' probabilities (GSPO, Zheng et al. 2025): {@code exp(mean_t (log p_t - log
   * p_old_t))}.
   */
  SEQUENCE;

  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
