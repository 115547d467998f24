package dev.precis.cli.bench;

import dev.precis.T5;
import dev.precis.cli.common.BaseCommand;
import dev.precis.generation.GenerationOptions;
import java.util.List;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import tools.jackson.databind.node.ObjectNode;

@Command(
    name = "generate",
    header = "Times generation.",
    description = {
      "Times greedy decoding from random token ids, of exactly --new tokens for each sequence.",
      "Prints one JSON object: seconds is the fastest run, median_seconds the median,"
          + " tokens_per_second the rate of the fastest run and peak_mb the peak resident memory of"
          + " the process. On a GPU, gpu is its name and gpu_mb its memory in use at the end, by"
          + " all processes."
    },
    footer = {
      "",
      "Examples:",
      "  precis bench generate --model google/flan-t5-base --dtype bfloat16 --batch 1",
      "  precis bench generate --size base --dtype int8 --repeats 5   (random weights)"
    })
public final class BenchGenerateCommand extends BaseCommand {
  @Mixin private BenchOptions bench = new BenchOptions();
  @Mixin private BenchOptions.NewTokens length = new BenchOptions.NewTokens();

  @Override
  public Integer call() {
    bench.check(this);
    int newTokens = length.newTokens(this);
    try (BenchModel.Folder model = bench.model().open(this);
        T5 t5 = T5.load(model.path(), common().loadOptions())) {
      List<int[]> sources = bench.randomSources(common().seed(), t5.config().vocabSize());
      GenerationOptions options =
          GenerationOptions.builder()
              .maxNewTokens(newTokens)
              .minNewTokens(newTokens)
              .maxSourceTokens(bench.source())
              .build();
      BenchResult result =
          BenchResult.time(
              bench.repeats(), run -> t5.generateTokens(sources, options, bench.batch(), null));
      ObjectNode json =
          result.json("generate", t5.dtype(), t5.device(), (double) bench.batch() * newTokens);
      json.put("batch", bench.batch());
      json.put("source", bench.source());
      json.put("new", newTokens);
      terminal().println(BenchResult.finished(json, t5.device()));
      return DONE;
    }
  }
}
