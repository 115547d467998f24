package dev.precis.ops;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.device.DeviceOptions;
import dev.precis.device.NativeException;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/**
 * Log-probabilities against the cross-entropy, whose negative they are, and in double precision.
 */
class LogProbabilityTest {
  private static final int M = 23;
  private static final int D = 12;
  private static final int V = 301;
  private static final float SCALE = 0.7f;

  private final Ops ops = Ops.open(new DeviceOptions().threads(2));
  private final Arena arena = Arena.ofConfined();
  private final SplittableRandom random = new SplittableRandom(3);

  @AfterEach
  void close() {
    arena.close();
    ops.close();
  }

  private Tensor normal(int... dims) {
    float[] values = new float[dims.length == 1 ? dims[0] : dims[0] * dims[1]];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return dims.length == 1
        ? Tensor.ofFloats(arena, values, dims[0])
        : Tensor.ofFloats(arena, values, dims[0], dims[1]);
  }

  private Tensor labels() {
    int[] labels = new int[M];
    for (int m = 0; m < M; m++) {
      labels[m] = m % 5 == 2 ? -100 : random.nextInt(V);
    }
    return Tensor.ofInts(arena, labels);
  }

  private Tensor zeros(long... dims) {
    return Tensor.ofFloats(
        arena, new float[(int) (dims.length == 1 ? dims[0] : dims[0] * dims[1])], dims);
  }

  @Test
  void isTheNegativeOfTheCrossEntropy() {
    Tensor x = normal(M, D);
    List<Tensor> weight = List.of(normal(V, D));
    PackedMatrix w = ops.pack(arena, DType.FLOAT32, weight);
    PackedMatrix transposed = ops.packTransposed(arena, DType.FLOAT32, weight);
    Tensor labels = labels();
    Tensor losses = zeros(M);
    Tensor wantDx = zeros(M, D);
    Tensor wantDw = zeros(V, D);
    LogitHead head = new LogitHead(w, transposed, SCALE);
    ops.linearCrossEntropy(
        x, head, labels, 0, 0.25f, losses, new LogitHead.Gradients(wantDx, wantDw));

    float[] upstream = new float[M];
    Arrays.fill(upstream, -0.25f);
    Tensor logProbabilities = zeros(M);
    Tensor dx = zeros(M, D);
    Tensor dw = zeros(V, D);
    ops.logProbability(
        x,
        head,
        labels,
        new LogProbabilities(logProbabilities, null, Tensor.ofFloats(arena, upstream, M)),
        null,
        new LogitHead.Gradients(dx, dw));
    for (int m = 0; m < M; m++) {
      assertEquals(-losses.get(0, m), logProbabilities.get(0, m), 1e-6);
      assertArrayEquals(wantDx.row(m), dx.row(m), 1e-6f);
    }
    for (int v = 0; v < V; v++) {
      assertArrayEquals(wantDw.row(v), dw.row(v), 1e-6f);
    }
  }

  @Test
  void entropyAndDivergenceAreThoseOfTheFormulas() {
    Tensor x = normal(M, D);
    Tensor referenceX = normal(M, D);
    Tensor weight = normal(V, D);
    Tensor referenceWeight = normal(V, D);
    PackedMatrix w = ops.pack(arena, DType.FLOAT32, List.of(weight));
    PackedMatrix referenceW = ops.pack(arena, DType.FLOAT32, List.of(referenceWeight));
    Tensor labels = labels();
    Tensor logProbabilities = zeros(M);
    Tensor entropies = zeros(M);
    Tensor divergences = zeros(M);
    ops.logProbability(
        x,
        new LogitHead(w, null, SCALE),
        labels,
        new LogProbabilities(logProbabilities, entropies, null),
        new LogitHead.Divergence(referenceX, referenceW, divergences),
        LogitHead.Gradients.NONE);
    int counted = 0;
    for (int m = 0; m < M; m++) {
      int label = labels.memory().getAtIndex(ValueLayout.JAVA_INT, m);
      double entropy = 0;
      double divergence = 0;
      double[] p = logSoftmax(x, weight, m);
      double[] q = logSoftmax(referenceX, referenceWeight, m);
      for (int v = 0; label >= 0 && v < V; v++) {
        entropy -= Math.exp(p[v]) * p[v];
        divergence += Math.exp(p[v]) * (p[v] - q[v]);
      }
      counted += label >= 0 ? 1 : 0;
      assertEquals(label < 0 ? 0 : p[label], logProbabilities.get(0, m), 2e-5);
      assertEquals(entropy, entropies.get(0, m), 2e-5);
      assertEquals(divergence, divergences.get(0, m), 2e-5);
    }
    assertTrue(counted > M / 2 && counted < M);

    // From itself a policy does not diverge at all.
    ops.logProbability(
        x,
        new LogitHead(w, null, SCALE),
        labels,
        new LogProbabilities(logProbabilities, null, null),
        new LogitHead.Divergence(x, w, divergences),
        LogitHead.Gradients.NONE);
    assertArrayEquals(new float[M], divergences.row(0));
  }

  @Test
  void refusesGradientsWithNothingToMultiplyThem() {
    Tensor x = normal(M, D);
    PackedMatrix w = ops.pack(arena, DType.FLOAT32, List.of(normal(V, D)));
    Tensor out = zeros(M);
    Tensor dw = zeros(V, D);
    NativeException e =
        assertThrows(
            NativeException.class,
            () ->
                ops.logProbability(
                    x,
                    new LogitHead(w, null, 1),
                    labels(),
                    new LogProbabilities(out, null, null),
                    null,
                    new LogitHead.Gradients(null, dw)));
    assertTrue(e.getMessage().contains("dlog_probabilities"), e.getMessage());
  }

  private static double[] logSoftmax(Tensor x, Tensor w, int m) {
    double[] z = new double[V];
    double sum = 0;
    for (int v = 0; v < V; v++) {
      for (int d = 0; d < D; d++) {
        z[v] += SCALE * (double) x.get(m, d) * w.get(v, d);
      }
      sum += Math.exp(z[v]);
    }
    for (int v = 0; v < V; v++) {
      z[v] -= Math.log(sum);
    }
    return z;
  }
}
