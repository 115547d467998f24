package dev.precis.benchmarks;

import static dev.precis.benchmarks.Reference.rowOf;
import static dev.precis.benchmarks.Reference.softmax;

import dev.precis.tensor.Tensor;
import java.util.Arrays;
import java.util.stream.IntStream;

/** States the formulas of {@link AttentionProblem} in double precision: the ground truth. */
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

  static double[] row(AttentionProblem.Disentangled p, long m) {
    int width = Math.toIntExact(p.q().columns());
    int headDim = width / p.heads();
    int query = Math.toIntExact(m % p.length());
    long first = m - query;
    double[] out = new double[width];
    for (int head = 0; head < p.heads(); head++) {
      double[] scores = new double[p.length()];
      for (int j = 0; j < p.length(); j++) {
        long position = query - j + p.length() - 1;
        for (int d = head * headDim; d < (head + 1) * headDim; d++) {
          double q = p.q().get(m, d);
          double k = p.k().get(first + j, d);
          scores[j] +=
              q * k
                  + q * p.positionKeys().get(position, d)
                  + k * p.positionQueries().get(position, d);
        }
        scores[j] *= p.scale();
      }
      double[] weights = softmax(scores);
      for (int j = 0; j < p.length(); j++) {
        for (int d = head * headDim; d < (head + 1) * headDim; d++) {
          out[d] += weights[j] * p.v().get(first + j, d);
        }
      }
    }
    return out;
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

  /**
   * Returns the attention of query row m at a position over keys from {@code first} on. Given kNew,
   * the last key is its row m.
   */
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

  /** The gradients of one sequence; each (length, heads x head_dim). */
  record Gradients(double[][] dq, double[][] dk, double[][] dv) {}

  static Gradients gradients(AttentionProblem.AttentionBackward p, int sequence) {
    AttentionProblem.Attention f = p.forward();
    int length = f.length();
    int width = Math.toIntExact(f.q().columns());
    int headDim = width / f.heads();
    double[][] q = rows(f.q(), sequence, length);
    double[][] k = rows(f.k(), sequence, length);
    double[][] v = rows(f.v(), sequence, length);
    double[][] dout = rows(p.dout(), sequence, length);
    double[][] dq = new double[length][width];
    double[][] dk = new double[length][width];
    double[][] dv = new double[length][width];
    int buckets = Math.toIntExact(f.bias().rows());
    for (int head = 0; head < f.heads(); head++) {
      int from = head * headDim;
      int to = from + headDim;
      for (int i = 0; i < length; i++) {
        int keys = f.causal() ? i + 1 : length;
        double[] scores = new double[keys];
        double[] dweights = new double[keys];
        for (int j = 0; j < keys; j++) {
          int bucket = RelativePosition.bucket(j - i, buckets, f.maxDistance(), !f.causal());
          scores[j] = f.bias().get(bucket, head);
          for (int d = from; d < to; d++) {
            scores[j] += q[i][d] * k[j][d];
            dweights[j] += dout[i][d] * v[j][d];
          }
        }
        double[] weights = softmax(scores);
        double mean = IntStream.range(0, keys).mapToDouble(j -> weights[j] * dweights[j]).sum();
        for (int j = 0; j < keys; j++) {
          double dscore = weights[j] * (dweights[j] - mean);
          for (int d = from; d < to; d++) {
            dq[i][d] += dscore * k[j][d];
            dk[j][d] += dscore * q[i][d];
            dv[j][d] += weights[j] * dout[i][d];
          }
        }
      }
    }
    return new Gradients(dq, dk, dv);
  }

  private static double[][] rows(Tensor tensor, int sequence, int length) {
    double[][] rows = new double[length][];
    Arrays.setAll(rows, i -> rowOf(tensor, (long) sequence * length + i));
    return rows;
  }
}
