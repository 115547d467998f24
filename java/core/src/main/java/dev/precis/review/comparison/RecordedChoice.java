package dev.precis.review.comparison;

/**
 * A choice and its entry in the journal.
 *
 * @param number of the entry
 * @param at the moment, in UTC
 */
public record RecordedChoice(long number, String at, Choice choice) {}
