package dev.precis.benchmarks;

import static dev.precis.benchmarks.JavaArrays.call;
import static dev.precis.benchmarks.JavaArrays.copy;
import static dev.precis.benchmarks.JavaArrays.size;

import dev.precis.benchmarks.Provider.Call;

/** Normalization of rows, and its gradients in plain Java. */
final class JavaNorms {
  private final JavaArrays arrays;

  JavaNorms(JavaArrays arrays) {
    this.arrays = arrays;
  }

  Call prepare(NormProblem problem) {
    return switch (problem) {
      case NormProblem.RmsNorm p -> rmsNorm(p);
      case NormProblem.RmsNormBackward p -> rmsNormBackward(p);
      case NormProblem.LayerNorm p -> layerNorm(p);
      case NormProblem.LayerNormBackward p -> layerNormBackward(p);
    };
  }

  private Call rmsNorm(NormProblem.RmsNorm p) {
    int rows = size(p.x().rows());
    int width = size(p.x().columns());
    float[] x = arrays.of(p.x());
    float[] weight = arrays.of(p.weight());
    float[] y = arrays.of(p.y());
    return call(
        () -> {
          for (int row = 0; row < rows; row++) {
            int at = row * width;
            float sum = 0;
            for (int i = 0; i < width; i++) {
              sum += x[at + i] * x[at + i];
            }
            float scale = (float) (1 / Math.sqrt(sum / width + p.epsilon()));
            for (int i = 0; i < width; i++) {
              y[at + i] = x[at + i] * scale * weight[i];
            }
          }
        },
        y,
        p.y());
  }

  private Call rmsNormBackward(NormProblem.RmsNormBackward p) {
    int rows = size(p.x().rows());
    int width = size(p.x().columns());
    float[] x = arrays.of(p.x());
    float[] weight = arrays.of(p.weight());
    float[] dy = arrays.of(p.dy());
    float[] dx = arrays.of(p.dx());
    float[] dweight = arrays.of(p.dweight());
    return new Call() {
      @Override
      public void run() {
        for (int at = 0; at < rows * width; at += width) {
          float squares = 0;
          float products = 0;
          for (int i = 0; i < width; i++) {
            squares += x[at + i] * x[at + i];
            products += weight[i] * dy[at + i] * x[at + i];
          }
          float r = (float) (1 / Math.sqrt(squares / width + p.epsilon()));
          float projection = r * r * products / width;
          for (int i = 0; i < width; i++) {
            dx[at + i] = r * (weight[i] * dy[at + i] - x[at + i] * projection);
            dweight[i] += dy[at + i] * x[at + i] * r;
          }
        }
      }

      @Override
      public void publish() {
        copy(dx, p.dx());
        copy(dweight, p.dweight());
      }
    };
  }

  private Call layerNorm(NormProblem.LayerNorm p) {
    int rows = size(p.x().rows());
    int width = size(p.x().columns());
    float[] x = arrays.of(p.x());
    float[] weight = arrays.of(p.weight());
    float[] bias = arrays.of(p.bias());
    float[] y = arrays.of(p.y());
    return call(
        () -> {
          for (int at = 0; at < rows * width; at += width) {
            float mean = mean(x, at, width);
            float scale = scale(x, at, width, mean, p.epsilon());
            for (int i = 0; i < width; i++) {
              y[at + i] = (x[at + i] - mean) * scale * weight[i] + bias[i];
            }
          }
        },
        y,
        p.y());
  }

  private Call layerNormBackward(NormProblem.LayerNormBackward p) {
    int rows = size(p.x().rows());
    int width = size(p.x().columns());
    float[] x = arrays.of(p.x());
    float[] weight = arrays.of(p.weight());
    float[] dy = arrays.of(p.dy());
    float[] dx = arrays.of(p.dx());
    float[] dweight = arrays.of(p.dweight());
    float[] dbias = arrays.of(p.dbias());
    return new Call() {
      @Override
      public void run() {
        for (int at = 0; at < rows * width; at += width) {
          float mean = mean(x, at, width);
          float scale = scale(x, at, width, mean, p.epsilon());
          float sum = 0;
          float products = 0;
          for (int i = 0; i < width; i++) {
            float weighted = weight[i] * dy[at + i];
            sum += weighted;
            products += weighted * (x[at + i] - mean) * scale;
          }
          for (int i = 0; i < width; i++) {
            float normalized = (x[at + i] - mean) * scale;
            dx[at + i] =
                scale * (weight[i] * dy[at + i] - sum / width - normalized * (products / width));
            dweight[i] += dy[at + i] * normalized;
            dbias[i] += dy[at + i];
          }
        }
      }

      @Override
      public void publish() {
        copy(dx, p.dx());
        copy(dweight, p.dweight());
        copy(dbias, p.dbias());
      }
    };
  }

  private static float mean(float[] x, int at, int width) {
    float sum = 0;
    for (int i = 0; i < width; i++) {
      sum += x[at + i];
    }
    return sum / width;
  }

  /** Returns one over the standard deviation of a row. */
  private static float scale(float[] x, int at, int width, float mean, float epsilon) {
    float sum = 0;
    for (int i = 0; i < width; i++) {
      sum += (x[at + i] - mean) * (x[at + i] - mean);
    }
    return (float) (1 / Math.sqrt(sum / width + epsilon));
  }
}
