package dev.precis.benchmarks;

import dev.precis.checkpoint.Checkpoint;
import dev.precis.device.DeviceOptions;
import dev.precis.lora.LoraConfig;
import dev.precis.tensor.DType;
import dev.precis.training.Example;
import dev.precis.training.FineTuning;
import dev.precis.training.Optimizer;
import dev.precis.training.TrainableT5;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.TearDown;

/**
 * A step of supervised fine-tuning end to end, with LoRA adapters of rank 32 on queries and values:
 * forward, backward, AdamW. On a GPU plain products go to cuBLASLt where there is one. The weights
 * are random, which costs what trained ones cost.
 */
// A step takes tens of milliseconds on a GPU and seconds on two cores.
@OutputTimeUnit(TimeUnit.MILLISECONDS)
public class T5SftStepBenchmark extends MeasuredBenchmark {
  private static final int[] CHECKED_SOURCE = {17, 5, 230, 1};
  private static final int[] CHECKED_TARGET = {40, 7, 1};
  private static final LoraConfig LORA = new LoraConfig(32, 32, 0.05f, List.of("q", "v"), false);

  /** The shape: batch x source tokens x target tokens. */
  @Param("8x256x64")
  String shape;

  @Param({"float32", "bfloat16"})
  String dtype;

  /** The model's size: base, or tiny for tests. */
  @Param("base")
  String size;

  private TrainableT5 t5;
  private FineTuning fineTuning;
  private Arena arena;
  private Optimizer optimizer;
  private List<Example> examples;
  private int steps;

  /** Makes a checkpoint, loads it, checks its loss and that steps lower it. */
  @Setup(Level.Trial)
  public void setUp() {
    RandomCheckpoint checkpoint = RandomCheckpoint.ofSize(size);
    DType type = DType.valueOf(dtype.toUpperCase(Locale.ROOT));
    DeviceOptions context = new DeviceOptions().device(device).threads(threads).manyRows(true);
    checkpoint.use(
        folder -> {
          t5 = TrainableT5.lora(folder, LORA, type, Float.NaN, 1, context);
          fineTuning = new FineTuning(t5, 0, false);
          verifyLoss(folder, type);
        });
    arena = Arena.ofShared();
    optimizer =
        Optimizer.create(
            Optimizer.Settings.of(Optimizer.Kind.ADAMW, 0.01f), t5.parameters(), t5.ops(), arena);
    SplittableRandom random = new SplittableRandom(1);
    examples =
        IntStream.range(0, size(0))
            .mapToObj(
                i ->
                    new Example(
                        random.ints(size(1), 3, checkpoint.vocabulary()).toArray(),
                        random.ints(size(2), 3, checkpoint.vocabulary()).toArray()))
            .toList();
    long sourceTokens = (long) size(0) * size(1);
    fineTuning.reserve(fineTuning.plan(sourceTokens, FineTuning.targetTokens(examples)));
    double before = fineTuning.evaluate(examples);
    step();
    step();
    double after = fineTuning.evaluate(examples);
    check(after < before, "two steps took the loss from %g to %g".formatted(before, after));
  }

  /** Checks the loss before the first step, which is the model's: adapters begin at zero. */
  private void verifyLoss(Path folder, DType type) {
    int[] inputs = new int[CHECKED_TARGET.length];
    inputs[0] = t5.config().decoderStartTokenId();
    System.arraycopy(CHECKED_TARGET, 0, inputs, 1, inputs.length - 1);
    double want = 0;
    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      double[][] logits = new ReferenceT5(checkpoint, t5.config()).logits(CHECKED_SOURCE, inputs);
      for (int t = 0; t < inputs.length; t++) {
        want -= Reference.logSoftmax(logits[t])[CHECKED_TARGET[t]];
      }
    }
    double got = fineTuning.evaluate(List.of(new Example(CHECKED_SOURCE, CHECKED_TARGET)));
    double tolerance = type == DType.FLOAT32 ? 1e-4 : 3e-2;
    check(Math.abs(got - want) <= tolerance * want, "the loss is %g, not %g".formatted(got, want));
  }

  /** Takes one step; returns the loss before it. */
  @Benchmark
  public double step() {
    t5.parameters().clearGradients();
    double scale = 1.0 / FineTuning.targetTokens(examples);
    double loss = fineTuning.accumulate(examples, (float) scale, steps) * scale;
    optimizer.step(++steps, 1e-3f, 1);
    t5.update();
    t5.device().synchronize();
    return loss;
  }

  /** Closes the model. */
  @TearDown(Level.Trial)
  public void tearDown() {
    if (t5 != null) {
      fineTuning.close();
      arena.close();
      t5.close();
      t5 = null;
    }
  }

  @Override
  String op() {
    return "t5_sft_step/" + size;
  }

  @Override
  Work work() {
    return Work.counted((double) size(0) * (size(1) + size(2)), "tokens/s");
  }
}
