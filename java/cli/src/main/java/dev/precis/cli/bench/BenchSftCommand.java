package dev.precis.cli.bench;

import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.options.LoraOptions;
import dev.precis.cli.options.RecomputeOption;
import dev.precis.device.DeviceInfo;
import dev.precis.training.Example;
import dev.precis.training.FineTuning;
import dev.precis.training.Optimizer;
import dev.precis.training.TrainableT5;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import tools.jackson.databind.node.ObjectNode;

@Command(
    name = "sft",
    header = "Times a step of LoRA fine-tuning.",
    description = {
      "Times forward pass, backward pass and AdamW update of LoRA adapters, from random token ids.",
      "Prints one JSON object: seconds is the fastest step, median_seconds the median,"
          + " tokens_per_second the rate of the fastest step (source and target) and peak_mb the"
          + " peak resident memory of the process. On a GPU, gpu is its name and gpu_mb its memory"
          + " in use at the end, by all processes."
    },
    footer = {
      "",
      "Example:",
      "  precis bench sft --model google/flan-t5-base --dtype bfloat16 --rank 32"
    })
public final class BenchSftCommand extends BaseCommand {
  @Mixin private BenchOptions bench = new BenchOptions();

  @Option(
      names = "--target",
      paramLabel = "N",
      defaultValue = "64",
      description = "Target tokens of each sequence (default: ${DEFAULT-VALUE}).")
  private int target;

  @Mixin private LoraOptions lora = new LoraOptions();
  @Mixin private RecomputeOption memory = new RecomputeOption();

  @Override
  public Integer call() {
    bench.check(this);
    requireAtLeast(1, "--target", target);
    try (TrainableT5 t5 =
            TrainableT5.lora(
                bench.model().folder(this),
                lora.config(),
                common().trainingType(),
                Float.NaN,
                common().seed(),
                common().deviceOptions());
        FineTuning fineTuning = new FineTuning(t5, 0, memory.recompute());
        Arena arena = Arena.ofShared()) {
      Optimizer optimizer =
          Optimizer.create(
              Optimizer.Settings.of(Optimizer.Kind.ADAMW, 0.01f), t5.parameters(), t5.ops(), arena);
      List<Example> examples = examples(t5.config().vocabSize());
      long targets = FineTuning.targetTokens(examples);
      fineTuning.reserve(fineTuning.plan((long) bench.batch() * bench.source(), targets));
      double[] loss = new double[1];
      BenchResult result =
          BenchResult.time(
              bench.repeats(),
              run -> {
                t5.parameters().clearGradients();
                loss[0] =
                    fineTuning.accumulate(examples, 1f / targets, common().seed() + run) / targets;
                optimizer.step(run + 2, 1e-3f, 1);
                t5.update();
                t5.device().synchronize();
              });
      DeviceInfo info = t5.device().info();
      ObjectNode json =
          result.json("sft", t5.dtype(), info, bench.batch() * (bench.source() + target));
      json.put("batch", bench.batch());
      json.put("source", bench.source());
      json.put("target", target);
      json.put("rank", lora.rank());
      json.put("loss", BenchResult.rounded(loss[0], 1e6));
      terminal().println(BenchResult.finished(json, info));
      return DONE;
    }
  }

  private List<Example> examples(int vocabulary) {
    Random random = new Random(common().seed());
    List<Example> examples = new ArrayList<>();
    for (int i = 0; i < bench.batch(); i++) {
      examples.add(
          new Example(
              BenchOptions.randomTokens(random, bench.source(), vocabulary),
              BenchOptions.randomTokens(random, target, vocabulary)));
    }
    return examples;
  }
}
