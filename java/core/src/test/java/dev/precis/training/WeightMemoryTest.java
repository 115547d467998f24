package dev.precis.training;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.Fixtures;
import dev.precis.encoder.EncoderConfig;
import dev.precis.io.Json;
import dev.precis.lora.LoraConfig;
import dev.precis.t5.T5Config;
import dev.precis.tensor.DType;
import dev.precis.tensor.MemoryPlan;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The memory of weights from a configuration alone, against that of models that are loaded. */
class WeightMemoryTest {
  private static final Path TINY = Fixtures.folder("t5-tiny");

  @TempDir private Path folder;

  /** A model large enough that what packing rounds up is little of it. */
  private Path small() throws IOException {
    for (String name : List.of("tokenizer.json", "tokenizer_config.json")) {
      if (Files.exists(TINY.resolve(name))) {
        Files.copy(TINY.resolve(name), folder.resolve(name));
      }
    }
    String config = Files.readString(TINY.resolve("config.json"));
    Files.writeString(
        folder.resolve("config.json"),
        config
            .replaceFirst("\"d_model\": \\d+", "\"d_model\": 256")
            .replaceFirst("\"d_ff\": \\d+", "\"d_ff\": 640")
            .replaceFirst("\"vocab_size\": \\d+", "\"vocab_size\": 6000"));
    Path model = folder.resolve("model");
    try (TrainableT5 t5 =
        TrainableT5.fromScratch(folder, DType.FLOAT32, 0, 1, TrainingGoldenTest.device())) {
      t5.write(model);
    }
    return model;
  }

  private static void assertParts(MemoryPlan actual, MemoryPlan early) {
    early
        .parts()
        .forEach(
            (part, bytes) -> {
              long needed = actual.parts().get(part);
              // It is the least that is needed, and most of it.
              assertTrue(
                  bytes <= needed && bytes >= 0.9 * needed,
                  "%s: %d of %d".formatted(part, bytes, needed));
            });
    assertEquals(3, early.parts().size());
  }

  @ParameterizedTest
  @CsvSource({
    "lora, FLOAT32, ADAMW, 'q,v'",
    "lora, BFLOAT16, SGD, all-linear",
    "lora, INT8, ADAMW, 'q,v'",
    "lora, INT4, ADAMW, 'q,v'",
    "lora, BFLOAT16, ADAFACTOR, 'decoder\\..*\\.(q|v)'",
    "full, FLOAT32, ADAMW, ''",
    "full, BFLOAT16, ADAFACTOR, ''"
  })
  void t5(String method, DType dtype, Optimizer.Kind kind, String targets) throws IOException {
    Path model = small();
    T5Config config = T5Config.read(model);
    Optimizer.Settings optimizer = Optimizer.Settings.of(kind, 0);
    TrainingOptions options =
        TrainingOptions.builder().optimizer(optimizer).batchSize(2).maxSteps(1).build();
    boolean lora = method.equals("lora");
    LoraConfig adapters = lora ? new LoraConfig(8, 8, 0, List.of(targets.split(",")), false) : null;
    try (RunFolder run = RunFolder.create(folder.resolve("run"), Json.mapper().createObjectNode());
        TrainableT5 t5 =
            lora
                ? TrainableT5.lora(model, adapters, dtype, 0, 1, TrainingGoldenTest.device())
                : TrainableT5.full(model, dtype, 0, TrainingGoldenTest.device());
        Trainer trainer =
            new Trainer(
                t5, options, TrainingGoldenTest.dialogues().subList(0, 4), List.of(), run)) {
      assertParts(
          trainer.plan(),
          lora
              ? WeightMemory.lora(config, dtype, adapters, optimizer)
              : WeightMemory.full(config, dtype, optimizer));
    }
  }

  @ParameterizedTest
  @CsvSource({"FLOAT32", "BFLOAT16"})
  void roberta(DType dtype) {
    Path model = Fixtures.folder("roberta-tiny");
    EncoderConfig config = EncoderConfig.read(model);
    MemoryPlan early =
        WeightMemory.full(config, dtype, Optimizer.Settings.of(Optimizer.Kind.ADAMW, 0));
    try (TrainableEncoder roberta =
        TrainableEncoder.of(
            model,
            new TrainableEncoder.Options(config.labels(), dtype, 0, 1, any -> {}),
            TrainingGoldenTest.device())) {
      double weights = (double) early.parts().get("weights") / roberta.weightBytes();
      assertTrue(weights > 0.7 && weights <= 1, "weights: " + weights);
      double trained =
          early.parts().get("trained weights and gradients")
              / (2.0 * roberta.parameters().values().memory().byteSize());
      assertTrue(trained > 0.9 && trained <= 1, "trained: " + trained);
    }
  }
}
