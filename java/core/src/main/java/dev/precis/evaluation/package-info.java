/**
 * Evaluation of summaries and classifiers: ROUGE, calibration, and the paired bootstrap for
 * confidence intervals and significance.
 */
package dev.precis.evaluation;
