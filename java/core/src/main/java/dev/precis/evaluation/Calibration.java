package dev.precis.evaluation;

import java.util.ArrayList;
import java.util.List;

/**
 * Whether a classifier is as often right as it is sure (Guo et al.: On Calibration of Modern Neural
 * Networks, 2017). Answers are put into bins of equal width by their confidence; over bins b of n_b
 * answers of n
 *
 * <pre>
 *   ECE = sum_b n_b / n |accuracy_b - confidence_b|
 * </pre>
 *
 * @param accuracy share of answers that are right; a tie counts half
 * @param ece the expected calibration error
 * @param bins from the lowest confidence to 1; empty ones have a count of 0
 */
public record Calibration(double accuracy, double ece, List<Bin> bins) {
  /** Bins where nobody says. */
  public static final int BINS = 10;

  /**
   * Answers of about one confidence.
   *
   * @param low where the bin begins
   * @param high where it ends
   * @param confidence their mean; NaN where there is none
   * @param accuracy share of them that are right; NaN where there is none
   */
  public record Bin(double low, double high, int count, double confidence, double accuracy) {}

  /** Keeps its own copy of the bins. */
  public Calibration {
    bins = List.copyOf(bins);
  }

  /**
   * The calibration of answers.
   *
   * @param lowest the lowest confidence there can be: one over the number of possible answers
   * @param confidences the probability that each answer was given, at least the lowest
   * @param right of each: 1 right, 0 wrong, 0.5 a tie
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
