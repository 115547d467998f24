package dev.precis.benchmarks;

import static dev.precis.benchmarks.JavaArrays.call;
import static dev.precis.benchmarks.JavaArrays.ints;
import static dev.precis.benchmarks.JavaArrays.size;

import dev.precis.benchmarks.Provider.Call;
import dev.precis.ops.Activation;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.SplittableRandom;

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
      case ElementwiseProblem.ActivationBackward p -> activationBackward(p);
      case ElementwiseProblem.EmbeddingBackward p -> embeddingBackward(p);
      case ElementwiseProblem.Add p -> add(p);
      case ElementwiseProblem.AddBias p -> addBias(p);
      case ElementwiseProblem.BiasGradient p -> biasGradient(p);
      case ElementwiseProblem.Dropout p -> dropout(p);
      case ElementwiseProblem.Zero p -> zero(p);
    };
  }

  private Call activation(ElementwiseProblem.ActivationFunction p) {
    int rows = size(p.y().rows());
    int width = size(p.y().columns());
    int stride = size(p.x().columns());
    float[] x = arrays.of(p.x());
    float[] y = arrays.of(p.y());
    boolean relu = isRelu(p.kind());
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

  /** Returns whether the kind is ReLU; the other kind that is implemented here is GELU. */
  private static boolean isRelu(Activation kind) {
    if (kind != Activation.RELU && kind != Activation.GELU_TANH) {
      throw new UnsupportedOperationException(
          kind + " is not implemented in plain Java; choose RELU or GELU_TANH.");
    }
    return kind == Activation.RELU;
  }

  private static float geluTanh(float x) {
    double inner = Math.sqrt(2 / Math.PI) * (x + 0.044715f * x * x * x);
    return (float) (0.5 * x * (1 + Math.tanh(inner)));
  }

  private Call embedding(ElementwiseProblem.Embedding p) {
    int width = size(p.table().columns());
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

  private Call activationBackward(ElementwiseProblem.ActivationBackward p) {
    int rows = size(p.dy().rows());
    int width = size(p.dy().columns());
    int stride = size(p.x().columns());
    float[] x = arrays.of(p.x());
    float[] dy = arrays.of(p.dy());
    float[] dx = arrays.of(p.dx());
    boolean relu = isRelu(p.kind());
    return call(
        () -> {
          for (int row = 0; row < rows; row++) {
            for (int i = 0; i < width; i++) {
              int at = row * stride + i;
              float v = x[at];
              float d = dy[row * width + i];
              float slope = relu ? (v > 0 ? 1 : 0) : geluTanhSlope(v);
              dx[at] = p.gated() ? d * slope * x[at + width] : d * slope;
              if (p.gated()) {
                dx[at + width] = d * (relu ? Math.max(v, 0) : geluTanh(v));
              }
            }
          }
        },
        dx,
        p.dx());
  }

  private static float geluTanhSlope(float x) {
    double root = Math.sqrt(2 / Math.PI);
    double t = Math.tanh(root * (x + 0.044715f * x * x * x));
    return (float) (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * root * (1 + 0.134145f * x * x));
  }

  private Call embeddingBackward(ElementwiseProblem.EmbeddingBackward p) {
    int width = size(p.dy().columns());
    int[] ids = ints(p.ids());
    float[] dy = arrays.of(p.dy());
    float[] dtable = arrays.of(p.dtable());
    return call(
        () -> {
          for (int t = 0; t < ids.length; t++) {
            for (int i = 0; i < width; i++) {
              dtable[ids[t] * width + i] += dy[t * width + i];
            }
          }
        },
        dtable,
        p.dtable());
  }

  private Call add(ElementwiseProblem.Add p) {
    float[] x = arrays.of(p.x());
    float[] y = arrays.of(p.y());
    float alpha = p.alpha();
    return call(
        () -> {
          for (int i = 0; i < x.length; i++) {
            y[i] += alpha * x[i];
          }
        },
        y,
        p.y());
  }

  private Call addBias(ElementwiseProblem.AddBias p) {
    float[] bias = arrays.of(p.bias());
    float[] y = arrays.of(p.y());
    return call(
        () -> {
          for (int at = 0; at < y.length; at += bias.length) {
            for (int i = 0; i < bias.length; i++) {
              y[at + i] += bias[i];
            }
          }
        },
        y,
        p.y());
  }

  private Call biasGradient(ElementwiseProblem.BiasGradient p) {
    float[] dy = arrays.of(p.dy());
    float[] dbias = arrays.of(p.dbias());
    return call(
        () -> {
          for (int at = 0; at < dy.length; at += dbias.length) {
            for (int i = 0; i < dbias.length; i++) {
              dbias[i] += dy[at + i];
            }
          }
        },
        dbias,
        p.dbias());
  }

  private Call dropout(ElementwiseProblem.Dropout p) {
    float[] x = arrays.of(p.x());
    float[] y = arrays.of(p.y());
    float scale = 1 / (1 - p.probability());
    // 32 random bits an element: an element is dropped where they are below the limit.
    long limit = (long) ((1L << 32) * p.probability()) + Integer.MIN_VALUE;
    SplittableRandom random = new SplittableRandom(p.seed());
    return call(
        () -> {
          for (int i = 0; i < x.length; i++) {
            y[i] = random.nextInt() < limit ? 0 : x[i] * scale;
          }
        },
        y,
        p.y());
  }

  private Call zero(ElementwiseProblem.Zero p) {
    float[] y = arrays.of(p.y());
    return call(() -> Arrays.fill(y, 0), y, p.y());
  }
}
