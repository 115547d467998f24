package dev.precis.cli.model;

import dev.precis.T5;
import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.common.OutputFolder;
import dev.precis.cli.options.AdapterOption;
import dev.precis.cli.options.ConfigOption;
import dev.precis.lora.LoraMerge;
import dev.precis.ops.Ops;
import dev.precis.random.SplitMix64;
import dev.precis.t5.T5Model;
import dev.precis.t5.T5Model.Encoded;
import dev.precis.tensor.DType;
import dev.precis.tensor.Ragged;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

@Command(
    name = "merge",
    header = "Merges adapters into the base model.",
    description = {
      "Adds the product of each LoRA adapter's two low-rank matrices to the weights, in float32,"
          + " and scales them by the vectors of IA3 adapters. The result is a Hugging Face folder"
          + " that needs no adapter.",
      "Prints the largest difference between the logits of the model with adapters and those of the"
          + " merged model, on random tokens."
    },
    footer = {
      "",
      "Example:",
      "  precis merge --model google/flan-t5-base --adapter run/adapter \\",
      "      --output merged"
    })
public final class MergeCommand extends BaseCommand {
  private static final int PROBE_SOURCE = 48;
  private static final int PROBE_TARGET = 16;

  @Mixin private AdapterOption model = new AdapterOption();

  @Option(
      names = "--output",
      required = true,
      paramLabel = "DIR",
      description = "The folder of the merged model, which must be new or empty.")
  private Path output;

  @Mixin private ConfigOption config = new ConfigOption();

  @Override
  public Integer call() {
    if (!given("--adapter")) {
      throw usage("--adapter is missing: name one or more adapters to merge");
    }
    Path base = model.folder(this);
    List<Path> folders = model.adapters(this);
    int changed;
    float[] with;
    float[] merged;
    try (OutputFolder folder = OutputFolder.create(output)) {
      try (Ops ops = common().ops()) {
        changed = LoraMerge.merge(base, folders, folder.path(), ops);
      }
      with = probe(base, folders);
      merged = probe(folder.path(), List.of());
      folder.commit();
    }
    double largest = 0;
    double size = 0;
    for (int i = 0; i < with.length; i++) {
      largest = Math.max(largest, Math.abs((double) with[i] - merged[i]));
      size = Math.max(size, Math.abs(with[i]));
    }
    terminal()
        .println(
            String.format(
                Locale.ROOT,
                "%d weights merged into %s; largest logit difference %.2g of logits up to %.3g",
                changed,
                output,
                largest,
                size));
    return DONE;
  }

  /** Returns the logits of random tokens, in float32. */
  private float[] probe(Path folder, List<Path> adapters) {
    T5.LoadOptions options =
        new T5.LoadOptions().dtype(DType.FLOAT32).threads(common().threads()).adapters(adapters);
    try (T5 t5 = T5.load(folder, options)) {
      T5Model itself = t5.model();
      int vocab = t5.config().vocabSize();
      SplitMix64 random = new SplitMix64(common().seed());
      int[] source = new int[PROBE_SOURCE];
      int[] target = new int[PROBE_TARGET];
      for (int i = 0; i < PROBE_SOURCE; i++) {
        source[i] = random.below(vocab);
      }
      for (int i = 1; i < PROBE_TARGET; i++) {
        target[i] = random.below(vocab);
      }
      target[0] = t5.config().decoderStartTokenId();
      try (Workspace workspace = itself.ops().newWorkspace()) {
        Encoded encoded = itself.encode(Ragged.of(List.of(source), vocab, workspace), workspace);
        Tensor hidden =
            itself.decode(encoded, Ragged.of(List.of(target), vocab, workspace), workspace);
        Tensor logits = workspace.tensor(DType.FLOAT32, PROBE_TARGET, vocab);
        itself.logits(hidden, logits);
        return logits.toHost().toArray(ValueLayout.JAVA_FLOAT);
      }
    }
  }
}
