package dev.precis.ops;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.device.DeviceOptions;
import dev.precis.device.NativeException;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The loss of distillation in double precision, written here from the paper's definition, and its
 * gradients against differences of that.
 */
class DistillationLossTest {
  private static final int M = 23;
  private static final int D = 12;
  private static final int E = 20;
  private static final int V = 301;
  private static final float SCALE = 0.4f;
  private static final float TEACHER_SCALE = 0.3f;

  private final Ops ops = Ops.open(new DeviceOptions().threads(2));
  private final Arena arena = Arena.ofConfined();
  private final SplittableRandom random = new SplittableRandom(5);

  @AfterEach
  void close() {
    arena.close();
    ops.close();
  }

  private Tensor normal(int rows, int columns) {
    float[] values = new float[rows * columns];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return Tensor.ofFloats(arena, values, rows, columns);
  }

  private Tensor zeros(long... dims) {
    return Tensor.ofFloats(
        arena, new float[(int) (dims.length == 1 ? dims[0] : dims[0] * dims[1])], dims);
  }

  private Tensor labels() {
    int[] labels = new int[M];
    for (int m = 0; m < M; m++) {
      labels[m] = m % 5 == 2 ? -100 : random.nextInt(V);
    }
    return Tensor.ofInts(arena, labels);
  }

  private static double[] softmax(double[] x, Tensor w, double scale) {
    double[] p = new double[V];
    double largest = Double.NEGATIVE_INFINITY;
    for (int v = 0; v < V; v++) {
      float[] row = w.row(v);
      for (int d = 0; d < row.length; d++) {
        p[v] += scale * x[d] * row[d];
      }
      largest = Math.max(largest, p[v]);
    }
    double sum = 0;
    for (int v = 0; v < V; v++) {
      p[v] = Math.exp(p[v] - largest);
      sum += p[v];
    }
    for (int v = 0; v < V; v++) {
      p[v] /= sum;
    }
    return p;
  }

  private static double divergence(double[] p, double[] q) {
    double sum = 0;
    for (int v = 0; v < V; v++) {
      sum += p[v] * Math.log(p[v] / q[v]);
    }
    return sum;
  }

  private static double generalized(double[] teacher, double[] student, double beta) {
    if (beta == 0) {
      return divergence(teacher, student);
    }
    if (beta == 1) {
      return divergence(student, teacher);
    }
    double[] mixed = new double[V];
    for (int v = 0; v < V; v++) {
      mixed[v] = beta * teacher[v] + (1 - beta) * student[v];
    }
    return beta * divergence(teacher, mixed) + (1 - beta) * divergence(student, mixed);
  }

  private static double[] doubles(float[] row) {
    double[] all = new double[row.length];
    for (int i = 0; i < row.length; i++) {
      all[i] = row[i];
    }
    return all;
  }

