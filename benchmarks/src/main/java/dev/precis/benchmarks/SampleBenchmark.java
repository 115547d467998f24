package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import java.lang.foreign.ValueLayout;
import org.openjdk.jmh.annotations.Param;

/** Samples a token a row from T5's vocabulary. */
public class SampleBenchmark extends KernelBenchmark<SamplingProblem.Sample> {
  private static final float TEMPERATURE = 0.8f;
  private static final int SAMPLES = 512;

  /** Standard errors; a correct sampler exceeds them once in a million set-ups. */
  private static final double SIGMAS = 5;

  /** The shape: rows x vocabulary. */
  @Param({"1x32128", "8x32128", "128x32128"})
  String shape;

  /** top-k-top-p: k 50, p 0.95; full: the whole distribution. */
  @Param({"greedy", "top-k-top-p", "full"})
  String method;

  @Override
  SamplingProblem.Sample problem(int copy) {
    Tensor logits = random(DType.FLOAT32, 2, 1, size(0), size(1));
    Tensor tokens = output(DType.INT32, size(0));
    return switch (method) {
      case "greedy" -> new SamplingProblem.Sample(logits, 1, 1, 1, 7, tokens);
      case "top-k-top-p" -> new SamplingProblem.Sample(logits, TEMPERATURE, 50, 0.95f, 7, tokens);
      case "full" -> new SamplingProblem.Sample(logits, TEMPERATURE, 0, 1, 7, tokens);
      default -> throw new IllegalArgumentException("No method " + method);
    };
  }

  /**
   * Checks that no token has probability zero, and that over many samples the mean log-probability
   * is the distribution's negative entropy.
   */
  @Override
  void verify(SamplingProblem.Sample p) {
    int rows = Math.min(size(0), 4);
    int samples = p.greedy() ? 1 : SAMPLES / rows;
    double[][] reference = new double[rows][];
    for (int row = 0; row < rows; row++) {
      reference[row] = SamplingReference.row(p, row);
    }
    double sum = 0;
    for (int sample = 0; sample < samples; sample++) {
      if (sample > 0) {
        runVerified();
      }
      for (int row = 0; row < rows; row++) {
        int token = p.tokens().memory().getAtIndex(ValueLayout.JAVA_INT, row);
        double logProbability =
            token < 0 || token >= size(1) ? Double.NEGATIVE_INFINITY : reference[row][token];
        if (logProbability == Double.NEGATIVE_INFINITY) {
          throw new AssertionError(
              "%s %s %s: row %d sampled token %d, whose probability is zero."
                  .formatted(op(), provider(), shape, row, token));
        }
        sum += logProbability;
      }
    }
    double mean = 0;
    double variance = 0;
    for (double[] row : reference) {
      double expected = 0;
      double square = 0;
      for (double logProbability : row) {
        if (logProbability > Double.NEGATIVE_INFINITY) {
          expected += Math.exp(logProbability) * logProbability;
          square += Math.exp(logProbability) * logProbability * logProbability;
        }
      }
      mean += expected / rows;
      variance += (square - expected * expected) / rows;
    }
    int count = samples * rows;
    double error = sum / count - mean;
    if (Math.abs(error) > SIGMAS * Math.sqrt(variance / count) + 1e-9) {
      throw new AssertionError(
          "%s %s %s: the mean log-probability of %d tokens is %g off."
              .formatted(op(), provider(), shape, count, error));
    }
  }

  @Override
  String op() {
    return super.op() + "/" + method;
  }

  @Override
  Work work() {
    double n = (double) size(0) * size(1);
    return Work.ofMemory().hot(4 * n, 0).operations(n);
  }
}
