package dev.precis.cli.bench;

import dev.precis.T5;
import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.common.Proc;
import dev.precis.cli.common.Version;
import dev.precis.generation.GenerationOptions;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

@Command(
    name = "generate",
    header = "Times generation.",
    description = {
      "Times greedy generation from random token ids, of exactly --new tokens each: one run to warm"
          + " up, then --repeats.",
      "Prints one JSON object: seconds is the fastest run, median_seconds the median,"
          + " tokens_per_second of the fastest, peak_mb the peak resident memory of the process; on"
          + " a GPU gpu is its name and gpu_mb what is in use of its memory in the end, by"
          + " everything on it."
    },
    footer = {
      "",
      "Examples:",
      "  precis bench generate --model google/flan-t5-base --dtype bfloat16 --batch 1",
      "  precis bench generate --model google/flan-t5-base --dtype int8 --batch 8 --repeats 5"
    })
public final class BenchGenerateCommand extends BaseCommand {
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
      description = "Sequences side by side (default: ${DEFAULT-VALUE}).")
  private int batch;

  @Option(
      names = "--source",
      paramLabel = "N",
      defaultValue = "256",
      description = "Source tokens of each (default: ${DEFAULT-VALUE}).")
  private int source;

  @Option(
      names = "--new",
      paramLabel = "N",
      defaultValue = "64",
      description = "Tokens to generate for each (default: ${DEFAULT-VALUE}).")
  private int newTokens;

  @Option(
      names = "--repeats",
      paramLabel = "N",
      defaultValue = "3",
      description = "Timed runs (default: ${DEFAULT-VALUE}).")
  private int repeats;

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
      @com.fasterxml.jackson.annotation.JsonProperty("new") int newTokens,
      String engine,
      String isa,
      String gpu,
      long gpu_mb) {}

  @Override
  public Integer call() {
    requirePositive("--batch", batch);
    requirePositive("--source", source);
    requirePositive("--new", newTokens);
    requirePositive("--repeats", repeats);
    try (T5 t5 = T5.load(resolve(model), common().loadOptions())) {
      List<int[]> sources = randomSources(Math.min(LAST_ID, t5.config().vocabSize() - 1));
      GenerationOptions options =
          GenerationOptions.builder().maxNewTokens(newTokens).minNewTokens(newTokens).build();
      double[] seconds = new double[repeats];
      for (int run = -1; run < repeats; run++) {
        long start = System.nanoTime();
        t5.generateTokens(sources, options, batch, null);
        if (run >= 0) {
          seconds[run] = (System.nanoTime() - start) / 1e9;
        }
      }
      Arrays.sort(seconds);
      double median = (seconds[(repeats - 1) / 2] + seconds[repeats / 2]) / 2;
      Result result =
          new Result(
              "generate",
              t5.dtype().name().toLowerCase(Locale.ROOT),
              BenchDevice.kind(t5.device()),
              rounded(seconds[0], 1e4),
              rounded(median, 1e4),
              rounded((double) batch * newTokens / seconds[0], 10),
              Proc.bytes("/proc/self/status", "VmHWM") >> 20,
              t5.device().threads(),
              batch,
              source,
              newTokens,
              "precis " + Version.number(),
              t5.device().isa(),
              BenchDevice.gpu(t5.device()),
              BenchDevice.megabytes(t5.device()));
      terminal().println(Json.mapper().writeValueAsString(result));
      return DONE;
    }
  }

  private List<int[]> randomSources(int lastId) {
    Random random = new Random(common().seed());
    List<int[]> sources = new ArrayList<>();
    for (int i = 0; i < batch; i++) {
      sources.add(random.ints(source, Math.min(FIRST_ID, lastId), lastId + 1).toArray());
    }
    return sources;
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
