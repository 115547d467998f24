package dev.precis.benchmarks;

import dev.precis.ops.Ops.Activation;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/** The truth: each kernel's formula for one row of the result, in double precision. */
final class Reference {
  private Reference() {}

  private static double[] row(Tensor tensor, long row) {
    double[] values = new double[Math.toIntExact(tensor.columns())];
    Arrays.setAll(values, i -> tensor.get(row, i));
    return values;
  }

  static double[] row(Problem.Matmul p, long m) {
    return product(row(p.x(), m), p.w());
  }

  static double[] row(Problem.LoraMatmul p, long m) {
    double[] x = row(p.x(), m);
    double[] y = product(x, p.w());
    double[] low = product(product(x, p.a()), p.b());
    Arrays.setAll(y, n -> y[n] + p.scaling() * low[n]);
    return y;
  }

  /** A row of dx. */
  static double[] row(Problem.LoraBackward p, long m) {
    double[] dt = down(p, m);
    double[] dx = new double[Math.toIntExact(p.x().columns())];
    for (int k = 0; k < dx.length; k++) {
      for (int n = 0; n < p.w().rows(); n++) {
        dx[k] += p.dy().get(m, n) * p.w().get(n, k);
      }
      for (int r = 0; r < dt.length; r++) {
        dx[k] += dt[r] * p.a().get(r, k);
      }
    }
    return dx;
  }

  /** A row of da. */
  static double[] rowOfA(Problem.LoraBackward p, long r) {
    double[] da = new double[Math.toIntExact(p.x().columns())];
    for (long m = 0; m < p.x().rows(); m++) {
      double dt = down(p, m)[(int) r];
      for (int k = 0; k < da.length; k++) {
        da[k] += dt * p.x().get(m, k);
      }
    }
    return da;
  }

  /** A row of db. */
  static double[] rowOfB(Problem.LoraBackward p, long n) {
    double[] db = new double[Math.toIntExact(p.b().columns())];
    for (long m = 0; m < p.x().rows(); m++) {
      for (int r = 0; r < db.length; r++) {
        db[r] += p.dy().get(m, n) * p.t().get(m, r);
      }
    }
    return db;
  }

  private static double[] down(Problem.LoraBackward p, long m) {
    double[] dt = new double[Math.toIntExact(p.b().columns())];
    for (int n = 0; n < p.b().rows(); n++) {
      for (int r = 0; r < dt.length; r++) {
        dt[r] += p.scaling() * p.dy().get(m, n) * p.b().get(n, r);
      }
    }
    return dt;
  }

  /** {@code x W'}; W (N, K). */
  private static double[] product(double[] x, Tensor w) {
    double[] y = new double[Math.toIntExact(w.rows())];
    for (int n = 0; n < y.length; n++) {
      for (int k = 0; k < x.length; k++) {
        y[n] += x[k] * w.get(n, k);
      }
    }
    return y;
  }

  /** One row's losses and their gradients. */
  record PpoRow(
      double logProbability,
      double entropy,
      double policyLoss,
      double valueLoss,
      double dvalue,
      double[] dx) {}

  static PpoRow row(Problem.PpoLoss p, long m) {
    double[] logP = logSoftmax(product(row(p.x(), m), p.w()));
    int action = p.actions().memory().getAtIndex(ValueLayout.JAVA_INT, m);
    double entropy = -Arrays.stream(logP).map(l -> Math.exp(l) * l).sum();
    double weight = p.weights().get(0, m);
    double advantage = p.advantages().get(0, m);
    double ratio = Math.exp(logP[action] - p.oldLogProbabilities().get(0, m));
    double low = 1.0 - p.coefficients().clipRangeLow();
    double high = 1.0 + p.coefficients().clipRangeHigh();
    double policyLoss = Math.max(-advantage * ratio, -advantage * Math.clamp(ratio, low, high));
    // Beyond a bound the gradient passes only where the loss is the unclipped one.
    boolean inside = low <= ratio && ratio <= high;
    double slope = inside || (ratio < low ? advantage > 0 : advantage < 0) ? -advantage * ratio : 0;
    double range = p.coefficients().clipRangeValue();
    double value = p.values().get(0, m);
    double old = p.oldValues().get(0, m);
    double error = value - p.returns().get(0, m);
    double other = Math.clamp(value, old - range, old + range) - p.returns().get(0, m);
    double valueLoss = Math.max(error * error, other * other) / 2;
    boolean moves = Math.abs(value - old) <= range || Math.abs(error) > Math.abs(other);
    double dvalue = moves ? weight * p.coefficients().valueCoefficient() * error : 0;
    double bonus = p.coefficients().entropyCoefficient();
    double[] dx = new double[Math.toIntExact(p.x().columns())];
    for (int v = 0; v < logP.length; v++) {
      double g = Math.exp(logP[v]) * (bonus * (logP[v] + entropy) - slope);
      g = weight * (v == action ? g + slope : g);
      for (int d = 0; d < dx.length; d++) {
        dx[d] += g * p.w().get(v, d);
      }
    }
    return new PpoRow(logP[action], entropy, policyLoss, valueLoss, dvalue, dx);
  }

