package dev.precis.benchmarks;

import dev.precis.benchmarks.Provider.Call;
import dev.precis.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.IdentityHashMap;
import java.util.Map;

/** Arrays in place of tensors, and the loops that several kernels in plain Java share. */
final class JavaArrays {
  /** One array for each tensor, because problems share tensors. */
  private final Map<Tensor, float[]> arrays = new IdentityHashMap<>();

  /** Returns a call whose result is an array that publish copies to a tensor. */
  static Call call(Runnable run, float[] result, Tensor to) {
    return new Call() {
      @Override
      public void run() {
        run.run();
      }

      @Override
      public void publish() {
        MemorySegment.copy(result, 0, to.memory(), ValueLayout.JAVA_FLOAT, 0, result.length);
      }
    };
  }

  float[] of(Tensor tensor) {
    return arrays.computeIfAbsent(tensor, JavaArrays::floats);
  }

  static float[] floats(Tensor tensor) {
    float[] values = new float[Math.toIntExact(tensor.rows() * tensor.columns())];
    MemorySegment.copy(tensor.memory(), ValueLayout.JAVA_FLOAT, 0, values, 0, values.length);
    return values;
  }

  static int[] ints(Tensor tensor) {
    int[] values = new int[Math.toIntExact(tensor.rows() * tensor.columns())];
    MemorySegment.copy(tensor.memory(), ValueLayout.JAVA_INT, 0, values, 0, values.length);
    return values;
  }

  /** Returns weights (N, K) as (K, N): along N no sum has to be reordered to vectorize. */
  static float[] transposed(Tensor weights) {
    int n = size(weights.rows());
    int k = size(weights.columns());
    float[] from = floats(weights);
    float[] to = new float[from.length];
    transpose(from, to, n, k);
    return to;
  }

  /** Adds {@code y += scale x W}; x (m, k), W (k, n), y (m, n). */
  static void addProduct(float[] x, float[] w, float[] y, int m, int k, int n, float scale) {
    for (int row = 0; row < m; row++) {
      int to = row * n;
      for (int i = 0; i < k; i++) {
        float factor = scale * x[row * k + i];
        int from = i * n;
        for (int j = 0; j < n; j++) {
          y[to + j] += factor * w[from + j];
        }
      }
    }
  }

  /** Adds {@code w += u' v}; u (m, n), v (m, k), w (n, k). */
  static void addOuter(float[] u, float[] v, float[] w, int m, int n, int k) {
    for (int row = 0; row < m; row++) {
      for (int i = 0; i < n; i++) {
        float factor = u[row * n + i];
        for (int j = 0; j < k; j++) {
          w[i * k + j] += factor * v[row * k + j];
        }
      }
    }
  }

  static void copy(float[] from, Tensor to) {
    MemorySegment.copy(from, 0, to.memory(), ValueLayout.JAVA_FLOAT, 0, from.length);
  }

  static double logOfSum(float[] values, int at, int n) {
    float largest = Float.NEGATIVE_INFINITY;
    for (int i = 0; i < n; i++) {
      largest = Math.max(largest, values[at + i]);
    }
    double sum = 0;
    for (int i = 0; i < n; i++) {
      sum += Math.exp(values[at + i] - largest);
    }
    return largest + Math.log(sum);
  }

  /** Writes a matrix of so many rows and columns with its columns as rows. */
  static void transpose(float[] from, float[] to, int rows, int columns) {
    for (int i = 0; i < rows; i++) {
      for (int j = 0; j < columns; j++) {
        to[j * rows + i] = from[i * columns + j];
      }
    }
  }

  /** Returns a size as an array's index: no tensor here has 2^31 elements. */
  static int size(long size) {
    return Math.toIntExact(size);
  }
}
