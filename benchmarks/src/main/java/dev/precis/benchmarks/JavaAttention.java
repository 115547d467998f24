package dev.precis.benchmarks;

import static dev.precis.benchmarks.JavaArrays.call;

import dev.precis.benchmarks.Provider.Call;
import dev.precis.tensor.Tensor;
import java.util.Arrays;

/** Attention and its gradients in plain Java. */
final class JavaAttention {
  private final JavaArrays arrays;

  JavaAttention(JavaArrays arrays) {
    this.arrays = arrays;
  }

  Call prepare(AttentionProblem problem) {
    return switch (problem) {
      case AttentionProblem.Attention p -> attention(p);
      case AttentionProblem.AttentionDecode p -> attentionDecode(p);
    };
  }

  private Call attention(AttentionProblem.Attention p) {
    int width = Math.toIntExact(p.q().columns());
    int headDim = width / p.heads();
    int length = p.length();
    float[] q = arrays.of(p.q());
    float[] k = arrays.of(p.k());
    float[] v = arrays.of(p.v());
    float[] bias = biasByDistance(p.bias(), length, p.maxDistance(), !p.causal());
    float[] out = arrays.of(p.out());
    float[] scores = new float[length];
    return call(
        () -> {
          Arrays.fill(out, 0);
          for (int sequence = 0; sequence < p.sequences(); sequence++) {
            int base = sequence * length;
            for (int head = 0; head < p.heads(); head++) {
              int column = head * headDim;
              for (int i = 0; i < length; i++) {
                int keys = p.causal() ? i + 1 : length;
                int biasAt = head * (2 * length - 1) + length - 1 - i;
                int query = (base + i) * width + column;
                for (int j = 0; j < keys; j++) {
                  scores[j] =
                      dot(q, query, k, (base + j) * width + column, headDim) + bias[biasAt + j];
                }
                softmax(scores, keys);
                for (int j = 0; j < keys; j++) {
                  addScaled(out, query, scores[j], v, (base + j) * width + column, headDim);
                }
              }
            }
          }
        },
        out,
        p.out());
  }

  private Call attentionDecode(AttentionProblem.AttentionDecode p) {
    int rows = Math.toIntExact(p.q().rows());
    int width = Math.toIntExact(p.q().columns());
    int headDim = width / p.heads();
    int length = p.length();
    float[] q = arrays.of(p.q());
    float[] kNew = p.kNew() == null ? null : arrays.of(p.kNew());
    float[] vNew = p.vNew() == null ? null : arrays.of(p.vNew());
    float[] k = arrays.of(p.kCache());
    float[] v = arrays.of(p.vCache());
    float[] bias =
        p.bias() == null
            ? new float[p.heads() * (2 * length - 1)]
            : biasByDistance(p.bias(), length, p.maxDistance(), false);
    float[] out = arrays.of(p.out());
    float[] scores = new float[length];
    return call(
        () -> {
          Arrays.fill(out, 0);
          for (int row = 0; row < rows; row++) {
            int first = row * length;
            if (kNew != null) {
              System.arraycopy(kNew, row * width, k, (first + length - 1) * width, width);
              System.arraycopy(vNew, row * width, v, (first + length - 1) * width, width);
            }
            for (int head = 0; head < p.heads(); head++) {
              int column = head * headDim;
              int biasAt = head * (2 * length - 1);
              int query = row * width + column;
              for (int j = 0; j < length; j++) {
                scores[j] =
                    dot(q, query, k, (first + j) * width + column, headDim) + bias[biasAt + j];
              }
              softmax(scores, length);
              for (int j = 0; j < length; j++) {
                addScaled(out, query, scores[j], v, (first + j) * width + column, headDim);
              }
            }
          }
        },
        out,
        p.out());
  }

  /**
   * (heads, 2 length - 1): the bias of each distance, from the farthest key back to the farthest
   * on.
   */
  private static float[] biasByDistance(
      Tensor table, int length, int maxDistance, boolean bidirectional) {
    int heads = Math.toIntExact(table.columns());
    int buckets = Math.toIntExact(table.rows());
    float[] bias = new float[heads * (2 * length - 1)];
    for (int distance = 1 - length; distance < length; distance++) {
      int bucket = RelativePosition.bucket(distance, buckets, maxDistance, bidirectional);
      for (int head = 0; head < heads; head++) {
        bias[head * (2 * length - 1) + distance + length - 1] = table.get(bucket, head);
      }
    }
    return bias;
  }

  private static float dot(float[] a, int aAt, float[] b, int bAt, int n) {
    float sum = 0;
    for (int i = 0; i < n; i++) {
      sum += a[aAt + i] * b[bAt + i];
    }
    return sum;
  }

  private static void addScaled(float[] y, int yAt, float scale, float[] x, int xAt, int n) {
    for (int i = 0; i < n; i++) {
      y[yAt + i] += scale * x[xAt + i];
    }
  }

  private static void softmax(float[] values, int n) {
    float largest = Float.NEGATIVE_INFINITY;
    for (int i = 0; i < n; i++) {
      largest = Math.max(largest, values[i]);
    }
    float sum = 0;
    for (int i = 0; i < n; i++) {
      values[i] = (float) Math.exp(values[i] - largest);
      sum += values[i];
    }
    for (int i = 0; i < n; i++) {
      values[i] /= sum;
    }
  }
}
