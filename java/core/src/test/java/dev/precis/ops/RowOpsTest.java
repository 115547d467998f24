package dev.precis.ops;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.device.DeviceOptions;
import dev.precis.device.NativeException;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.function.DoubleUnaryOperator;
import java.util.function.ToDoubleFunction;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Rows, elements and optimizers, on matrices too wide for one vector: gradients against differences
 * of the formula in double precision, everything else against the formula.
 */
class RowOpsTest {
  private static final int M = 5;
  private static final int D = 37;
  private static final float EPSILON = 0.01f;

  private final Ops ops = Ops.open(new DeviceOptions().threads(2));
  private final Arena arena = Arena.ofConfined();
  private final SplittableRandom random = new SplittableRandom(1);

  @AfterEach
  void close() {
    arena.close();
    ops.close();
  }

  private float[] normal(int count) {
    float[] x = new float[count];
    for (int i = 0; i < count; i++) {
      x[i] = (float) random.nextGaussian();
    }
    return x;
  }

  private Tensor tensor(float[] values, long... dims) {
    return Tensor.ofFloats(arena, values, dims);
  }

  private static float[] values(Tensor t) {
    float[] all = new float[Math.toIntExact(t.rows() * t.columns())];
    for (int r = 0; r < t.rows(); r++) {
      float[] row = t.row(r);
      System.arraycopy(row, 0, all, r * row.length, row.length);
    }
    return all;
  }

  private static double[] doubles(float[] x) {
    double[] y = new double[x.length];
    Arrays.setAll(y, i -> x[i]);
    return y;
  }

  private static float[] filled(int count, float value) {
    float[] x = new float[count];
    Arrays.fill(x, value);
    return x;
  }

  private static void assertClose(double[] want, float[] got) {
    assertEquals(want.length, got.length);
    for (int i = 0; i < want.length; i++) {
      assertEquals(want[i], got[i], 2e-5 * (1 + Math.abs(want[i])), "element " + i);
    }
  }

  /** {@code start + d loss / d x}, by differences. */
  private static double[] gradient(double start, float[] x, ToDoubleFunction<double[]> loss) {
    double[] at = doubles(x);
    double[] gradient = new double[x.length];
    for (int i = 0; i < x.length; i++) {
      double before = at[i];
      at[i] = before + 1e-5;
      double above = loss.applyAsDouble(at);
      at[i] = before - 1e-5;
      double below = loss.applyAsDouble(at);
      at[i] = before;
      gradient[i] = start + (above - below) / 2e-5;
    }
    return gradient;
  }

  private static double product(float[] a, double[] b) {
    double sum = 0;
    for (int i = 0; i < a.length; i++) {
      sum += a[i] * b[i];
    }
    return sum;
  }

  @Test
  void addScales() {
    float[] x = normal(M * D);
    float[] y = normal(M * D);
    Tensor sum = tensor(y, M, D);
    ops.add(tensor(x, M, D), -0.5f, sum);
    double[] want = new double[M * D];
    Arrays.setAll(want, i -> y[i] - 0.5 * x[i]);
    assertClose(want, values(sum));
  }

