package dev.precis.layers;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import dev.precis.checkpoint.PeftAdapter;
import dev.precis.checkpoint.TensorView;
import dev.precis.device.DeviceOptions;
import dev.precis.ops.LoraWeights;
import dev.precis.ops.Ops;
import dev.precis.ops.PackedMatrix;
import dev.precis.ops.Tape;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class AdapterPackingTest {
  private static final int ROWS = 5;
  private static final int INPUTS = 24;
  private static final int OUTPUTS = 16;
  private static final List<Part> QKV =
      List.of(
          new Part("q", 0, OUTPUTS),
          new Part("k", OUTPUTS, 2 * OUTPUTS),
          new Part("v", 2 * OUTPUTS, 3 * OUTPUTS));

  private final SplittableRandom random = new SplittableRandom(11);
  private final Ops ops = Ops.open(new DeviceOptions().threads(1));
  private final Arena arena = Arena.ofConfined();

  @AfterEach
  void close() {
    arena.close();
    ops.close();
  }

  private float[] numbers(int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) (2 * random.nextDouble() - 1);
    }
    return values;
  }

  private TensorView view(float[] values, long... shape) {
    MemorySegment memory = arena.allocateFrom(ValueLayout.JAVA_FLOAT, values);
    return new TensorView("a test's", DType.FLOAT32, shape, memory);
  }

  private PeftAdapter.Module module(String name, int rank, double scaling) {
    return new PeftAdapter.Module(
        name,
        view(numbers(rank * INPUTS), rank, INPUTS),
        view(numbers(OUTPUTS * rank), OUTPUTS, rank),
        rank,
        scaling * rank,
        scaling,
        null);
  }

  private static float at(TensorView matrix, long row, long column) {
    return matrix
        .data()
        .getAtIndex(ValueLayout.JAVA_FLOAT_UNALIGNED, row * matrix.shape()[1] + column);
  }

  /** Returns output n of {@code (x A') B' scaling} for a row of x. */
  private static double lowRank(PeftAdapter.Module module, Tensor x, int row, int n) {
    double y = 0;
    for (int r = 0; r < module.rank(); r++) {
      double t = 0;
      for (int k = 0; k < INPUTS; k++) {
        t += (double) x.get(row, k) * at(module.a(), r, k);
      }
      y += t * module.scaling() * at(module.b(), n, r);
    }
    return y;
  }

  /** Any number of adapters on q, beside one on v: their sum, in one segment for each layer. */
  @ParameterizedTest
  @CsvSource({"1,false", "3,false", "3,true", "5,false", "5,true", "9,true"})
  void adaptersOnOneLayerAddUp(int count, boolean scalingsDiffer) {
    List<Map<String, PeftAdapter.Module>> adapters = new ArrayList<>();
    int ranks = 0;
    for (int i = 0; i < count; i++) {
      PeftAdapter.Module q = module("q", 1 + i, scalingsDiffer ? 0.5 + i : 2);
      adapters.add(i == 1 ? Map.of("q", q, "v", module("v", 3, 1.5)) : Map.of("q", q));
      ranks += q.rank();
    }
    ranks += count > 1 ? 3 : 0;
    Tensor weight = Tensor.ofFloats(arena, numbers(3 * OUTPUTS * INPUTS), 3 * OUTPUTS, INPUTS);
    PackedMatrix w = ops.pack(arena, DType.FLOAT32, List.of(weight));
    Linear linear = new Linear(w, null, QKV);
    LoraWeights packed = linear.pack(adapters, ops, arena);
    linear.use(packed);

    assertEquals(count > 1 ? 2 : 1, packed.segments().size());
    assertEquals(ranks, packed.a().outputs());
    float scaling = packed.segments().getFirst().scaling();
    assertEquals(count > 1 && scalingsDiffer ? 1 : 2, scaling);

    Tensor x = Tensor.ofFloats(arena, numbers(ROWS * INPUTS), ROWS, INPUTS);
    try (Workspace workspace = ops.newWorkspace()) {
      Tape tape = Tape.inference(ops, workspace);
      Tensor y = linear.apply(tape, tape.constant(x), DType.FLOAT32).value();
      for (int m = 0; m < ROWS; m++) {
        for (int n = 0; n < 3 * OUTPUTS; n++) {
          double want = 0;
          for (int k = 0; k < INPUTS; k++) {
            want += (double) x.get(m, k) * weight.get(n, k);
          }
          for (Map<String, PeftAdapter.Module> adapter : adapters) {
            PeftAdapter.Module module = adapter.get(QKV.get(n / OUTPUTS).name());
            want += module == null ? 0 : lowRank(module, x, m, n % OUTPUTS);
          }
          assertEquals(want, y.get(m, n), 1e-4 * (1 + Math.abs(want)), "row " + m + ", " + n);
        }
      }
    }
  }

  @Test
  void nothingIsPackedWhereNoAdapterBelongs() {
    Tensor weight = Tensor.ofFloats(arena, numbers(3 * OUTPUTS * INPUTS), 3 * OUTPUTS, INPUTS);
    Linear linear = new Linear(ops.pack(arena, DType.FLOAT32, List.of(weight)), null, QKV);
    assertNull(linear.pack(List.of(Map.of("o", module("o", 2, 1))), ops, arena));
  }
}
