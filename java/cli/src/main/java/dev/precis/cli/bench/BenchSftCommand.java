package dev.precis.cli.bench;

import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.options.LoraOptions;
import dev.precis.cli.options.RecomputeOption;
import dev.precis.cli.options.TokenBatchOption;
import dev.precis.device.DeviceInfo;
import dev.precis.training.Batches;
import dev.precis.training.Example;
import dev.precis.training.FineTuning;
import dev.precis.training.Optimizer;
import dev.precis.training.TrainableT5;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
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
      "Times forward pass, backward pass and AdamW update of LoRA adapters, from random token ids,"
          + " of one batch, or of an epoch over examples of real lengths.",
      "Prints one JSON object: seconds is the fastest repeat, median_seconds the median,"
          + " tokens_per_second the rate of the fastest (source and target) and peak_mb the"
          + " peak resident memory of the process. On a GPU, gpu is its name and gpu_mb its memory"
          + " in use at the end, by all processes."
    },
    footer = {
      "",
      "Examples:",
      "  precis bench sft --model google/flan-t5-base --dtype bfloat16 --rank 32",
      "  precis bench sft --model google/flan-t5-base --dtype bfloat16 \\",
      "      --lengths lengths.json --max-tokens-per-batch 2048"
    })
public final class BenchSftCommand extends BaseCommand {
  @Mixin private BenchOptions bench = new BenchOptions();

  @Option(
      names = "--target",
      paramLabel = "N",
      defaultValue = "64",
      description = "Target tokens of each sequence (default: ${DEFAULT-VALUE}).")
  private int target;

  @Option(
      names = "--lengths",
      paramLabel = "FILE",
      description = {
        "Times an epoch over examples of these lengths, in place of one step of --source and"
            + " --target: a JSON list of [source, target] pairs of tokens. Examples of like lengths"
            + " share a step, as in precis train; sources above 512 tokens are left out."
      })
  private Path lengths;

  @Option(
      names = "--examples",
      paramLabel = "N",
      defaultValue = "160",
      description = "Examples of --lengths, from its beginning (default: ${DEFAULT-VALUE}).")
  private int count;

  @Mixin private TokenBatchOption tokenBatch = new TokenBatchOption();
  @Mixin private LoraOptions lora = new LoraOptions();
  @Mixin private RecomputeOption memory = new RecomputeOption();

  @Override
  public Integer call() {
    bench.check(this);
    requireAtLeast(1, "--target", target);
    requireAtLeast(1, "--examples", count);
    tokenBatch.check(this, "--batch");
    if (tokenBatch.tokens() > 0 && lengths == null) {
      throw usage("--max-tokens-per-batch needs --lengths");
    }
    List<ExampleLengths> shapes =
        lengths == null
            ? Collections.nCopies(bench.batch(), new ExampleLengths(bench.source(), target))
            : ExampleLengths.read(lengths, count);
    try (BenchModel.Folder model = bench.model().open(this);
        TrainableT5 t5 =
            TrainableT5.lora(
                model.path(),
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
      List<Example> examples = examples(shapes, t5.config().vocabSize());
      Batches<Example> batches =
          new Batches<>(
              examples,
              each -> each.source().length + each.target().length,
              tokenBatch.tokens() > 0
                  ? Batches.Size.ofTokens(tokenBatch.tokens())
                  : Batches.Size.ofExamples(bench.batch()),
              lengths != null,
              common().seed());
      fineTuning.reserve(
          fineTuning.plan(
              batches.largest(each -> each.source().length, 1),
              batches.largest(each -> each.target().length, 1)));
      double[] loss = new double[1];
      int steps = Math.toIntExact(batches.steps(1));
      BenchResult result =
          BenchResult.time(
              bench.repeats(),
              run -> {
                for (int step = 0; step < steps; step++) {
                  List<Example> batch = Batches.join(batches.batches(step));
                  long targets = FineTuning.targetTokens(batch);
                  long number = (long) (run + 1) * steps + step;
                  t5.parameters().clearGradients();
                  loss[0] =
                      fineTuning.accumulate(batch, 1f / targets, common().seed() + number - 1)
                          / targets;
                  optimizer.step(number + 1, 1e-3f, 1);
                  t5.update();
                }
                t5.device().synchronize();
              });
      DeviceInfo info = t5.device().info();
      long tokens = shapes.stream().mapToLong(each -> each.source() + each.target()).sum();
      ObjectNode json =
          result.json(lengths == null ? "sft" : "sft-lengths", t5.weightType(), info, tokens);
      if (tokenBatch.tokens() > 0) {
        json.put("max_tokens_per_batch", tokenBatch.tokens());
        json.put("steps", steps);
      } else {
        json.put("batch", bench.batch());
      }
      if (lengths == null) {
        json.put("source", bench.source());
        json.put("target", target);
      } else {
        json.put("examples", examples.size());
      }
      json.put("rank", lora.rank());
      json.put("loss", BenchResult.rounded(loss[0], 1e6));
      terminal().println(BenchResult.finished(json, info));
      return DONE;
    }
  }

  private List<Example> examples(List<ExampleLengths> shapes, int vocabulary) {
    Random random = new Random(common().seed());
    List<Example> examples = new ArrayList<>();
    for (ExampleLengths shape : shapes) {
      examples.add(
          new Example(
              BenchOptions.randomTokens(random, shape.source(), vocabulary),
              BenchOptions.randomTokens(random, shape.target(), vocabulary)));
    }
    return examples;
  }
}
