package dev.precis.training;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.checkpoint.Checkpoint;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.layers.Parameters.Parameter;
import dev.precis.lora.LoraConfig;
import dev.precis.tensor.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TrainerTest {
  private static final Path MODEL = Fixtures.folder("t5-tiny");

  private static TrainableT5 lora(DType dtype, float loraDropout, float dropout) {
    LoraConfig config = new LoraConfig(4, 8, loraDropout, List.of("q", "v"), false);
    return TrainableT5.lora(MODEL, config, dtype, dropout, 1, TrainingGoldenTest.device());
  }

  private static RunFolder run(Path folder) {
    return RunFolder.create(folder, Json.mapper().createObjectNode());
  }

  @ParameterizedTest
  @CsvSource({
    "lora, FLOAT32, 0.05, 0.1, false",
    "lora, BFLOAT16, 0.05, 0.1, false",
    "lora, BFLOAT16, 0, 0, true",
    "full, FLOAT32, 0, 0.1, false",
    "full, BFLOAT16, 0, 0.1, true"
  })
  void thePlanHoldsAndNothingIsAllocatedAfterTheFirstStep(
      String method,
      DType dtype,
      float loraDropout,
      float dropout,
      boolean recompute,
      @TempDir Path folder) {
    TrainingOptions options =
        TrainingOptions.builder().batchSize(6).maxSteps(12).recompute(recompute).build();
    try (RunFolder run = run(folder.resolve("run"));
        TrainableT5 t5 =
            method.equals("lora")
                ? lora(dtype, loraDropout, dropout)
                : TrainableT5.full(MODEL, dtype, dropout, TrainingGoldenTest.device());
        Trainer trainer =
            new Trainer(t5, options, TrainingGoldenTest.dialogues(), List.of(), run)) {
      long planned = trainer.plan().parts().get("activations");
      trainer.step();
      long before = t5.device().describe().allocations();
      for (int i = 1; i < 12; i++) {
        trainer.step();
        assertTrue(trainer.peak() <= planned, trainer.peak() + " of " + planned);
      }
      // The longest batch that there can be is planned for; the longest there is is not far.
      assertTrue(trainer.peak() > planned / 2, trainer.peak() + " of " + planned);
      long scratch = t5.device().describe().allocations() - before;
      assertTrue(scratch <= 4, scratch + " allocations, of scratch that grows with the longest");
    }
  }

  @Test
  void recomputingChangesNoBit() {
    List<Example> batch = TrainingGoldenTest.dialogues().subList(0, 5);
    List<float[]> all = new ArrayList<>();
    for (boolean recompute : new boolean[] {false, true}) {
      try (TrainableT5 t5 = lora(DType.BFLOAT16, 0.1f, 0.2f);
          FineTuning fineTuning = new FineTuning(t5, 0.1f, recompute)) {
        fineTuning.accumulate(batch, 1e-2f, 77);
        all.add(TrainingGoldenTest.floats(t5.parameters().gradients()));
      }
    }
    assertArrayEquals(all.get(0), all.get(1));
  }

  @Test
  void dropoutIsDrawnFromTheSeed() {
    List<Example> batch = TrainingGoldenTest.dialogues().subList(0, 3);
    try (TrainableT5 t5 = lora(DType.FLOAT32, 0.1f, 0.2f);
        FineTuning fineTuning = new FineTuning(t5, 0, false)) {
      double first = fineTuning.accumulate(batch, 1, 5);
      assertEquals(first, fineTuning.accumulate(batch, 1, 5));
      assertTrue(first != fineTuning.accumulate(batch, 1, 6));
      assertTrue(first != fineTuning.evaluate(batch), "evaluation has no dropout");
    }
  }

  /** Gradients with every kind of dropout, against differences of the loss. */
  @Test
  void dropoutHasItsGradient() {
    List<Example> batch = TrainingGoldenTest.dialogues().subList(0, 2);
    try (TrainableT5 t5 =
            TrainableT5.full(MODEL, DType.FLOAT32, 0.1f, TrainingGoldenTest.device());
        FineTuning fineTuning = new FineTuning(t5, 0.1f, false)) {
      t5.parameters().clearGradients();
      fineTuning.accumulate(batch, 1, 9);
      // Each loss below adds its own gradients to these.
      float[] all = TrainingGoldenTest.floats(t5.parameters().gradients());
      for (String name :
          List.of(
              "encoder.block.0.layer.0.layer_norm.weight",
              "encoder.block.1.layer.1.DenseReluDense.wi_0.weight",
              "decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
              "decoder.block.1.layer.1.EncDecAttention.k.weight",
              "lm_head.weight")) {
        Parameter parameter = t5.parameters().find(name);
        t5.parameters().gradients().memory().copyFrom(MemorySegment.ofArray(all));
        float[] gradient = TrainingGoldenTest.floats(parameter.gradient());
        float[] values = TrainingGoldenTest.floats(parameter.value());
        double squares = 0;
        for (float g : gradient) {
          squares += (double) g * g;
        }
        // Along the gradient itself, where the difference is largest.
        float step = (float) (0.02 / Math.sqrt(squares));
        double up = lossAt(t5, fineTuning, parameter, values, gradient, step, batch);
        double down = lossAt(t5, fineTuning, parameter, values, gradient, -step, batch);
        lossAt(t5, fineTuning, parameter, values, gradient, 0, batch);
        assertEquals(squares, (up - down) / (2 * step), 0.02 * squares, name);
      }
    }
  }

  private static double lossAt(
      TrainableT5 t5,
      FineTuning fineTuning,
      Parameter parameter,
      float[] values,
      float[] direction,
      float step,
      List<Example> batch) {
    for (int i = 0; i < values.length; i++) {
      parameter
          .value()
          .memory()
          .setAtIndex(ValueLayout.JAVA_FLOAT, i, values[i] + step * direction[i]);
    }
    t5.update();
    return fineTuning.accumulate(batch, 1, 9);
  }

  @Test
  void layersBelowTheLowestAdapterHaveNoBackward() {
    LoraConfig top =
        new LoraConfig(4, 8, 0, List.of("decoder.block.2.layer.1.EncDecAttention.q"), false);
    long[] peaks = new long[2];
    int i = 0;
    for (LoraConfig config : List.of(top, new LoraConfig(4, 8, 0, List.of("q"), false))) {
      try (TrainableT5 t5 =
              TrainableT5.lora(MODEL, config, DType.FLOAT32, 0, 1, TrainingGoldenTest.device());
          FineTuning fineTuning = new FineTuning(t5, 0, false)) {
        peaks[i++] = fineTuning.plan(400, 100);
      }
    }
    assertTrue(peaks[0] < 0.6 * peaks[1], peaks[0] + " and " + peaks[1]);
  }

  @Test
  void aLossThatIsNoNumberEndsTheRun(@TempDir Path folder) {
    TrainingOptions options =
        TrainingOptions.builder().learningRate(900f).maxSteps(40).maxGradNorm(0).build();
    try (RunFolder run = run(folder.resolve("run"));
        TrainableT5 t5 = TrainableT5.full(MODEL, DType.FLOAT32, 0, TrainingGoldenTest.device());
        Trainer trainer =
            new Trainer(t5, options, TrainingGoldenTest.dialogues(), List.of(), run)) {
      String said =
          assertThrows(DivergedException.class, () -> trainer.train(new Trainer.Listener() {}))
              .getMessage();
      assertTrue(said.contains("lower the learning rate"), said);
    }
  }

  @Test
  void aLabelOutsideTheVocabularyIsRefused() {
    try (TrainableT5 t5 = lora(DType.FLOAT32, 0, 0);
        FineTuning fineTuning = new FineTuning(t5, 0, false)) {
      List<Example> bad = List.of(new Example(new int[] {5, 1}, new int[] {416, 1}));
      String said =
          assertThrows(InvalidInputException.class, () -> fineTuning.accumulate(bad, 1, 0))
              .getMessage();
      assertTrue(said.contains("416"), said);
      List<Example> last = List.of(new Example(new int[] {5, 1}, new int[] {5, 416}));
      said =
          assertThrows(InvalidInputException.class, () -> fineTuning.accumulate(last, 1, 0))
              .getMessage();
      assertTrue(said.contains("416"), said);
    }
  }

  @Test
  void evaluationStopsEarlyAndTheBestIsKept(@TempDir Path folder) {
    List<Example> all = TrainingGoldenTest.dialogues();
    TrainingOptions options =
        TrainingOptions.builder()
            .learningRate(0.02f)
            .schedule(Schedule.Shape.CONSTANT)
            .batchSize(4)
            .maxSteps(200)
            .evaluateEvery(2)
            .earlyStopping(3)
            .build();
    try (RunFolder run = run(folder.resolve("run"));
        TrainableT5 t5 = lora(DType.FLOAT32, 0, 0);
        Trainer trainer = new Trainer(t5, options, all.subList(0, 8), all.subList(32, 48), run)) {
      Trainer.Result result = trainer.train(new Trainer.Listener() {});
      assertEquals(Trainer.End.EARLY_STOPPED, result.end());
      assertEquals(result.bestStep() + 6, result.steps());
      assertEquals(result.best(), trainer.evaluationLoss(), 1e-9);
      assertTrue(Files.isDirectory(run.checkpointPath(result.bestStep())));
    }
  }

  @Test
  void fromScratchIsDrawnFromTheSeedAndReadBack(@TempDir Path folder) {
    Path to = folder.resolve("model");
    try (TrainableT5 t5 =
        TrainableT5.fromScratch(MODEL, DType.FLOAT32, 0, 3, TrainingGoldenTest.device())) {
      t5.write(to);
    }
    try (TrainableT5 again =
            TrainableT5.fromScratch(MODEL, DType.FLOAT32, 0, 3, TrainingGoldenTest.device());
        TrainableT5 read = TrainableT5.full(to, DType.FLOAT32, 0, TrainingGoldenTest.device());
        Checkpoint checkpoint = Checkpoint.open(to)) {
      assertEquals(75, checkpoint.names().size());
      assertArrayEquals(
          TrainingGoldenTest.floats(again.parameters().values()),
          TrainingGoldenTest.floats(read.parameters().values()));
      double squares = 0;
      Parameter q = again.parameters().find("encoder.block.0.layer.0.SelfAttention.q.weight");
      for (float value : TrainingGoldenTest.floats(q.value())) {
        squares += (double) value * value;
      }
      assertEquals(1.0 / (64 * 24), squares / q.elements(), 0.05 / (64 * 24));
    }
  }
}
