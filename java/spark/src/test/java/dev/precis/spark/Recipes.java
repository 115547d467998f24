package dev.precis.spark;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.precis.alignment.reward.PairExample;
import dev.precis.device.DeviceOptions;
import dev.precis.lora.LoraConfig;
import dev.precis.tensor.DType;
import dev.precis.text.PromptTemplate;
import dev.precis.text.Tokenizer;
import dev.precis.training.Example;
import dev.precis.training.RunFolder;
import dev.precis.training.TrainableT5;
import dev.precis.training.Trainer;
import dev.precis.training.TrainingLoop;
import dev.precis.training.TrainingOptions;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;

/** Trainings of small models, and what one process makes of them. */
final class Recipes {
  private Recipes() {}

  /** Five steps of four micro-batches of two examples, with evaluations and checkpoints. */
  static TrainingOptions options() {
    return TrainingOptions.builder()
        .batchSize(2)
        .gradientAccumulation(4)
        .maxSteps(5)
        .checkpointEvery(2)
        .evaluateEvery(5)
        .seed(11)
        .build();
  }

  static LoraRecipe lora(SparkSession spark) {
    Dataset<Row> rows = spark.read().json(LocalSpark.fixture("dialogues.jsonl")).limit(30);
    Path model = LocalSpark.FIXTURES.resolve("t5-tiny");
    try (Tokenizer tokenizer = Tokenizer.load(model)) {
      List<Example> examples =
          LoraRecipe.examples(rows, "dialogue", "summary", PromptTemplate.DEFAULT, tokenizer);
      return new LoraRecipe(
          model.toString(),
          new LoraConfig(4, 8, 0.05f, List.of("q", "v"), false),
          options(),
          DType.FLOAT32,
          0.1f,
          examples.subList(0, 26),
          examples.subList(26, 30));
    }
  }

  static RewardRecipe reward(List<PairExample> pairs) {
    return new RewardRecipe(
        LocalSpark.fixture("roberta-tiny"),
        "{completion}",
        TrainingOptions.builder()
            .batchSize(2)
            .gradientAccumulation(3)
            .maxSteps(3)
            .learningRate(1e-4f)
            .build(),
        DType.FLOAT32,
        0.1f,
        0.01,
        pairs,
        pairs.subList(0, 2));
  }

  /** Trains in this process, as the command line does, and returns the run's folder. */
  static Path trainAlone(LoraRecipe recipe, Path folder) {
    try (RunFolder run = RunFolder.create(folder, recipe.config());
        TrainableT5 t5 =
            TrainableT5.lora(
                Path.of(recipe.model()),
                recipe.lora(),
                recipe.dtype(),
                recipe.dropout(),
                recipe.options().seed(),
                new DeviceOptions().threads(1));
        Trainer trainer =
            new Trainer(t5, recipe.options(), recipe.training(), recipe.evaluation(), run)) {
      assertEquals(TrainingLoop.End.DONE, trainer.train(new TrainingLoop.Listener() {}).end());
      return folder;
    }
  }

  /** Asserts that two runs have the same adapter, the same checkpoints and the same losses. */
  static void assertSameRun(Path wanted, Path run) throws Exception {
    for (String file :
        List.of("adapter/adapter_model.safetensors", "adapter/adapter_config.json")) {
      assertArrayEquals(
          Files.readAllBytes(wanted.resolve(file)), Files.readAllBytes(run.resolve(file)), file);
    }
    assertEquals(RunFiles.read(wanted).keySet(), RunFiles.read(run).keySet());
    String checkpoint = "checkpoints/step-5/optimizer.safetensors";
    assertArrayEquals(
        Files.readAllBytes(wanted.resolve(checkpoint)),
        Files.readAllBytes(run.resolve(checkpoint)));
    assertEquals(untimed(wanted), untimed(run));
  }

  private static List<String> untimed(Path run) throws Exception {
    return Files.readAllLines(run.resolve("metrics.jsonl")).stream()
        .map(line -> line.replaceAll(",?\"tokens_per_second\":[^,}]*", ""))
        .toList();
  }
}
