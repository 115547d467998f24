/**
 * A safety report of models that answer and summarize: toxicity by identity group, refusals, leaks,
 * helpful and honest answers, kindness, each before and after alignment. Probes are in a file, and
 * no model is needed here: outputs go in, numbers with intervals come out.
 */
package dev.precis.evaluation.safety;
