/**
 * Stages of spark.ml, {@link dev.precis.spark.T5Generator}, {@link dev.precis.spark.TextClassifier}
 * and {@link dev.precis.spark.RougeEvaluator}; and training with several executors, {@link
 * dev.precis.spark.DataParallelTrainer}.
 */
package dev.precis.spark;
