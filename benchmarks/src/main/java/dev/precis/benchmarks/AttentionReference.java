package dev.precis.benchmarks;

import static dev.precis.benchmarks.Reference.softmax;

import dev.precis.tensor.Tensor;

/** The truth: the formulas of {@link AttentionProblem}, in double precision. */
final class AttentionReference {
  private AttentionReference() {}

  static double[] row(AttentionProblem.Attention p, long m) {
    int length = p.length();
    int query = Math.toIntExact(m % length);
    int keys = p.causal() ? query + 1 : length;
    return attend(
        p.q(),
        m,
        p.k(),
        p.v(),
        m - query,
        keys,
        query,
        p.bias(),
        p.heads(),
        p.maxDistance(),
        !p.causal(),
        null,
        null);
  }

  static double[] row(AttentionProblem.AttentionDecode p, long m) {
    return attend(
        p.q(),
        m,
        p.kCache(),
        p.vCache(),
        m * p.length(),
        p.length(),
        p.length() - 1,
        p.bias(),
        p.heads(),
        p.maxDistance(),
        false,
        p.kNew(),
        p.vNew());
  }

  /** Query row m at a position over keys from {@code first} on; kNew: the last key is its row m. */
  private static double[] attend(
      Tensor q,
      long m,
      Tensor k,
      Tensor v,
      long first,
      int keys,
      int position,
      Tensor bias,
      int heads,
      int maxDistance,
      boolean bidirectional,
      Tensor kNew,
      Tensor vNew) {
    int width = Math.toIntExact(q.columns());
    int headDim = width / heads;
    double[] out = new double[width];
    for (int head = 0; head < heads; head++) {
      double[] scores = new double[keys];
      for (int j = 0; j < keys; j++) {
        boolean last = kNew != null && j == keys - 1;
        for (int d = head * headDim; d < (head + 1) * headDim; d++) {
          scores[j] += (double) q.get(m, d) * (last ? kNew.get(m, d) : k.get(first + j, d));
        }
        if (bias != null) {
          int buckets = Math.toIntExact(bias.rows());
          scores[j] +=
              bias.get(
                  RelativePosition.bucket(j - position, buckets, maxDistance, bidirectional), head);
        }
      }
      double[] weights = softmax(scores);
      for (int j = 0; j < keys; j++) {
        boolean last = vNew != null && j == keys - 1;
        for (int d = head * headDim; d < (head + 1) * headDim; d++) {
          out[d] += weights[j] * (last ? vNew.get(m, d) : v.get(first + j, d));
        }
      }
    }
    return out;
  }
}
