package dev.precis.training;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.device.DeviceOptions;
import dev.precis.layers.Parameters.Parameter;
import dev.precis.tensor.DType;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** A step of training on a GPU, or on the emulated one, is the CPU's. */
@Tag("cuda")
class CudaTrainingTest {
  private static final Path MODEL = Fixtures.folder("t5-tiny");
  private static final Path START = Fixtures.folder("t5-tiny-lora-after20");

  /** The beginnings of two examples. */
  private static List<Example> batch() {
    List<Example> batch = new ArrayList<>();
    for (Example each : TrainingGoldenTest.dialogues().subList(0, 2)) {
      batch.add(
          new Example(
              Arrays.copyOf(each.source(), 19 - 2 * batch.size()),
              Arrays.copyOf(each.target(), 7 + batch.size())));
    }
    return batch;
  }

  private record Step(double loss, Map<String, float[]> gradients) {}

  private static Step step(String device) {
    List<Example> batch = batch();
    long tokens = FineTuning.targetTokens(batch);
    DeviceOptions context = new DeviceOptions().device(device).threads(1).manyRows(true);
    try (TrainableT5 t5 = TrainableT5.loraFrom(MODEL, START, 0, DType.FLOAT32, 0.1f, context);
        FineTuning fineTuning = new FineTuning(t5, 0, false)) {
      double before = fineTuning.accumulate(batch, 1f / tokens, 3) / tokens;
      Map<String, float[]> gradients = new LinkedHashMap<>();
      for (Parameter each : t5.parameters().all()) {
        gradients.put(each.name(), TrainingGoldenTest.floats(each.gradient()));
      }
      t5.parameters().clearGradients();
      double again = fineTuning.accumulate(batch, 1f / tokens, 3) / tokens;
      assertEquals(before, again, "the same seed drops the same");
      for (Parameter each : t5.parameters().all()) {
        float[] second = TrainingGoldenTest.floats(each.gradient());
        assertTrue(Arrays.equals(gradients.get(each.name()), second), each.name());
      }
      return new Step(before, gradients);
    }
  }

  @Test
  void memoryIsThereBeforeTheFirstStep() {
    DeviceOptions context = new DeviceOptions().device("cuda").threads(1).manyRows(true);
    try (TrainableT5 t5 = TrainableT5.loraFrom(MODEL, START, 0, DType.FLOAT32, 0.1f, context);
        FineTuning fineTuning = new FineTuning(t5, 0, false)) {
      // More tokens than the tiny steps have that the plan is made from.
      int[] source = new int[30];
      int[] target = new int[75];
      Arrays.fill(source, 5);
      Arrays.fill(target, 6);
      List<Example> batch = List.of(new Example(source, target), new Example(source, target));
      fineTuning.reserve(fineTuning.plan(60, 150));
      long before = t5.device().describe().allocations();
      fineTuning.accumulate(batch, 1, 3);
      assertEquals(before, t5.device().describe().allocations());
    }
  }

  @Test
  void lossAndGradientsAreTheCpus() {
    Step want = step("cpu");
    Step got = step("cuda");
    assertEquals(want.loss, got.loss, 1e-5 * want.loss);
    assertEquals(want.gradients.keySet(), got.gradients.keySet());
    want.gradients.forEach(
        (name, gradient) -> {
          double error = Fixtures.relativeError(got.gradients.get(name), gradient);
          assertTrue(error < 1e-4, name + ": " + error);
        });
  }
}
