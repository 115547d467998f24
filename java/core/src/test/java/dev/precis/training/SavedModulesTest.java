package dev.precis.training;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.T5;
import dev.precis.alignment.Reference;
import dev.precis.checkpoint.Checkpoint;
import dev.precis.generation.GeneratedTokens;
import dev.precis.generation.GenerationOptions;
import dev.precis.generation.Generator;
import dev.precis.io.InvalidInputException;
import dev.precis.layers.Parameters.Parameter;
import dev.precis.lora.LoraConfig;
import dev.precis.tensor.DType;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Modules that are trained whole beside adapters, as PEFT's {@code modules_to_save}. */
class SavedModulesTest {
  private static final Path MODEL = Fixtures.folder("t5-tiny");
  private static final List<String> WHOLE =
      List.of("lm_head", "layer_norm", "final_layer_norm", "relative_attention_bias", "wo");

  @TempDir private Path folder;

  private static TrainableT5 policy(DType dtype, List<String> saved, String... targets) {
    LoraConfig lora = new LoraConfig(4, 8, 0, List.of(targets), false, saved);
    return TrainableT5.lora(MODEL, lora, dtype, 0, 3, TrainingGoldenTest.device());
  }

  private static double step(TrainableT5 t5, float rate) {
    List<Example> batch = TrainingGoldenTest.dialogues().subList(0, 4);
    long tokens = FineTuning.targetTokens(batch);
    try (FineTuning fineTuning = new FineTuning(t5, 0, false)) {
      t5.parameters().clearGradients();
      double loss = fineTuning.accumulate(batch, 1f / tokens, 1) / tokens;
      for (Parameter parameter : t5.parameters().all()) {
        float[] gradient = TrainingGoldenTest.floats(parameter.gradient());
        for (int i = 0; i < gradient.length; i++) {
          float value = parameter.value().memory().getAtIndex(ValueLayout.JAVA_FLOAT, i);
          parameter
              .value()
              .memory()
              .setAtIndex(ValueLayout.JAVA_FLOAT, i, value - rate * gradient[i]);
        }
      }
      t5.update();
      return loss;
    }
  }

  /** A new adapter changes nothing yet, so the gradients are those of full fine-tuning. */
  @Test
  void theGradientsAreThoseOfTheWholeModel() {
    try (Checkpoint golden = Fixtures.arrays("full_backward.safetensors");
        TrainableT5 t5 = policy(DType.FLOAT32, WHOLE, "q", "v")) {
      step(t5, 0);
      int whole = 0;
      for (Parameter parameter : t5.parameters().all()) {
        if (!parameter.name().contains("lora_")) {
          double error =
              Fixtures.relativeError(
                  TrainingGoldenTest.floats(parameter.gradient()),
                  golden.get("grad." + parameter.name()).toFloat32());
          assertTrue(error < 1e-3, parameter.name() + ": " + error);
          whole++;
        }
      }
      // Of 3 layers in each stack: the head, 3 + 2 norms each and the last ones, two biases, six
      // wo.
      assertEquals(1 + 15 + 2 + 2 + 6, whole);
    }
  }

  @ParameterizedTest
  @CsvSource({"FLOAT32", "BFLOAT16"})
  void theyAreWrittenAndReadAgain(DType dtype) {
    try (TrainableT5 t5 = policy(dtype, WHOLE, "q", "v")) {
      double first = step(t5, 0.05f);
      step(t5, 0.05f);
      t5.write(folder, List.of());
      double trained = step(t5, 0);
      assertTrue(trained < first, trained + " after " + first);
      GenerationOptions options = GenerationOptions.builder().maxNewTokens(12).build();
      List<int[]> sources =
          TrainingGoldenTest.dialogues().subList(0, 3).stream().map(Example::source).toList();
      try (TrainableT5 again =
              TrainableT5.loraFrom(MODEL, folder, 0, dtype, 0, TrainingGoldenTest.device());
          Generator generator = new Generator(t5.model());
          T5 model =
              T5.load(
                  MODEL, new T5.LoadOptions().dtype(dtype).threads(2).adapters(List.of(folder)))) {
        assertEquals(WHOLE, again.adapter().config().modulesToSave());
        assertEquals(trained, step(again, 0));
        for (Parameter parameter : t5.parameters().all()) {
          assertArrayEquals(
              TrainingGoldenTest.floats(parameter.value()),
              TrainingGoldenTest.floats(again.parameters().find(parameter.name()).value()),
              parameter.name());
        }
        List<List<GeneratedTokens>> want =
            generator.generate(sources, options, 2, 0, null, (source, results) -> {});
        List<List<GeneratedTokens>> got = model.generateTokens(sources, options, 2, null);
        for (int i = 0; i < want.size(); i++) {
          assertArrayEquals(
              want.get(i).getFirst().tokens(), got.get(i).getFirst().tokens(), "source " + i);
        }
      }
    }
  }

  @Test
  void theReferenceIsTheModelAsItWas() {
    try (TrainableT5 t5 = policy(DType.FLOAT32, List.of("lm_head"), "q", "v");
        Reference reference = Reference.open("base", t5, Path::of);
        Checkpoint base = Checkpoint.open(MODEL)) {
      step(t5, 0.5f);
      assertTrue(reference.model() != t5.model());
      assertTrue(reference.weightBytes() > 0);
      String said =
          assertThrows(
                  InvalidInputException.class,
                  () -> Reference.open("adapter:" + Fixtures.folder("t5-tiny-lora"), t5, Path::of))
              .getMessage();
      assertTrue(said.contains("checkpoint:DIR"), said);
    }
  }

  @ParameterizedTest
  @CsvSource({
    "shared, q, The embedding cannot be one of modules-to-save",
    "k, q, cannot be one of modules-to-save: name it in target-modules",
    "wo, wo, is adapted and one of modules-to-save",
    "heads, q, No module of the model is named by heads of modules-to-save",
  })
  void whatCannotBeTrainedWholeIsRefused(String module, String target, String sentence) {
    String said =
        assertThrows(
                InvalidInputException.class,
                () -> policy(DType.FLOAT32, List.of(module), target).close())
            .getMessage();
    assertTrue(said.contains(sentence), said);
  }
}
