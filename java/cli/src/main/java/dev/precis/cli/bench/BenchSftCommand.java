package dev.precis.cli.bench;

import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.common.Proc;
import dev.precis.cli.common.Version;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.lora.LoraConfig;
import dev.precis.training.Example;
import dev.precis.training.FineTuning;
import dev.precis.training.Optimizer;
import dev.precis.training.TrainableT5;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

@Command(
    name = "sft",
    header = "Times a step of LoRA fine-tuning.",
    description = {
      "Times forward, backward and AdamW's update of adapters on q and v, with dropout, from random"
          + " token ids: one step to warm up, then --repeats.",
      "Prints one JSON object: seconds is the fastest step, median_seconds the median,"
          + " tokens_per_second of the fastest (source and target), peak_mb the peak resident"
          + " memory of the process; on a GPU gpu is its name and gpu_mb what is in use of its"
          + " memory in the end, by everything on it."
    },
    footer = {
      "",
      "Example:",
      "  precis bench sft --model google/flan-t5-base --dtype bfloat16 --batch 8 --rank 32"
    })
public final class BenchSftCommand extends BaseCommand {
  private static final int FIRST_ID = 3;
  private static final int LAST_ID = 31999;

  @Option(
      names = "--model",
      required = true,
      paramLabel = "MODEL",
      description = "A model's folder, or a hub id already downloaded.")
  private String model;

  @Option(
      names = "--batch",
      paramLabel = "N",
      defaultValue = "8",
      description = "Examples of a step (default: ${DEFAULT-VALUE}).")
  private int batch;

  @Option(
      names = "--source",
      paramLabel = "N",
      defaultValue = "256",
      description = "Source tokens of each (default: ${DEFAULT-VALUE}).")
  private int source;

  @Option(
      names = "--target",
      paramLabel = "N",
      defaultValue = "64",
      description = "Target tokens of each (default: ${DEFAULT-VALUE}).")
  private int target;

  @Option(
      names = "--rank",
      paramLabel = "N",
      defaultValue = "32",
      description = "Rank of the adapters (default: ${DEFAULT-VALUE}).")
  private int rank;

  @Option(
      names = "--repeats",
      paramLabel = "N",
      defaultValue = "3",
      description = "Timed steps (default: ${DEFAULT-VALUE}).")
  private int repeats;

  @Option(names = "--recompute", description = "Compute activations again for the backward.")
  private boolean recompute;

  /** The keys of the peers' scripts, then ours. */
  private record Result(
      String mode,
      String dtype,
      String device,
      double seconds,
      double median_seconds,
      double tokens_per_second,
      long peak_mb,
      int threads,
      int batch,
      int source,
      int target,
      int rank,
      double loss,
      String engine,
      String isa,
      String gpu,
      long gpu_mb) {}

  @Override
  public Integer call() {
    requirePositive("--batch", batch);
    requirePositive("--source", source);
    requirePositive("--target", target);
    requirePositive("--repeats", repeats);
    LoraConfig lora = new LoraConfig(rank, 32, 0.05f, List.of("q", "v"), false);
    try (TrainableT5 t5 =
            TrainableT5.lora(
                resolve(model),
                lora,
                common().trainingType(),
                Float.NaN,
                common().seed(),
                common().contextOptions());
        FineTuning fineTuning = new FineTuning(t5, 0, recompute);
        Arena arena = Arena.ofShared()) {
      Optimizer optimizer =
          Optimizer.create(
              Optimizer.Settings.of(Optimizer.Kind.ADAMW, 0.01f), t5.parameters(), t5.ops(), arena);
      List<Example> examples = examples(Math.min(LAST_ID, t5.config().vocabSize() - 1));
      long targets = FineTuning.targetTokens(examples);
      fineTuning.reserve(fineTuning.plan((long) batch * source, targets));
      double[] seconds = new double[repeats];
      double loss = 0;
      for (int run = -1; run < repeats; run++) {
        long start = System.nanoTime();
        t5.parameters().clearGradients();
        loss = fineTuning.accumulate(examples, 1f / targets, common().seed() + run) / targets;
        optimizer.step(run + 2, 1e-3f, 1);
        t5.update();
        t5.context().synchronize();
        if (run >= 0) {
          seconds[run] = (System.nanoTime() - start) / 1e9;
        }
      }
      Arrays.sort(seconds);
      double median = (seconds[(repeats - 1) / 2] + seconds[repeats / 2]) / 2;
      Result result =
          new Result(
              "sft",
              t5.dtype().name().toLowerCase(Locale.ROOT),
              BenchDevice.kind(t5.context().info()),
              rounded(seconds[0], 1e4),
              rounded(median, 1e4),
              rounded(batch * (source + target) / seconds[0], 10),
              Proc.bytes("/proc/self/status", "VmHWM") >> 20,
              t5.context().info().threads(),
              batch,
              source,
              target,
              rank,
              rounded(loss, 1e6),
              "precis " + Version.number(),
              t5.context().info().isa(),
              BenchDevice.gpu(t5.context().info()),
              BenchDevice.megabytes(t5.context().info()));
      terminal().println(Json.mapper().writeValueAsString(result));
      return DONE;
    }
  }

  private List<Example> examples(int lastId) {
    Random random = new Random(common().seed());
    int first = Math.min(FIRST_ID, lastId);
    List<Example> examples = new ArrayList<>();
    for (int i = 0; i < batch; i++) {
      examples.add(
          new Example(
              random.ints(source, first, lastId + 1).toArray(),
              random.ints(target, first, lastId + 1).toArray()));
    }
    return examples;
  }

  private static void requirePositive(String option, int value) {
    if (value < 1) {
      throw new InvalidInputException(option + " must be 1 or more, not " + value);
    }
  }

  private static double rounded(double value, double digits) {
    return Math.round(value * digits) / digits;
  }
}
