package dev.precis.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.alignment.policy.PolicyAlgorithm;
import dev.precis.alignment.policy.PpoOptions;
import dev.precis.tensor.DType;
import dev.precis.training.TrainingLoop;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import org.apache.spark.scheduler.SparkListener;
import org.apache.spark.scheduler.SparkListenerStageSubmitted;
import org.apache.spark.scheduler.SparkListenerTaskStart;
import org.apache.spark.sql.SparkSession;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Training on four executors, each a process of its own with one core. */
@Tag("cluster")
class ClusterTest {
  /** Stages of a training: to the checkpoints after steps 2, 4 and 5. */
  private static final int ROUNDS = 3;

  @TempDir private static Path folder;
  private static SparkSession spark;
  private static LoraRecipe recipe;
  private static Path alone;

  @BeforeAll
  static void start() throws Exception {
    // The launcher of executors asks for this folder; their class path is that of the tests.
    Files.createDirectories(Path.of(System.getenv("SPARK_HOME"), "jars"));
    String classPath =
        Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator))
            .map(each -> Path.of(each).toAbsolutePath().toString())
            .collect(Collectors.joining(File.pathSeparator));
    spark =
        LocalSpark.start(
            "local-cluster[4,1,512]",
            Map.of(
                "spark.executor.memory", "512m",
                "spark.scheduler.barrier.maxConcurrentTasksCheck.interval", "1s",
                "spark.executor.extraClassPath", classPath,
                "spark.executor.extraJavaOptions",
                    "--enable-native-access=ALL-UNNAMED -XX:+UseSerialGC"));
    recipe = Recipes.lora(spark);
    alone = Recipes.trainAlone(recipe, folder.resolve("alone"));
  }

  @AfterAll
  static void stop() {
    spark.stop();
  }

  /** Listens to the stages of a training. */
  private static final class Stages extends SparkListener {
    final TreeSet<String> executors = new TreeSet<>();
    final AtomicInteger submitted = new AtomicInteger();
    final AtomicInteger tasks = new AtomicInteger();
    private boolean kills;

    /** Decides whether the next task that starts loses its cluster an executor. */
    synchronized void kills(boolean value) {
      kills = value;
    }

    @Override
    public synchronized void onTaskStart(SparkListenerTaskStart start) {
      executors.add(start.taskInfo().executorId());
      tasks.incrementAndGet();
      if (kills) {
        kills = false;
        executors().getFirst().destroyForcibly();
      }
    }

    @Override
    public void onStageSubmitted(SparkListenerStageSubmitted stage) {
      submitted.incrementAndGet();
    }
  }

  /** Returns the executors' processes: this one starts no others. */
  private static List<ProcessHandle> executors() {
    return ProcessHandle.current()
        .children()
        .filter(each -> each.info().command().orElse("").endsWith("java"))
        .toList();
  }

  private static Stages train(int tasks, Path run, boolean kills) throws Exception {
    Stages stages = new Stages();
    spark.sparkContext().addSparkListener(stages);
    TrainingLoop.Result result =
        new DataParallelTrainer(spark, recipe, tasks)
            .onCheckpoint(step -> stages.kills(kills && step == 2))
            .train(run, false);
    spark.sparkContext().removeSparkListener(stages);
    assertEquals(TrainingLoop.End.DONE, result.end());
    Recipes.assertSameRun(alone, run);
    return stages;
  }

  @Test
  void oneTwoAndFourExecutorsTrainTheAdapterOfOneProcess() throws Exception {
    for (int tasks : new int[] {1, 2, 4}) {
      Stages stages = train(tasks, folder.resolve("executors" + tasks), false);
      assertTrue(stages.executors.size() >= tasks, stages.executors + " for " + tasks);
      assertEquals(ROUNDS, stages.submitted.get());
    }
  }

  @Test
  void aTaskOfALostExecutorIsRunAgainAndSamplesTheSameTokens() throws Exception {
    PpoOptions options = Recipes.alignment(PolicyAlgorithm.PPO);
    Path wanted = Recipes.align(options, DType.FLOAT32, null, folder.resolve("policy-alone"));
    Stages stages = new Stages();
    spark.sparkContext().addSparkListener(stages);
    SparkSampler sampler = new SparkSampler(spark, recipe.model(), 4);
    int[] steps = {0};
    Path run =
        Recipes.align(
            options,
            DType.FLOAT32,
            (policy, request) -> {
              stages.kills(++steps[0] == 3);
              return sampler.sample(policy, request);
            },
            folder.resolve("policy"));
    spark.sparkContext().removeSparkListener(stages);
    Recipes.assertSameAlignment(wanted, run);
    assertTrue(stages.tasks.get() > 4 * steps[0], stages.tasks + " tasks in steps: " + steps[0]);
  }

  @Test
  void aLostExecutorEndsTheStageWhichRunsAgainFromTheCheckpoint() throws Exception {
    Stages stages = train(4, folder.resolve("lost"), true);
    assertEquals(ROUNDS + 1, stages.submitted.get(), "a stage was run again");
  }
}
