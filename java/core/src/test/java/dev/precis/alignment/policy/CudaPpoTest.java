package dev.precis.alignment.policy;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.alignment.Reference;
import dev.precis.device.DeviceOptions;
import dev.precis.lora.LoraConfig;
import dev.precis.tensor.DType;
import dev.precis.text.Tokenizer;
import dev.precis.training.TrainableT5;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * A step of PPO on a GPU, or on the emulated one, is the CPU's: what it draws and what it learns.
 */
@Tag("cuda")
class CudaPpoTest {
  private record Step(List<int[]> tokens, Map<String, Double> statistics) {}

  private static Step step(String device) {
    PpoOptions options =
        PolicyProcess.options()
            .batch(batch -> batch.batchSize(2).miniBatchSize(2))
            .optimization(optimization -> optimization.ppoEpochs(2))
            .sampling(sampling -> sampling.maxNewTokens(5).shortestLimit(3))
            .build();
    try (Tokenizer tokenizer = Tokenizer.load(PolicyProcess.MODEL);
        TrainableT5 t5 =
            TrainableT5.lora(
                PolicyProcess.MODEL,
                new LoraConfig(4, 8, 0, List.of("q", "v"), false),
                DType.FLOAT32,
                0,
                5,
                new DeviceOptions().device(device).threads(1));
        Reference reference = Reference.open("base", t5, Path::of);
        Ppo ppo = new Ppo(t5, reference, tokenizer, options)) {
      List<Prompt> prompts = new ArrayList<>();
      for (Prompt each : PolicyProcess.prompts(tokenizer).subList(0, 2)) {
        prompts.add(
            new Prompt(each.id(), each.text(), Arrays.copyOf(each.source(), 17), List.of()));
      }
      assertTrue(ppo.plan(prompts).total() > 0);
      long allocations = t5.device().describe().allocations();
      Rollout rollout = ppo.rollout(prompts, 0);
      List<int[]> tokens = rollout.samples().stream().map(sample -> sample.tokens()).toList();
      Map<String, Double> statistics = ppo.update(rollout, new double[] {1, -1});
      if (t5.device().onGpu()) {
        assertEquals(allocations, t5.device().describe().allocations(), "memory was planned");
      }
      return new Step(tokens, new TreeMap<>(statistics));
    }
  }

  @Test
  void tokensAndStatisticsAreTheCpus() {
    Step want = step("cpu");
    Step got = step("cuda");
    for (int i = 0; i < 2; i++) {
      assertArrayEquals(want.tokens.get(i), got.tokens.get(i));
    }
    assertEquals(want.statistics.keySet(), got.statistics.keySet());
    assertTrue(want.statistics.get("ppo/loss/total") != 0);
    want.statistics.forEach(
        (name, value) -> {
          if (!name.startsWith("time/")) {
            assertEquals(value, got.statistics.get(name), 1e-5 + 1e-3 * Math.abs(value), name);
          }
        });
  }
}
