package dev.precis.alignment.preference;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.alignment.Reference;
import dev.precis.device.DeviceOptions;
import dev.precis.io.Json;
import dev.precis.tensor.DType;
import dev.precis.training.RunFolder;
import dev.precis.training.Schedule;
import dev.precis.training.TrainableT5;
import dev.precis.training.TrainingLoop.Step;
import dev.precis.training.TrainingOptions;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A step of DPO on a GPU, or on the emulated one, is the CPU's. */
@Tag("cuda")
class CudaPreferenceTest {
  private static int[] beginning(int[] tokens, int most) {
    return Arrays.copyOf(tokens, Math.min(tokens.length, most));
  }

  private static Step step(String device, Path folder) {
    TrainingOptions options =
        TrainingOptions.builder()
            .batchSize(2)
            .learningRate(1e-2f)
            .schedule(Schedule.Shape.CONSTANT)
            .maxSteps(2)
            .build();
    List<PreferenceExample> pairs =
        PreferenceData.pairs().subList(0, 4).stream()
            .map(
                pair ->
                    new PreferenceExample(
                        beginning(pair.source(), 13),
                        beginning(pair.chosen(), 8),
                        beginning(pair.rejected(), 7)))
            .toList();
    DeviceOptions context = new DeviceOptions().device(device).threads(1);
    try (TrainableT5 t5 =
            TrainableT5.loraFrom(
                Fixtures.folder("t5-tiny"),
                Fixtures.folder("t5-tiny-lora-after20"),
                0,
                DType.FLOAT32,
                0,
                context);
        Reference reference = Reference.open("base", t5, Path::of);
        RunFolder run = RunFolder.create(folder, Json.mapper().createObjectNode());
        PreferenceTrainer trainer =
            PreferenceTrainer.onPairs(
                t5,
                options,
                new PreferenceLoss(PreferenceLoss.Kind.SIGMOID, 0.1, 0, 0),
                pairs,
                List.of(),
                reference,
                false,
                run)) {
      trainer.step();
      return trainer.step();
    }
  }

  @Test
  void theSecondStepIsTheCpus(@TempDir Path folder) {
    Step want = step("cpu", folder.resolve("cpu"));
    Step got = step("cuda", folder.resolve("cuda"));
    assertEquals(want.loss(), got.loss(), 1e-4 * want.loss());
    assertTrue(want.gradNorm() > 0);
    assertEquals(want.gradNorm(), got.gradNorm(), 1e-3 * want.gradNorm());
    assertEquals(want.metrics().keySet(), got.metrics().keySet());
    want.metrics()
        .forEach(
            (name, value) ->
                assertEquals(value, got.metrics().get(name), 1e-4 + 1e-3 * Math.abs(value), name));
  }
}
