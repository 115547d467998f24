package dev.precis.benchmarks;

import static dev.precis.benchmarks.JavaArrays.call;

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
    };
  }

  private Call rmsNorm(NormProblem.RmsNorm p) {
    int rows = Math.toIntExact(p.x().rows());
    int width = Math.toIntExact(p.x().columns());
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
}
