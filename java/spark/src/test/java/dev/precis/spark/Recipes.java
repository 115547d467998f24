package dev.precis.spark;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.precis.alignment.Reference;
import dev.precis.alignment.policy.PolicyAlgorithm;
import dev.precis.alignment.policy.Ppo;
import dev.precis.alignment.policy.PpoOptions;
import dev.precis.alignment.policy.PpoTrainer;
import dev.precis.alignment.policy.Prompt;
import dev.precis.alignment.policy.ResponseSampler;
import dev.precis.alignment.reward.PairExample;
import dev.precis.alignment.reward.Reward;
import dev.precis.alignment.reward.Score;
import dev.precis.data.Dialogue;
import dev.precis.data.DialogueReader;
import dev.precis.device.DeviceOptions;
import dev.precis.io.Json;
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
import java.util.ArrayList;
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
        .map(line -> line.replaceAll(",?\"(tokens_per_second|time/[a-z_/]*)\":[^,}]*", ""))
        .toList();
  }

  /** Four steps of four responses each. */
  static PpoOptions alignment(PolicyAlgorithm algorithm) {
    boolean groups = algorithm == PolicyAlgorithm.GRPO;
    return PpoOptions.builder()
        .algorithm(algorithm)
        .batch(
            batch ->
                batch
                    .batchSize(groups ? 8 : 4)
                    .miniBatchSize(groups ? 8 : 2)
                    .groupSize(groups ? 2 : 1))
        .optimization(optimization -> optimization.learningRate(1e-3f))
        .schedule(schedule -> schedule.maxSteps(4).checkpointEvery(2))
        .sampling(sampling -> sampling.maxNewTokens(10).shortestLimit(4))
        .seed(11)
        .build();
  }

  /**
   * Aligns a policy to the number of its letters e, and returns the run's folder.
   *
   * @param sampler null: the policy samples
   */
  static Path align(PpoOptions options, DType dtype, ResponseSampler sampler, Path folder) {
    Path model = LocalSpark.FIXTURES.resolve("t5-tiny");
    LoraConfig lora = new LoraConfig(4, 8, 0, List.of("q", "v"), false);
    Reward reward =
        all ->
            all.stream()
                .map(c -> Score.of("e", c.text().chars().filter(each -> each == 'e').count()))
                .toList();
    try (Tokenizer tokenizer = Tokenizer.load(model);
        RunFolder run = RunFolder.create(folder, Json.mapper().createObjectNode());
        TrainableT5 t5 =
            TrainableT5.lora(model, lora, dtype, 0, 5, new DeviceOptions().threads(1));
        Reference reference = Reference.open("base", t5, Path::of);
        Ppo ppo = new Ppo(t5, reference, tokenizer, options, sampler);
        PpoTrainer trainer = new PpoTrainer(ppo, prompts(tokenizer), reward, run, true)) {
      assertEquals(PpoTrainer.End.DONE, trainer.train(new PpoTrainer.Listener() {}).end());
      return folder;
    }
  }

  private static List<Prompt> prompts(Tokenizer tokenizer) {
    List<Prompt> prompts = new ArrayList<>();
    for (Dialogue each : DialogueReader.read(LocalSpark.FIXTURES.resolve("dialogues.jsonl"))) {
      String text = PromptTemplate.DEFAULT.fill(each.dialogue());
      prompts.add(new Prompt(each.id(), text, tokenizer.encode(text), each.summaries()));
    }
    return prompts.subList(0, 10);
  }

  /** Asserts that two alignments have the same adapter, statistics and responses. */
  static void assertSameAlignment(Path wanted, Path run) throws Exception {
    for (String file : List.of("adapter/adapter_model.safetensors", "rollouts.jsonl")) {
      assertArrayEquals(
          Files.readAllBytes(wanted.resolve(file)), Files.readAllBytes(run.resolve(file)), file);
    }
    assertEquals(untimed(wanted), untimed(run));
  }
}
