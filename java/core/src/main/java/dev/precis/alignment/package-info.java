/**
 * Alignment with human preferences: the reference policy, rewards, policy optimization (PPO, GRPO,
 * RLOO) and preference optimization (DPO and its family, KTO).
 */
package dev.precis.alignment;
