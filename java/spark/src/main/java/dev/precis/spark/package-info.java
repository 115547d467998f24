/**
 * Stages of spark.ml: {@link dev.precis.spark.T5Generator}, {@link dev.precis.spark.TextClassifier}
 * and {@link dev.precis.spark.RougeEvaluator}.
 */
package dev.precis.spark;
