/**
 * Choices as other programs and the trainers of this one read and write them. Start with {@link
 * dev.precis.review.exchange.ComparisonExport}.
 */
package dev.precis.review.exchange;