  private static double[] rmsNorm(double[] x, double[] weight) {
    double[] y = new double[x.length];
    for (int m = 0; m < M; m++) {
      double squares = 0;
      for (int d = 0; d < D; d++) {
        squares += x[m * D + d] * x[m * D + d];
      }
      for (int d = 0; d < D; d++) {
        y[m * D + d] = x[m * D + d] / Math.sqrt(squares / D + EPSILON) * weight[d];
      }
    }
    return y;
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void rmsNormBackwardIsTheGradient(boolean accumulate) {
    float[] x = normal(M * D);
    float[] weight = normal(D);
    float[] dy = normal(M * D);
    Tensor dx = tensor(filled(M * D, 2), M, D);
    Tensor dweight = tensor(filled(D, 3), D);
    ops.rmsNormBackward(
        tensor(x, M, D), tensor(weight, D), EPSILON, tensor(dy, M, D), dx, accumulate, dweight);
    double start = accumulate ? 2 : 0;
    double[] weights = doubles(weight);
    assertClose(gradient(start, x, at -> product(dy, rmsNorm(at, weights))), values(dx));
    double[] xs = doubles(x);
    assertClose(gradient(3, weight, at -> product(dy, rmsNorm(xs, at))), values(dweight));

    Tensor alone = tensor(filled(M * D, 2), M, D);
    ops.rmsNormBackward(
        tensor(x, M, D), tensor(weight, D), EPSILON, tensor(dy, M, D), alone, accumulate, null);
    assertArrayEquals(values(dx), values(alone));
  }

  private static double[] layerNorm(double[] x, double[] weight, double[] bias) {
    double[] y = new double[x.length];
    for (int m = 0; m < M; m++) {
      double mean = 0;
      double variance = 0;
      for (int d = 0; d < D; d++) {
        mean += x[m * D + d] / D;
      }
      for (int d = 0; d < D; d++) {
        variance += Math.pow(x[m * D + d] - mean, 2) / D;
      }
      for (int d = 0; d < D; d++) {
        y[m * D + d] = (x[m * D + d] - mean) / Math.sqrt(variance + EPSILON) * weight[d] + bias[d];
      }
    }
    return y;
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void layerNormAndItsGradients(boolean accumulate) {
    float[] x = normal(M * D);
    float[] weight = normal(D);
    float[] bias = normal(D);
    float[] dy = normal(M * D);
    double[] xs = doubles(x);
    double[] weights = doubles(weight);
    double[] biases = doubles(bias);
    Tensor y = tensor(new float[M * D], M, D);
    ops.layerNorm(tensor(x, M, D), tensor(weight, D), tensor(bias, D), EPSILON, y);
    assertClose(layerNorm(xs, weights, biases), values(y));

    Tensor dx = tensor(filled(M * D, 2), M, D);
    Tensor dweight = tensor(filled(D, 3), D);
    Tensor dbias = tensor(filled(D, 4), D);
    ops.layerNormBackward(
        tensor(x, M, D),
        tensor(weight, D),
        EPSILON,
        tensor(dy, M, D),
        new LayerNormGradients(dx, accumulate, dweight, dbias));
    double start = accumulate ? 2 : 0;
    assertClose(gradient(start, x, at -> product(dy, layerNorm(at, weights, biases))), values(dx));
    assertClose(gradient(3, weight, at -> product(dy, layerNorm(xs, at, biases))), values(dweight));
    assertClose(gradient(4, bias, at -> product(dy, layerNorm(xs, weights, at))), values(dbias));

    Tensor alone = tensor(filled(M * D, 2), M, D);
    ops.layerNormBackward(
        tensor(x, M, D),
        tensor(weight, D),
        EPSILON,
        tensor(dy, M, D),
        new LayerNormGradients(alone, accumulate, null, null));
    assertArrayEquals(values(dx), values(alone));
  }

  @Test
  void biasIsAddedToEveryRowAndSummedOverThem() {
    float[] x = normal(M * D);
    float[] bias = normal(D);
    Tensor y = tensor(x, M, D);
    ops.addBias(y, tensor(bias, D));
    double[] want = new double[M * D];
    Arrays.setAll(want, i -> (double) x[i] + bias[i % D]);
    assertClose(want, values(y));

    Tensor dbias = tensor(filled(D, 4), D);
    ops.biasGradient(tensor(x, M, D), dbias);
    double[] sums = new double[D];
    Arrays.fill(sums, 4);
    for (int i = 0; i < M * D; i++) {
      sums[i % D] += x[i];
    }
    assertClose(sums, values(dbias));
  }

  /** The normal distribution function, by quadrature of its density. */
  private static double normalDistribution(double x) {
    double sum = 0;
    int steps = 4000;
    double width = x / steps;
    for (int i = 0; i < steps; i++) {
      double at = (i + 0.5) * width;
      sum += Math.exp(-0.5 * at * at) * width;
    }
    return 0.5 + sum / Math.sqrt(2 * Math.PI);
  }

  private static DoubleUnaryOperator function(Activation kind) {
    return switch (kind) {
      case RELU -> x -> Math.max(x, 0);
      case GELU_TANH ->
          x -> 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));
      case GELU_ERF -> x -> x * normalDistribution(x);
      case SILU -> x -> x / (1 + Math.exp(-x));
      case TANH -> Math::tanh;
    };
  }

