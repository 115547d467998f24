/**
 * Preference optimization without a reward model: DPO and its family on pairs of completions, KTO
 * on single ones.
 */
package dev.precis.alignment.preference;
