package dev.precis.training;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import dev.precis.Fixtures;
import dev.precis.io.Json;
import dev.precis.lora.LoraConfig;
import dev.precis.tensor.DType;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.BrokenBarrierException;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Steps whose micro-batches several threads share, as several processes would. */
class GradientExchangeTest {
  private static final int STEPS = 7;

  /** An exchange of one of several threads. */
  private record Shared(
      int rank, List<List<GradientExchange.Contribution>> all, CyclicBarrier barrier)
      implements GradientExchange {
    @Override
    public int processes() {
      return all.size();
    }

    @Override
    public Contribution sum(List<Contribution> own, int parameters) {
      all.set(rank, own);
      await();
      Contribution total = Contribution.zero(parameters);
      for (List<Contribution> each : all) {
        for (Contribution next : each) {
          total.addSums(next);
          total.addGradients(next, 0, parameters);
        }
      }
      await(); // before the next step replaces them
      return total;
    }

    private void await() {
      try {
        barrier.await();
      } catch (InterruptedException | BrokenBarrierException e) {
        throw new IllegalStateException(e);
      }
    }
  }

  /** Trains adapters and returns their bits and the losses of the steps. */
  private static List<float[]> train(
      DType dtype, int tokens, GradientExchange exchange, Path folder) {
    // Five micro-batches a step, and fewer in the last one of an epoch.
    TrainingOptions options =
        TrainingOptions.builder()
            .batchSize(3)
            .maxTokensPerBatch(tokens)
            .gradientAccumulation(5)
            .maxSteps(STEPS)
            .seed(3)
            .build();
    LoraConfig config = new LoraConfig(4, 8, 0.1f, List.of("q", "v", "wo"), false);
    try (RunFolder run = RunFolder.create(folder, Json.mapper().createObjectNode());
        TrainableT5 t5 =
            TrainableT5.lora(
                Fixtures.folder("t5-tiny"), config, dtype, 0.1f, 1, TrainingGoldenTest.device());
        Trainer trainer =
            new Trainer(t5, options, TrainingGoldenTest.dialogues(), List.of(), run)) {
      if (exchange != null) {
        trainer.share(exchange);
      }
      float[] losses = new float[STEPS];
      for (int i = 0; i < STEPS; i++) {
        losses[i] = (float) trainer.step().loss();
      }
      return List.of(TrainingGoldenTest.floats(t5.parameters().values()), losses);
    }
  }

  @ParameterizedTest
  @CsvSource({
    "FLOAT32, 0, 1",
    "FLOAT32, 0, 2",
    "BFLOAT16, 0, 4",
    "FLOAT32, 0, 7",
    "FLOAT32, 700, 3"
  })
  void anyNumberOfProcessesTrainsTheBitsOfOne(
      DType dtype, int tokens, int processes, @TempDir Path folder) throws Exception {
    List<float[]> alone = train(dtype, tokens, null, folder.resolve("alone"));
    List<List<GradientExchange.Contribution>> all = new ArrayList<>();
    CyclicBarrier barrier = new CyclicBarrier(processes);
    List<Future<List<float[]>>> results = new ArrayList<>();
    for (int i = 0; i < processes; i++) {
      all.add(List.of());
    }
    try (ExecutorService threads = Executors.newFixedThreadPool(processes)) {
      for (int i = 0; i < processes; i++) {
        Shared exchange = new Shared(i, all, barrier);
        Path run = folder.resolve("run" + i);
        results.add(threads.submit(() -> train(dtype, tokens, exchange, run)));
      }
      for (Future<List<float[]>> result : results) {
        assertArrayEquals(alone.get(0), result.get().get(0));
        assertArrayEquals(alone.get(1), result.get().get(1));
      }
    }
    assertEquals(STEPS, alone.get(1).length);
    assertFalse(Arrays.equals(alone.get(1), new float[STEPS]));
  }
}
