/**
 * Policy optimization on sampled responses: PPO (Schulman et al. 2017; Ziegler et al. 2019), GRPO
 * (Shao et al. 2024) and RLOO (Ahmadian et al. 2024). Start with {@link
 * dev.precis.alignment.policy.Ppo} for one step and {@link dev.precis.alignment.policy.PpoTrainer}
 * for a run.
 */
package dev.precis.alignment.policy;
