package dev.precis.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.alignment.policy.PolicyAlgorithm;
import dev.precis.alignment.policy.PpoOptions;
import dev.precis.alignment.policy.ResponseSampler;
import dev.precis.alignment.policy.SamplingRequest;
import dev.precis.device.DeviceOptions;
import dev.precis.generation.SampledTokens;
import dev.precis.io.InvalidInputException;
import dev.precis.tensor.DType;
import dev.precis.training.TrainableT5;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.spark.sql.SparkSession;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Rollouts by the tasks of one process; ClusterTest has a process for each. */
class SparkSamplerTest {
  private static final String MODEL = LocalSpark.fixture("t5-tiny");

  @TempDir private static Path folder;
  private static SparkSession spark;

  @BeforeAll
  static void start() {
    spark = LocalSpark.start("local[4]");
  }

  @AfterAll
  static void closeModels() {
    ExecutorModels.closeUnused();
  }

  @Test
  void anyNumberOfTasksAlignsThePolicyOfOneProcess() throws Exception {
    PpoOptions options = Recipes.alignment(PolicyAlgorithm.PPO);
    Path alone = Recipes.align(options, DType.BFLOAT16, null, folder.resolve("alone"));
    for (int tasks : new int[] {3, 100}) {
      SparkSampler sampler = new SparkSampler(spark, MODEL, tasks);
      Path run = Recipes.align(options, DType.BFLOAT16, sampler, folder.resolve("tasks" + tasks));
      Recipes.assertSameAlignment(alone, run);
    }
  }

  @Test
  void groupsStayTogether() throws Exception {
    PpoOptions options = Recipes.alignment(PolicyAlgorithm.GRPO);
    Path alone = Recipes.align(options, DType.FLOAT32, null, folder.resolve("grpo-alone"));
    SparkSampler sampler = new SparkSampler(spark, MODEL, 2).threads(2);
    Recipes.assertSameAlignment(
        alone, Recipes.align(options, DType.FLOAT32, sampler, folder.resolve("grpo")));
  }

  @Test
  void whatCannotSampleIsSaidOnce() {
    PpoOptions options = Recipes.alignment(PolicyAlgorithm.PPO);
    refused(
        "no-such-model is no folder on an executor", new SparkSampler(spark, "no-such-model", 2));
    refused("isa: 'none' is not one of", new SparkSampler(spark, MODEL, 2).isa("none"));
    refused(
        "An executor computes with other instruction sets or weights than the driver (portable and"
            + " ",
        new SparkSampler(spark, MODEL, 2).isa("portable"));
    refused("The sampler returned 3 responses, not 4", shortened(0, 0));
    refused("a response of 0 tokens that is not the policy's", shortened(1, 0));
    refused("a response of 2 tokens that is not the policy's", shortened(1, 2));
    assertThrows(InvalidInputException.class, () -> new SparkSampler(spark, MODEL, 0));
    try (TrainableT5 full =
        TrainableT5.full(Path.of(MODEL), DType.FLOAT32, 0, new DeviceOptions().threads(1))) {
      SamplingRequest request =
          new SamplingRequest(List.of(new int[] {1}), new int[] {3}, 1, options.sampling(), 1, 0);
      InvalidInputException e =
          assertThrows(
              InvalidInputException.class,
              () -> new SparkSampler(spark, MODEL, 1).sample(full, request));
      assertTrue(e.getMessage().contains("need adapters"), e.getMessage());
    }
  }

  /** Returns a sampler whose last response is missing, or has so many tokens of no vocabulary. */
  private static ResponseSampler shortened(int more, int tokens) {
    SparkSampler sampler = new SparkSampler(spark, MODEL, 2);
    return (policy, request) -> {
      List<SampledTokens> samples = new ArrayList<>(sampler.sample(policy, request));
      samples.removeLast();
      for (int i = 0; i < more; i++) {
        int[] unknown = new int[tokens];
        Arrays.fill(unknown, Integer.MAX_VALUE);
        samples.add(new SampledTokens(unknown, new float[tokens], new float[tokens], true));
      }
      return samples;
    };
  }

  private static void refused(String part, ResponseSampler sampler) {
    PpoOptions options = Recipes.alignment(PolicyAlgorithm.PPO);
    InvalidInputException e =
        assertThrows(
            InvalidInputException.class,
            () ->
                Recipes.align(
                    options, DType.FLOAT32, sampler, folder.resolve("refused" + part.hashCode())));
    assertTrue(e.getMessage().contains(part), e.getMessage());
    assertEquals(-1, e.getMessage().indexOf('\n'), e.getMessage());
  }
}