  @ParameterizedTest
  @CsvSource({
    "0, 1, 0",
    "1, 1, 0.3",
    "0.5, 1, 0",
    "0.5, 2, 0.7",
    "0.1, 0.8, 0.5",
    "0, 3, 0.2",
    "1, 1.5, 0"
  })
  void lossAndGradientsAreThoseOfTheDefinition(float beta, float temperature, float labelWeight) {
    Tensor x = normal(M, D);
    Tensor teacherX = normal(M, E);
    Tensor weight = normal(V, D);
    Tensor teacherWeight = normal(V, E);
    Tensor labels = labels();
    Tensor divergences = zeros(M);
    Tensor crossEntropies = zeros(M);
    Tensor dx = zeros(M, D);
    Tensor dw = zeros(V, D);
    float divergenceWeight = 0.8f;
    ops.distillationLoss(
        x,
        new LogitHead(
            ops.pack(arena, DType.FLOAT32, List.of(weight)),
            ops.packTransposed(arena, DType.FLOAT32, List.of(weight)),
            SCALE),
        labels,
        new DistillationLoss.Teacher(
            teacherX,
            new LogitHead(
                ops.pack(arena, DType.FLOAT32, List.of(teacherWeight)), null, TEACHER_SCALE)),
        new DistillationLoss.Coefficients(temperature, beta, divergenceWeight, labelWeight),
        new DistillationLoss.Outputs(divergences, crossEntropies),
        new LogitHead.Gradients(dx, dw));
    double dwSum = 0;
    double dxSum = 0;
    for (int m = 0; m < M; m++) {
      int label = labels.memory().getAtIndex(ValueLayout.JAVA_INT, m);
      double[] of = doubles(x.row(m));
      if (label < 0) {
        assertEquals(0, divergences.get(0, m));
        assertEquals(0, crossEntropies.get(0, m));
        assertEquals(0, dx.get(m, 3));
        continue;
      }
      double[] teacher =
          softmax(doubles(teacherX.row(m)), teacherWeight, TEACHER_SCALE / temperature);
      double wanted = generalized(teacher, softmax(of, weight, SCALE / temperature), beta);
      assertEquals(wanted, divergences.get(0, m), 1e-6);
      assertEquals(-Math.log(softmax(of, weight, SCALE)[label]), crossEntropies.get(0, m), 1e-6);
      for (int d = 0; d < D; d++) {
        double[] up = of.clone();
        double[] down = of.clone();
        up[d] += 1e-5;
        down[d] -= 1e-5;
        double slope = 0;
        for (double[] moved : List.of(up, down)) {
          double loss =
              divergenceWeight
                      * generalized(teacher, softmax(moved, weight, SCALE / temperature), beta)
                  - labelWeight * Math.log(softmax(moved, weight, SCALE)[label]);
          slope += (moved == up ? 1 : -1) * loss / 2e-5;
        }
        assertEquals(slope, dx.get(m, d), 2e-6);
        // Both gradients are products of the same gradient of the logits: x' dx = sum(w dw).
        dxSum += of[d] * dx.get(m, d);
      }
    }
    for (int v = 0; v < V; v++) {
      for (int d = 0; d < D; d++) {
        dwSum += (double) weight.get(v, d) * dw.get(v, d);
      }
    }
    assertEquals(dxSum, dwSum, 1e-4);
  }

  /** Both models' logits would take hundreds of megabytes; the scratch memory is a few blocks. */
  @Test
  void logitsNeverExistWhole() {
    int rows = 2000;
    int vocab = 32128;
    Tensor x = normal(rows, 4);
    Tensor teacherX = normal(rows, 6);
    Tensor weight = normal(vocab, 4);
    int[] labels = new int[rows];
    Tensor divergences = zeros(rows);
    ops.distillationLoss(
        x,
        new LogitHead(
            ops.pack(arena, DType.FLOAT32, List.of(weight)),
            ops.packTransposed(arena, DType.FLOAT32, List.of(weight)),
            1),
        Tensor.ofInts(arena, labels),
        new DistillationLoss.Teacher(
            teacherX,
            new LogitHead(ops.pack(arena, DType.FLOAT32, List.of(normal(vocab, 6))), null, 1)),
        new DistillationLoss.Coefficients(1, 0.5f, 1, 0),
        new DistillationLoss.Outputs(divergences, zeros(rows)),
        new LogitHead.Gradients(zeros(rows, 4), null));
    assertTrue(divergences.get(0, rows - 1) > 0);
    long whole = 2L * 4 * rows * vocab;
    assertTrue(ops.scratchBytes() < whole / 10, ops.scratchBytes() + " bytes of " + whole);
  }

  @Test
  void refusesATeacherWithAnotherVocabulary() {
    Tensor weight = normal(V, D);
    Tensor teacherWeight = normal(V - 1, E);
    String message =
        assertThrows(
                NativeException.class,
                () ->
                    ops.distillationLoss(
                        normal(M, D),
                        new LogitHead(ops.pack(arena, DType.FLOAT32, List.of(weight)), null, SCALE),
                        labels(),
                        new DistillationLoss.Teacher(
                            normal(M, E),
                            new LogitHead(
                                ops.pack(arena, DType.FLOAT32, List.of(teacherWeight)),
                                null,
                                TEACHER_SCALE)),
                        new DistillationLoss.Coefficients(1, 0.5f, 1, 0),
                        new DistillationLoss.Outputs(zeros(M), zeros(M)),
                        LogitHead.Gradients.NONE))
            .getMessage();
    assertTrue(message.contains("teacher_w has 300 outputs, but w has 301"), message);
  }
}
