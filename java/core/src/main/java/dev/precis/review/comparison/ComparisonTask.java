package dev.precis.review.comparison;

/**
 * A comparison for one annotator.
 *
 * @param id names the task and shows nothing of it
 * @param dialogue what the summaries are of
 * @param first the text that stands first
 * @param second the other one
 */
public record ComparisonTask(String id, String dialogue, String first, String second) {}