  /** The definition: a sum of all later errors, each discounted. */
  static double[] row(Problem.Gae p, long s) {
    int length = p.lengths().memory().getAtIndex(ValueLayout.JAVA_INT, s);
    double[] advantages = new double[Math.toIntExact(p.rewards().columns())];
    for (int t = 0; t < length; t++) {
      for (int later = t; later < length; later++) {
        double next = later + 1 < length ? p.values().get(s, later + 1) : 0;
        double error = p.rewards().get(s, later) + p.gamma() * next - p.values().get(s, later);
        advantages[t] += Math.pow(p.gamma() * p.lambda(), later - t) * error;
      }
    }
    return advantages;
  }

  static double[] row(Problem.RmsNorm p, long m) {
    double[] y = row(p.x(), m);
    double scale =
        1 / Math.sqrt(Arrays.stream(y).map(v -> v * v).average().orElseThrow() + p.epsilon());
    Arrays.setAll(y, i -> y[i] * scale * p.weight().get(0, i));
    return y;
  }

  static double[] row(Problem.ActivationFunction p, long m) {
    double[] x = row(p.x(), m);
    double[] y = new double[Math.toIntExact(p.y().columns())];
    Arrays.setAll(y, i -> activate(p.kind(), x[i]) * (p.gated() ? x[y.length + i] : 1));
    return y;
  }

  static double activate(Activation kind, double x) {
    return switch (kind) {
      case RELU -> Math.max(x, 0);
      case GELU_TANH ->
          0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));
      case TANH -> Math.tanh(x);
      case SILU -> x / (1 + Math.exp(-x));
      case GELU_ERF -> throw new UnsupportedOperationException("Java has no erf");
    };
  }

  static double[] row(Problem.Attention p, long m) {
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

  static double[] row(Problem.AttentionDecode p, long m) {
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

  static double[] softmax(double[] x) {
    double[] y = logSoftmax(x);
    Arrays.setAll(y, i -> Math.exp(y[i]));
    return y;
  }

  static double[] logSoftmax(double[] x) {
    double largest = Arrays.stream(x).max().orElseThrow();
    double log = largest + Math.log(Arrays.stream(x).map(v -> Math.exp(v - largest)).sum());
    return Arrays.stream(x).map(v -> v - log).toArray();
  }

  static double[] row(Problem.Embedding p, long m) {
    return row(p.table(), p.ids().memory().getAtIndex(ValueLayout.JAVA_INT, m));
  }

  static double[] row(Problem.Softmax p, long m) {
    double[] x = row(p.x(), m);
    return p.logarithm() ? logSoftmax(x) : softmax(x);
  }

  /** The logarithms of the probabilities that a row's token is drawn with; -inf: never. */
  static double[] row(Problem.Sample p, long m) {
    double[] logits = row(p.logits(), m);
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

  /** Column indices by falling value, the lower index first among equals. */
  static int[] descending(double[] values) {
    Integer[] order = new Integer[values.length];
    Arrays.setAll(order, i -> i);
    Arrays.sort(order, (i, j) -> Double.compare(values[j], values[i]));
    return Arrays.stream(order).mapToInt(i -> i).toArray();
  }

  /** The indices of the k largest, as numbers. */
  static double[] row(Problem.TopK p, long m) {
    int k = Math.toIntExact(p.indices().columns());
    return Arrays.stream(descending(row(p.x(), m))).limit(k).asDoubleStream().toArray();
  }

  static double[] row(Problem.Convert p, long m) {
    double[] x = row(p.x(), m);
    if (p.y().dtype() == DType.BFLOAT16) {
      Arrays.setAll(x, i -> Bfloat16.round((float) x[i]));
    }
    return x;
  }
}