  @ParameterizedTest
  @EnumSource(Activation.class)
  void activationsAndTheirGradients(Activation kind) {
    float[] x = normal(M * 2 * D);
    float[] dy = normal(M * D);
    DoubleUnaryOperator f = function(kind);
    Tensor y = tensor(new float[M * D], M, D);
    ops.activation(tensor(x, M, 2 * D), kind, true, y);
    double[] want = new double[M * D];
    double[] slopes = new double[M * 2 * D];
    for (int i = 0; i < M * D; i++) {
      int gate = i / D * 2 * D + i % D;
      double slope = (f.applyAsDouble(x[gate] + 1e-5) - f.applyAsDouble(x[gate] - 1e-5)) / 2e-5;
      want[i] = f.applyAsDouble(x[gate]) * x[gate + D];
      slopes[gate] = dy[i] * slope * x[gate + D];
      slopes[gate + D] = dy[i] * f.applyAsDouble(x[gate]);
    }
    assertClose(want, values(y));
    Tensor dx = tensor(new float[M * 2 * D], M, 2 * D);
    ops.activationBackward(tensor(x, M, 2 * D), kind, true, tensor(dy, M, D), dx);
    assertClose(slopes, values(dx));

    // Not gated, and in place.
    Tensor plain = tensor(dy, M, D);
    ops.activationBackward(tensor(Arrays.copyOf(x, M * D), M, D), kind, false, plain, plain);
    double[] wantPlain = new double[M * D];
    for (int i = 0; i < M * D; i++) {
      wantPlain[i] = dy[i] * (f.applyAsDouble(x[i] + 1e-5) - f.applyAsDouble(x[i] - 1e-5)) / 2e-5;
    }
    assertClose(wantPlain, values(plain));
  }

  @Test
  void embeddingBackwardAddsEveryTokenToItsRow() {
    int[] ids = {3, 0, 3, 1, 3};
    float[] dy = normal(ids.length * D);
    Tensor table = tensor(filled(4 * D, 1), 4, D);
    ops.embeddingBackward(Tensor.ofInts(arena, ids), tensor(dy, ids.length, D), table);
    double[] want = new double[4 * D];
    Arrays.fill(want, 1);
    for (int i = 0; i < dy.length; i++) {
      want[ids[i / D] * D + i % D] += dy[i];
    }
    assertClose(want, values(table));
    assertThrows(
        NativeException.class,
        () -> ops.embeddingBackward(Tensor.ofInts(arena, 4), tensor(new float[D], 1, D), table));
  }

  private float[] dropout(float[] x, float probability, long seed, long offset) {
    Tensor y = tensor(new float[x.length], x.length / 100, 100);
    ops.dropout(
        tensor(x, x.length / 100, 100), y, new DropoutMask(probability, seed, offset), false);
    return values(y);
  }

  @Test
  void dropoutIsAFunctionOfSeedAndOffset() {
    float[] x = filled(40_000, 3);
    float[] y = dropout(x, 0.25f, 5, 6);
    int kept = 0;
    for (float v : y) {
      assertTrue(v == 0 || v == 4, () -> "3 / 0.75 is not " + v);
      kept += v == 4 ? 1 : 0;
    }
    assertEquals(30_000, kept, 5 * Math.sqrt(40_000 * 0.25 * 0.75));
    assertArrayEquals(y, dropout(x, 0.25f, 5, 6));
    assertFalse(Arrays.equals(y, dropout(x, 0.25f, 5, 7)));
    assertFalse(Arrays.equals(y, dropout(x, 0.25f, 6, 6)));
    assertArrayEquals(x, dropout(x, 0, 5, 6));

    Tensor sum = tensor(filled(40_000, 1), 400, 100);
    ops.dropout(tensor(x, 400, 100), sum, new DropoutMask(0.25f, 5, 6), true);
    double[] want = new double[y.length];
    Arrays.setAll(want, i -> 1 + y[i]);
    assertClose(want, values(sum));

    // A part of the batch alone would have other masks: the index runs over the whole matrix.
    Tensor one = tensor(new float[100], 1, 100);
    ops.dropout(tensor(filled(100, 3), 1, 100), one, new DropoutMask(0.25f, 5, 6), false);
    assertArrayEquals(Arrays.copyOf(y, 100), values(one));
  }

