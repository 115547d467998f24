package dev.precis.benchmarks;

import static dev.precis.benchmarks.Reference.logSoftmax;
import static dev.precis.benchmarks.Reference.rowOf;
import static dev.precis.benchmarks.Reference.softmax;

import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/** States the formulas of {@link SamplingProblem} in double precision: the ground truth. */
final class SamplingReference {
  private SamplingReference() {}

  static double[] row(SamplingProblem.Softmax p, long m) {
    double[] x = rowOf(p.x(), m);
    return p.logarithm() ? logSoftmax(x) : softmax(x);
  }

  /** Returns the log-probabilities that a row's token is sampled with; -inf: never. */
  static double[] row(SamplingProblem.Sample p, long m) {
    double[] logits = rowOf(p.logits(), m);
    int[] order = descending(logits);
    int kept = p.topK() > 0 ? Math.min(p.topK(), order.length) : order.length;
    double[] warped = new double[logits.length];
    Arrays.fill(warped, Double.NEGATIVE_INFINITY);
    for (int i = 0; i < kept; i++) {
      warped[order[i]] = logits[order[i]] / p.temperature();
    }
    if (p.topP() < 1) {
      double[] probabilities = softmax(warped);
      double mass = 0;
      for (int i = 0; i < kept; i++) {
        if (mass >= p.topP()) {
          warped[order[i]] = Double.NEGATIVE_INFINITY;
        }
        mass += probabilities[order[i]];
      }
    }
    return logSoftmax(warped);
  }

  /** Returns column indices in descending order of value, the lower index first among equals. */
  static int[] descending(double[] values) {
    Integer[] order = new Integer[values.length];
    Arrays.setAll(order, i -> i);
    Arrays.sort(order, (i, j) -> Double.compare(values[j], values[i]));
    return Arrays.stream(order).mapToInt(i -> i).toArray();
  }

  /** Returns the indices of the k largest. */
  static double[] row(SamplingProblem.TopK p, long m) {
    int k = Math.toIntExact(p.indices().columns());
    return Arrays.stream(descending(rowOf(p.x(), m))).limit(k).asDoubleStream().toArray();
  }

  static double[] row(SamplingProblem.ProcessLogits p, long m) {
    double[] scores = rowOf(p.before(), m);
    int length = p.lengths().memory().getAtIndex(ValueLayout.JAVA_INT, m);
    int[] history = new int[length];
    for (int i = 0; i < length; i++) {
      history[i] =
          p.history().memory().getAtIndex(ValueLayout.JAVA_INT, m * p.history().columns() + i);
    }
    for (int token : Arrays.stream(history).distinct().toArray()) {
      scores[token] = scores[token] > 0 ? scores[token] / p.penalty() : scores[token] * p.penalty();
    }
    int known = p.ngram() - 1;
    int[] last = Arrays.copyOfRange(history, length - known, length);
    for (int i = 0; i + known < length; i++) {
      if (Arrays.equals(last, Arrays.copyOfRange(history, i, i + known))) {
        scores[history[i + known]] = Double.NEGATIVE_INFINITY;
      }
    }
    if (length - 1 < p.minNewTokens()) {
      for (long i = 0; i < p.endTokens().columns(); i++) {
        scores[p.endTokens().memory().getAtIndex(ValueLayout.JAVA_INT, i)] =
            Double.NEGATIVE_INFINITY;
      }
    }
    return scores;
  }
}
