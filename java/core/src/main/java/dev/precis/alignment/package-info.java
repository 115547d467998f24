/**
 * From a model that follows instructions to one that people prefer: rewards, rollouts, PPO and its
 * family, and learning from preference pairs.
 */
package dev.precis.alignment;
