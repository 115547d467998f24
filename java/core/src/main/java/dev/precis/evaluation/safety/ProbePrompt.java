package dev.precis.evaluation.safety;

/**
 * A text for a model to answer or to summarize.
 *
 * @param id the probe's, with the group's name behind it where it has one
 * @param identity the group that it speaks of; null for none
 * @param text the probe's, with the words of the group
 */
public record ProbePrompt(String id, Probe probe, Identity identity, String text) {}
