package dev.precis.spark;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.alignment.reward.PairExample;
import dev.precis.io.InvalidInputException;
import dev.precis.training.TrainingLoop;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.spark.sql.SparkSession;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Training by the tasks of barrier stages, in one process; ClusterTest has a process for each. */
class DataParallelTest {
  @TempDir private static Path folder;
  private static SparkSession spark;
  private static LoraRecipe recipe;
  private static Path alone;

  @BeforeAll
  static void trainAlone() {
    spark = LocalSpark.start("local[4]");
    recipe = Recipes.lora(spark);
    alone = Recipes.trainAlone(recipe, folder.resolve("alone"));
  }

  @Test
  void anyNumberOfTasksTrainsTheAdapterOfOneProcess() throws Exception {
    for (int tasks : new int[] {1, 2, 4}) {
      Path run = folder.resolve("tasks" + tasks);
      List<Long> checkpoints = new ArrayList<>();
      TrainingLoop.Result result =
          new DataParallelTrainer(spark, recipe, tasks)
              .onCheckpoint(checkpoints::add)
              .train(run, false);
      assertEquals(TrainingLoop.End.DONE, result.end());
      assertEquals(List.of(2L, 4L, 5L), checkpoints);
      Recipes.assertSameRun(alone, run);
    }
  }

  @Test
  void aDriverThatDiedResumesWithAnotherNumberOfTasks() throws Exception {
    Path run = folder.resolve("resumed");
    DataParallelTrainer dying =
        new DataParallelTrainer(spark, recipe, 4)
            .onCheckpoint(
                step -> {
                  throw new IllegalStateException("the driver dies after step " + step);
                });
    assertThrows(IllegalStateException.class, () -> dying.train(run, false));
    assertFalse(Files.exists(run.resolve("adapter")));
    DataParallelTrainer trainer = new DataParallelTrainer(spark, recipe, 2);
    assertMessage("already holds a run", () -> trainer.train(run, false));
    assertEquals(5, trainer.train(run, true).steps());
    Recipes.assertSameRun(alone, run);
  }

  @Test
  void aRewardModelHasTheSameBitsForAnyNumberOfTasks() throws Exception {
    List<PairExample> pairs = new ArrayList<>();
    for (int i = 0; i < 10; i++) {
      pairs.add(
          new PairExample(new int[] {0, 10 + i, 30 + i, 2}, new int[] {0, 60 + i, 2}, 0.5 * i));
    }
    RewardRecipe reward = Recipes.reward(pairs);
    List<byte[]> weights = new ArrayList<>();
    for (int tasks : new int[] {1, 2}) {
      Path run = folder.resolve("reward" + tasks);
      new DataParallelTrainer(spark, reward, tasks).train(run, false);
      weights.add(Files.readAllBytes(run.resolve("model/model.safetensors")));
      assertTrue(Files.exists(run.resolve("model/config.json")));
    }
    assertArrayEquals(weights.get(0), weights.get(1));
  }

  @Test
  void whatCannotBeTrainedIsSaidOnce() {
    assertMessage(
        "tasks must be between 1 and gradient-accumulation, the 4 micro-batches of a step, not 5",
        () -> new DataParallelTrainer(spark, recipe, 5));
    LoraRecipe missing =
        new LoraRecipe(
            "no-such-model",
            recipe.lora(),
            recipe.options(),
            recipe.dtype(),
            0,
            recipe.training(),
            List.of());
    AtomicReference<Path> run = new AtomicReference<>(folder.resolve("missing"));
    assertMessage(
        "no-such-model is no folder on an executor",
        () -> new DataParallelTrainer(spark, missing, 2).train(run.get(), false));
    assertFalse(Files.exists(run.get().resolve("config.json")), "a run that never began");
    LoraRecipe empty =
        new LoraRecipe(
            recipe.model(),
            recipe.lora(),
            recipe.options(),
            recipe.dtype(),
            0,
            List.of(),
            List.of());
    assertMessage(
        "There is no example to train on",
        () -> new DataParallelTrainer(spark, empty, 2).train(run.get(), false));
    assertMessage(
        "isa: 'none' is not one of",
        () -> new DataParallelTrainer(spark, recipe, 2).isa("none").train(run.get(), false));
  }

  private static void assertMessage(String part, org.junit.jupiter.api.function.Executable action) {
    Exception e = assertThrows(InvalidInputException.class, action);
    assertTrue(e.getMessage().contains(part), e.getMessage());
  }
}
