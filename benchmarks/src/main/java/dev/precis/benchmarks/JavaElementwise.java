package dev.precis.benchmarks;

import static dev.precis.benchmarks.JavaArrays.call;
import static dev.precis.benchmarks.JavaArrays.ints;

import dev.precis.benchmarks.Provider.Call;
import dev.precis.ops.Activation;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Element-wise operations and those that look up or add up rows in plain Java. */
final class JavaElementwise {
  private final JavaArrays arrays;

  JavaElementwise(JavaArrays arrays) {
    this.arrays = arrays;
  }

  Call prepare(ElementwiseProblem problem) {
    return switch (problem) {
      case ElementwiseProblem.ActivationFunction p -> activation(p);
      case ElementwiseProblem.Embedding p -> embedding(p);
      case ElementwiseProblem.Convert p -> convert(p);
    };
  }

  private Call activation(ElementwiseProblem.ActivationFunction p) {
    int rows = Math.toIntExact(p.y().rows());
    int width = Math.toIntExact(p.y().columns());
    int stride = Math.toIntExact(p.x().columns());
    float[] x = arrays.of(p.x());
    float[] y = arrays.of(p.y());
    boolean relu = p.kind() == Activation.RELU;
    if (!relu && p.kind() != Activation.GELU_TANH) {
      throw new UnsupportedOperationException(p.kind() + " in plain Java");
    }
    return call(
        () -> {
          for (int row = 0; row < rows; row++) {
            for (int i = 0; i < width; i++) {
              float v = x[row * stride + i];
              float activated = relu ? Math.max(v, 0) : geluTanh(v);
              y[row * width + i] = p.gated() ? activated * x[row * stride + width + i] : activated;
            }
          }
        },
        y,
        p.y());
  }

  private static float geluTanh(float x) {
    double inner = Math.sqrt(2 / Math.PI) * (x + 0.044715f * x * x * x);
    return (float) (0.5 * x * (1 + Math.tanh(inner)));
  }

  private Call embedding(ElementwiseProblem.Embedding p) {
    int width = Math.toIntExact(p.table().columns());
    float[] table = arrays.of(p.table());
    int[] ids = ints(p.ids());
    float[] y = arrays.of(p.y());
    return call(
        () -> {
          for (int t = 0; t < ids.length; t++) {
            System.arraycopy(table, ids[t] * width, y, t * width, width);
          }
        },
        y,
        p.y());
  }

  private Call convert(ElementwiseProblem.Convert p) {
    float[] x = arrays.of(p.x());
    short[] y = new short[x.length];
    return new Call() {
      @Override
      public void run() {
        for (int i = 0; i < x.length; i++) {
          y[i] = Bfloat16.of(x[i]);
        }
      }

      @Override
      public void publish() {
        MemorySegment.copy(y, 0, p.y().memory(), ValueLayout.JAVA_SHORT, 0, y.length);
      }
    };
  }
}
