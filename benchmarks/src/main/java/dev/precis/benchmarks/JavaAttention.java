package dev.precis.benchmarks;

import static dev.precis.benchmarks.JavaArrays.call;
import static dev.precis.benchmarks.JavaArrays.copy;
import static dev.precis.benchmarks.JavaArrays.size;

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
      case AttentionProblem.Disentangled p -> disentangled(p);
      case AttentionProblem.AttentionDecode p -> attentionDecode(p);
      case AttentionProblem.AttentionBackward p -> attentionBackward(p);
    };
  }

  private Call attention(AttentionProblem.Attention p) {
    int width = size(p.q().columns());
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

  private Call disentangled(AttentionProblem.Disentangled p) {
    int width = size(p.q().columns());
    int headDim = width / p.heads();
    int length = p.length();
    float[] q = arrays.of(p.q());
    float[] k = arrays.of(p.k());
    float[] v = arrays.of(p.v());
    float[] positionKeys = arrays.of(p.positionKeys());
    float[] positionQueries = arrays.of(p.positionQueries());
    float[] out = arrays.of(p.out());
    float[] scores = new float[length];
    return call(
        () -> {
          Arrays.fill(out, 0);
          for (int at = 0; at < size(p.q().rows()) * p.heads(); at++) {
            int row = at / p.heads();
            int column = at % p.heads() * headDim;
            int i = row % length;
            int query = row * width + column;
            for (int j = 0; j < length; j++) {
              int key = (row - i + j) * width + column;
              int position = (i - j + length - 1) * width + column;
              float sum = dot(q, query, k, key, headDim);
              sum += dot(q, query, positionKeys, position, headDim);
              sum += dot(k, key, positionQueries, position, headDim);
              scores[j] = sum * p.scale();
            }
            softmax(scores, length);
            for (int j = 0; j < length; j++) {
              addScaled(out, query, scores[j], v, (row - i + j) * width + column, headDim);
            }
          }
        },
        out,
        p.out());
  }

  private Call attentionDecode(AttentionProblem.AttentionDecode p) {
    int rows = size(p.q().rows());
    int width = size(p.q().columns());
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
   * Returns the bias of each distance, from the farthest key back to the farthest ahead, as (heads,
   * 2 length - 1).
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

  /** Recomputes the probabilities row by row. */
  private Call attentionBackward(AttentionProblem.AttentionBackward p) {
    AttentionProblem.Attention f = p.forward();
    int width = size(f.q().columns());
    int headDim = width / f.heads();
    int length = f.length();
    float[] q = arrays.of(f.q());
    float[] k = arrays.of(f.k());
    float[] v = arrays.of(f.v());
    float[] dout = arrays.of(p.dout());
    float[] bias = biasByDistance(f.bias(), length, f.maxDistance(), !f.causal());
    float[] dq = arrays.of(p.dq());
    float[] dk = arrays.of(p.dk());
    float[] dv = arrays.of(p.dv());
    float[] weights = new float[length];
    float[] dweights = new float[length];
    return new Call() {
      @Override
      public void run() {
        Arrays.fill(dq, 0);
        Arrays.fill(dk, 0);
        Arrays.fill(dv, 0);
        for (int at = 0; at < f.sequences() * f.heads() * length; at++) {
          int head = at / length % f.heads();
          int i = at % length;
          int first = at / length / f.heads() * length * width + head * headDim;
          addGradients(first, head, i);
        }
      }

      /** Adds the gradients from query i of a sequence and head that begin at first. */
      private void addGradients(int first, int head, int i) {
        int keys = f.causal() ? i + 1 : length;
        int biasAt = head * (2 * length - 1) + length - 1 - i;
        int query = first + i * width;
        for (int j = 0; j < keys; j++) {
          int key = first + j * width;
          weights[j] = dot(q, query, k, key, headDim) + bias[biasAt + j];
          dweights[j] = dot(dout, query, v, key, headDim);
        }
        softmax(weights, keys);
        float mean = dot(weights, 0, dweights, 0, keys);
        for (int j = 0; j < keys; j++) {
          int key = first + j * width;
          float dscore = weights[j] * (dweights[j] - mean);
          addScaled(dq, query, dscore, k, key, headDim);
          addScaled(dk, key, dscore, q, query, headDim);
          addScaled(dv, key, weights[j], dout, query, headDim);
        }
      }

      @Override
      public void publish() {
        copy(dq, p.dq());
        copy(dk, p.dk());
        copy(dv, p.dv());
      }
    };
  }
}
