/** Rewards: functions that score completions, and the training of reward models and classifiers. */
package dev.precis.alignment.reward;
