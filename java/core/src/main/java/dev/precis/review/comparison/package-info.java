/**
 * Blind comparisons of summaries by people: a project is a folder with items, settings and a
 * journal of choices. Start with {@link dev.precis.review.comparison.ComparisonProject}.
 */
package dev.precis.review.comparison;
