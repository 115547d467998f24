package dev.precis.training;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.checkpoint.Checkpoint;
import dev.precis.checkpoint.PeftAdapter;
import dev.precis.data.Dialogue;
import dev.precis.data.DialogueReader;
import dev.precis.device.DeviceOptions;
import dev.precis.io.Json;
import dev.precis.layers.Parameters.Parameter;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import dev.precis.text.PromptTemplate;
import dev.precis.text.Tokenizer;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/** Losses, gradients and whole runs against PyTorch, transformers and PEFT. */
class TrainingGoldenTest {
  private static final Path MODEL = Fixtures.folder("t5-tiny");
  private static final Path START = Fixtures.folder("t5-tiny-lora");

  static DeviceOptions device() {
    return new DeviceOptions().threads(2);
  }

  static List<Example> dialogues() {
    try (Tokenizer tokenizer = Tokenizer.load(MODEL)) {
      List<Example> examples = new ArrayList<>();
      for (Dialogue dialogue : DialogueReader.read(Fixtures.folder("dialogues.jsonl"))) {
        examples.add(
            new Example(
                tokenizer.encode(PromptTemplate.DEFAULT.fill(dialogue.dialogue())),
                tokenizer.encode(dialogue.summaries().getFirst())));
      }
      return examples;
    }
  }

  static float[] floats(Tensor tensor) {
    return tensor.toHost().toArray(ValueLayout.JAVA_FLOAT);
  }

  /** The four sequences of the forward goldens. */
  private static List<Example> forwardBatch() {
    List<Example> all = dialogues();
    int[] cut = Arrays.copyOf(all.get(3).source(), 18);
    cut[17] = 1;
    return List.of(all.get(0), new Example(cut, all.get(3).target()), all.get(9), all.get(20));
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void everyGradientOfAdapters(boolean recompute) {
    try (Checkpoint golden = Fixtures.arrays("lora_forward_backward.safetensors");
        TrainableT5 t5 = TrainableT5.loraFrom(MODEL, START, 0, DType.FLOAT32, Float.NaN, device());
        FineTuning fineTuning = new FineTuning(t5, 0, recompute)) {
      checkGradients(golden, t5, fineTuning, forwardBatch(), golden.get("loss").toFloat32()[0]);
      assertEquals(36, t5.parameters().all().size());
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void everyGradientOfAllWeights(boolean recompute) {
    try (Checkpoint golden = Fixtures.arrays("full_backward.safetensors");
        TrainableT5 t5 = TrainableT5.full(MODEL, DType.FLOAT32, Float.NaN, device());
        FineTuning fineTuning = new FineTuning(t5, 0, recompute)) {
      double loss = Fixtures.json("sft_full.json").get("steps").get(0).get("loss").doubleValue();
      checkGradients(golden, t5, fineTuning, dialogues().subList(0, 4), loss);
      assertEquals(75, t5.parameters().all().size());
    }
  }

  private static void checkGradients(
      Checkpoint golden, TrainableT5 t5, FineTuning fineTuning, List<Example> batch, double loss) {
    long tokens = FineTuning.targetTokens(batch);
    // Twice, so that memory that is used again is seen.
    for (int i = 0; i < 2; i++) {
      t5.parameters().clearGradients();
      double got = fineTuning.accumulate(batch, 1f / tokens, 1) / tokens;
      assertEquals(loss, got, 1e-4 * loss);
    }
    for (Parameter parameter : t5.parameters().all()) {
      double error =
          Fixtures.relativeError(
              floats(parameter.gradient()), golden.get("grad." + parameter.name()).toFloat32());
      assertTrue(error < 1e-3, parameter.name() + ": " + error);
    }
  }

  @ParameterizedTest
  @CsvSource({"4, 1", "2, 2", "1, 4"})
  void aRunOfAdapters(int batchSize, int accumulation, @TempDir Path folder) {
    JsonNode golden = Fixtures.json("sft_lora.json");
    TrainingOptions options =
        TrainingOptions.builder()
            .batchSize(batchSize)
            .gradientAccumulation(accumulation)
            .learningRate(1e-3f)
            .warmupSteps(3)
            .maxSteps(20)
            .shuffle(false)
            .build();
    try (TrainableT5 t5 =
        TrainableT5.loraFrom(MODEL, START, 0, DType.FLOAT32, Float.NaN, device())) {
      run(t5, options, golden, folder);
    }
    try (PeftAdapter got = PeftAdapter.open(folder.resolve("run/adapter"));
        PeftAdapter want = PeftAdapter.open(Fixtures.folder("t5-tiny-lora-after20"))) {
      assertEquals(want.modules().keySet(), got.modules().keySet());
      assertEquals(want.alpha(), got.alpha());
      want.modules()
          .forEach(
              (name, module) -> {
                close(name, got.modules().get(name).a().toFloat32(), module.a().toFloat32());
                close(name, got.modules().get(name).b().toFloat32(), module.b().toFloat32());
              });
    }
  }

  private static void close(String name, float[] got, float[] want) {
    double error = Fixtures.relativeError(got, want);
    assertTrue(error < 1e-3, name + ": " + error);
  }

  @Test
  void aRunOfAllWeights(@TempDir Path folder) {
    JsonNode golden = Fixtures.json("sft_full.json");
    TrainingOptions options =
        TrainingOptions.builder()
            .optimizer(Optimizer.Settings.of(Optimizer.Kind.ADAMW, 0))
            .batchSize(4)
            .learningRate(3e-4f)
            .warmupSteps(3)
            .maxSteps(12)
            .shuffle(false)
            .build();
    try (TrainableT5 t5 = TrainableT5.full(MODEL, DType.FLOAT32, Float.NaN, device())) {
      run(t5, options, golden, folder);
    }
  }

  private static void run(TrainableT5 t5, TrainingOptions options, JsonNode golden, Path folder) {
    try (RunFolder run = RunFolder.create(folder.resolve("run"), Json.mapper().createObjectNode());
        Trainer trainer = new Trainer(t5, options, dialogues(), List.of(), run)) {
      List<Trainer.Step> steps = new ArrayList<>();
      trainer.train(
          new Trainer.Listener() {
            @Override
            public void onStep(Trainer.Step step) {
              steps.add(step);
            }
          });
      assertEquals(golden.get("steps").size(), steps.size());
      for (int i = 0; i < steps.size(); i++) {
        JsonNode want = golden.get("steps").get(i);
        Trainer.Step got = steps.get(i);
        String step = "step " + (i + 1);
        double loss = want.get("loss").doubleValue();
        double norm = want.get("grad_norm").doubleValue();
        assertEquals(loss, got.loss(), 1e-4 * loss, step);
        assertEquals(norm, got.gradNorm(), 1e-3 * norm, step);
        assertEquals(want.get("lr").doubleValue(), got.learningRate(), 1e-9, step);
      }
      assertEquals(steps.size(), run.metrics().size());
    }
  }
}
