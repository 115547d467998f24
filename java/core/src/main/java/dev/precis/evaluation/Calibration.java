package dev.precis.evaluation;

import java.util.ArrayList;
import java.util.List;

/**
 * Calibration of a classifier: agreement of its accuracy with its mean confidence (Guo et al.: On
 * Calibration of Modern Neural Networks, 2017). Predictions are put into bins of equal width by
 * their confidence; over bins b with n_b of n predictions
 *
 * <pre>
 *   ECE = sum_b n_b / n |accuracy_b - confidence_b|
 * </pre>
 *
 * @param accuracy share of correct predictions; a tie counts half
 * @param ece expected calibration error
 * @param bins confidence bins from the lowest confidence to 1; empty ones have a count of 0
 */
public record Calibration(double accuracy, double ece, List<Bin> bins) {
  /** Number of bins. */
  public static final int BINS = 10;

  /**
   * Predictions in a confidence bin.
   *
   * @param low lower end of the bin
   * @param high upper end of the bin
   * @param confidence mean confidence; NaN if the bin is empty
   * @param accuracy share of correct predictions; NaN if the bin is empty
   */
  public record Bin(double low, double high, int count, double confidence, double accuracy) {}

  /** Copies the bins. */
  public Calibration {
    bins = List.copyOf(bins);
  }

  /**
   * Computes the calibration of predictions.
   *
   * @param lowest lowest possible confidence: one over the number of classes
   * @param confidences probability of each prediction, at least the lowest
   * @param right of each prediction: 1 correct, 0 wrong, 0.5 a tie
   */
  public static Calibration of(double lowest, double[] confidences, double[] right) {
    if (confidences.length != right.length || confidences.length == 0) {
      throw new IllegalArgumentException(
          "%d confidences for %d answers".formatted(confidences.length, right.length));
    }
    double width = (1 - lowest) / BINS;
    int[] counts = new int[BINS];
    double[] sure = new double[BINS];
    double[] correct = new double[BINS];
    double accuracy = 0;
    for (int i = 0; i < right.length; i++) {
      int bin = (int) Math.clamp((long) ((confidences[i] - lowest) / width), 0, BINS - 1);
      counts[bin]++;
      sure[bin] += confidences[i];
      correct[bin] += right[i];
      accuracy += right[i];
    }
    double ece = 0;
    List<Bin> bins = new ArrayList<>();
    for (int b = 0; b < BINS; b++) {
      ece += Math.abs(correct[b] - sure[b]) / right.length;
      bins.add(
          new Bin(
              lowest + b * width,
              b + 1 == BINS ? 1 : lowest + (b + 1) * width,
              counts[b],
              sure[b] / counts[b],
              correct[b] / counts[b]));
    }
    return new Calibration(accuracy / right.length, ece, bins);
  }
}