  @Test
  void sumOfSquaresIsADouble() {
    float[] x = normal(50_001);
    double want = 0;
    for (float v : x) {
      want += (double) v * v;
    }
    assertEquals(want, ops.sumOfSquares(tensor(x, x.length)), 1e-12 * want);
    assertEquals(2e60, ops.sumOfSquares(tensor(new float[] {1e30f, -1e30f}, 2)), 1e54);
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void adamIsPyTorchs(boolean decoupled) {
    float[] start = normal(D);
    Tensor p = tensor(start, D);
    Tensor m = tensor(new float[D], D);
    Tensor v = tensor(new float[D], D);
    double[] want = doubles(start);
    double[] means = new double[D];
    double[] variances = new double[D];
    for (int step = 1; step <= 3; step++) {
      float[] g = normal(D);
      ops.adam(
          p,
          tensor(g, D),
          m,
          v,
          new Update.Adam(0.75f, 0.5f, 0.125f, 0.25f, decoupled),
          new Update(step, 0.01f, 2));
      for (int i = 0; i < D; i++) {
        double gradient = 2.0 * g[i] + (decoupled ? 0 : 0.25 * want[i]);
        want[i] -= decoupled ? 0.01f * 0.25 * want[i] : 0;
        means[i] = 0.75 * means[i] + 0.25 * gradient;
        variances[i] = 0.5 * variances[i] + 0.5 * gradient * gradient;
        double mean = means[i] / (1 - Math.pow(0.75, step));
        double variance = variances[i] / (1 - Math.pow(0.5, step));
        want[i] -= 0.01f * mean / (Math.sqrt(variance) + 0.125);
      }
    }
    assertClose(want, values(p));
    assertClose(means, values(m));
    assertClose(variances, values(v));
  }

  @ParameterizedTest
  @ValueSource(floats = {0, 0.5f})
  void sgdKeepsItsMomentum(float momentum) {
    float[] start = normal(D);
    Tensor p = tensor(start, D);
    Tensor buffer = momentum == 0 ? null : tensor(filled(D, Float.NaN), D);
    double[] want = doubles(start);
    double[] velocity = new double[D];
    for (int step = 1; step <= 3; step++) {
      float[] g = normal(D);
      ops.sgd(
          p, tensor(g, D), buffer, new Update.Sgd(momentum, 0.25f), new Update(step, 0.125f, 2));
      for (int i = 0; i < D; i++) {
        velocity[i] = momentum * velocity[i] + 2.0 * g[i] + 0.25 * want[i];
        want[i] -= 0.125 * velocity[i];
      }
    }
    assertClose(want, values(p));
  }

  @ParameterizedTest
  @CsvSource({"false,false", "true,false", "false,true", "true,true"})
  void adafactorStepsBySignWhereItsMomentsAreExact(boolean matrix, boolean scaled) {
    int rows = matrix ? M : 1;
    long[] dims = matrix ? new long[] {M, D} : new long[] {D};
    float[] g = new float[rows * D];
    for (int i = 0; i < g.length; i++) {
      g[i] = (i % 2 == 0 ? 1 : -1) * (1 + i / D) * (0.5f + i % D);
    }
    Tensor p = tensor(filled(rows * D, 0.5f), dims);
    Tensor row = tensor(new float[matrix ? M : D], matrix ? M : D);
    Tensor column = matrix ? tensor(new float[D], D) : null;
    ops.adafactor(
        p,
        tensor(g, dims),
        row,
        column,
        new Update.Adafactor(0.5f, scaled),
        new Update(1, 0.25f, 2));
    double rate = 0.25 * (scaled ? 0.5 : 1);
    double[] want = new double[rows * D];
    Arrays.setAll(want, i -> 0.5 - rate * 0.5 * 0.5 - (i % 2 == 0 ? rate : -rate));
    assertClose(want, values(p));
    double moment = 0;
    for (int i = 0; i < (matrix ? D : 1); i++) {
      moment += 4.0 * g[i] * g[i] / (matrix ? D : 1);
    }
    assertEquals(moment, row.get(0, 0), 1e-5 * moment);
  }

  @Test
  void bfloat16IsTakenWhereTheHeaderSaysSo() {
    Tensor x = tensor(filled(M * D, 1.5f), M, D);
    Tensor half = Tensor.of(arena.allocate(2 * M * D), DType.BFLOAT16, M, D);
    ops.convert(x, half);
    Tensor sum = tensor(filled(M * D, 1), M, D);
    ops.add(half, 2, sum);
    assertArrayEquals(filled(M * D, 4), values(sum));
    NativeException refused =
        assertThrows(
            NativeException.class, () -> ops.dropout(x, half, new DropoutMask(0.5f, 1, 1), true));
    assertTrue(refused.getMessage().contains("accumulate needs y in float32"), refused::getMessage);
  }
}
