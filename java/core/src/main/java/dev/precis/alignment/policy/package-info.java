/**
 * Policy gradients on sampled responses: PPO (Schulman et al. 2017; Ziegler et al. 2019), GRPO
 * (Shao et al. 2024) and RLOO (Ahmadian et al. 2024).
 */
package dev.precis.alignment.policy;
