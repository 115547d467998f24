package dev.precis.benchmarks;

import static dev.precis.benchmarks.JavaArrays.call;
import static dev.precis.benchmarks.JavaArrays.copy;

import dev.precis.benchmarks.Provider.Call;

/** Steps of optimizers in plain Java. */
final class JavaOptimizers {
  private final JavaArrays arrays;

  JavaOptimizers(JavaArrays arrays) {
    this.arrays = arrays;
  }

  Call prepare(OptimizerProblem problem) {
    return switch (problem) {
      case OptimizerProblem.Adam p -> adam(p);
      case OptimizerProblem.Sgd p -> sgd(p);
      case OptimizerProblem.Adafactor p -> adafactor(p);
      case OptimizerProblem.SumOfSquares p -> sumOfSquares(p);
    };
  }

  /** A step over a state's arrays. */
  private interface Stepper {
    void step(float[] parameter, float[] first, float[] second);
  }

  private Call step(OptimizerProblem.State state, Stepper stepper) {
    float[] parameter = arrays.of(state.parameter());
    float[] first = arrays.of(state.first());
    float[] second = state.second() == null ? null : arrays.of(state.second());
    return new Call() {
      @Override
      public void run() {
        stepper.step(parameter, first, second);
      }

      @Override
      public void publish() {
        copy(parameter, state.parameter());
        copy(first, state.first());
        if (second != null) {
          copy(second, state.second());
        }
      }
    };
  }

  private Call adam(OptimizerProblem.Adam p) {
    float[] gradient = arrays.of(p.gradient());
    OptimizerProblem.Step s = p.step();
    double decay = 1.0 - s.learningRate() * s.weightDecay();
    float kept = (float) decay;
    float rate = (float) (s.learningRate() / (1 - Math.pow(p.beta1(), s.number())));
    float correction = (float) (1 / (1 - Math.pow(p.beta2(), s.number())));
    return step(
        p.state(),
        (parameter, m, v) -> {
          for (int i = 0; i < gradient.length; i++) {
            float g = s.gradientScale() * gradient[i];
            m[i] = p.beta1() * m[i] + (1 - p.beta1()) * g;
            v[i] = p.beta2() * v[i] + (1 - p.beta2()) * g * g;
            float size = (float) Math.sqrt(v[i] * correction) + p.epsilon();
            parameter[i] = parameter[i] * kept - rate * m[i] / size;
          }
        });
  }

  private Call sgd(OptimizerProblem.Sgd p) {
    float[] gradient = arrays.of(p.gradient());
    OptimizerProblem.Step s = p.step();
    return step(
        p.state(),
        (parameter, buffer, _) -> {
          for (int i = 0; i < gradient.length; i++) {
            float g = s.gradientScale() * gradient[i] + s.weightDecay() * parameter[i];
            buffer[i] = p.momentum() * buffer[i] + g;
            parameter[i] -= s.learningRate() * buffer[i];
          }
        });
  }

  private Call adafactor(OptimizerProblem.Adafactor p) {
    float[] gradient = arrays.of(p.gradient());
    OptimizerProblem.Step s = p.step();
    float kept = (float) (1 - Math.pow(s.number(), -0.8));
    float[] update = new float[gradient.length];
    return step(
        p.state(),
        (parameter, row, column) -> {
          average(gradient, s.gradientScale(), kept, row, column);
          double mean = 0;
          for (float moment : row) {
            mean += moment / row.length;
          }
          double updates = 0;
          double parameters = 0;
          for (int n = 0; n < row.length; n++) {
            for (int k = 0; k < column.length; k++) {
              int at = n * column.length + k;
              double size = Math.sqrt(row[n] * column[k] / mean);
              update[at] = (float) (s.gradientScale() * gradient[at] / size);
              updates += update[at] * update[at];
              parameters += parameter[at] * parameter[at];
            }
          }
          double rate = s.learningRate() * Math.max(1e-3, Math.sqrt(parameters / parameter.length));
          float clipped = (float) (rate / Math.max(1, Math.sqrt(updates / update.length)));
          float left = (float) (1 - rate * s.weightDecay());
          for (int i = 0; i < update.length; i++) {
            parameter[i] = parameter[i] * left - clipped * update[i];
          }
        });
  }

  /** Moves the moments of rows and columns towards the gradient's squares. */
  private static void average(
      float[] gradient, float scale, float kept, float[] row, float[] column) {
    for (int k = 0; k < column.length; k++) {
      column[k] *= kept;
    }
    for (int n = 0; n < row.length; n++) {
      float sum = 0;
      for (int k = 0; k < column.length; k++) {
        float g = scale * gradient[n * column.length + k];
        float square = g * g + 1e-30f;
        sum += square;
        column[k] += (1 - kept) * square / row.length;
      }
      row[n] = kept * row[n] + (1 - kept) * sum / column.length;
    }
  }

  private Call sumOfSquares(OptimizerProblem.SumOfSquares p) {
    float[] x = arrays.of(p.x());
    float[] result = new float[1];
    return call(
        () -> {
          double sum = 0;
          for (float v : x) {
            sum += (double) v * v;
          }
          result[0] = (float) sum;
        },
        result,
        p.result());
  }
}
