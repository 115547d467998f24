package dev.precis.review.comparison;

/**
 * A summary that people compare.
 *
 * @param candidate the name of what wrote it, which annotators must not see
 * @param score a reward model's score; null where there is none
 */
public record CandidateText(String candidate, String text, Double score) {}
