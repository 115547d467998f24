package dev.precis.cli.demo;

import dev.precis.T5;
import dev.precis.alignment.policy.Comparison;
import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.common.BuiltInModel;
import dev.precis.cli.common.Progress;
import dev.precis.cli.common.TemporaryFolder;
import dev.precis.cli.common.TextLayout;
import dev.precis.data.builtin.BuiltInDialogue;
import dev.precis.data.builtin.BuiltInDialogues;
import dev.precis.generation.GenerationOptions;
import dev.precis.tensor.DType;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

@Command(
    name = "demo",
    header = "Runs the whole workflow on built-in data, in minutes.",
    description = {
      "First, in seconds: a small built-in model (3 million parameters, trained by this program)"
          + " summarizes poorly, beside the summaries that people would write.",
      "Then, in minutes: LoRA adapters and all weights are fine-tuned on 4,000 built-in dialogues."
          + " The LoRA model repeats insults that it reads, so it is aligned twice: by PPO with a"
          + " small built-in classifier as the reward, and by DPO from built-in pairs of summaries."
          + " All models are compared on unseen dialogues, by ROUGE and by toxicity.",
      "Everything is on one page, precis-demo.html in the current folder. No download is needed."
    },
    footer = {
      "",
      "Examples:",
      "  precis demo",
      "  precis demo --quick",
      "  precis demo --output runs"
    })
public final class DemoCommand extends BaseCommand {
  private static final int SHOWN = 3;
  private static final int WIDTH = 78;
  private static final int COLUMN = 37;
  private static final int NAME = 11;

  @Option(names = "--quick", description = "Only the first part.")
  private boolean quick;

  @Option(
      names = "--output",
      paramLabel = "DIR",
      description = {
        "Keep the runs in this folder, and the page as report.html in it (default: the runs are"
            + " deleted, and the page is precis-demo.html in the current folder)."
      })
  private Path output;

  @Override
  public Integer call() {
    long start = System.nanoTime();
    BuiltInDialogues data = BuiltInDialogues.generate(common().seed(), 5000);
    try (TemporaryFolder temporary =
            output == null && !quick ? TemporaryFolder.create("precis-demo-") : null;
        BuiltInModel builtIn = BuiltInModel.base()) {
      T5.LoadOptions load = new T5.LoadOptions().dtype(DType.FLOAT32).threads(common().threads());
      common().requireDevice();
      try (T5 base = T5.load(builtIn.folder(), load)) {
        firstSummaries(base, data, start);
        if (quick) {
          return DONE;
        }
        Path folder = output == null ? temporary.path() : output;
        Path page = output == null ? Path.of("precis-demo.html") : output.resolve("report.html");
        workflow(base, builtIn.folder(), load, data, folder, page);
        say(
            "%nThe whole workflow took %s; curves, tables and examples are in %s."
                .formatted(Progress.clock((System.nanoTime() - start) / 1e9), page));
        say("Next, a larger model:");
        say("  precis download google/flan-t5-base");
        say("  precis train --model google/flan-t5-base --data dialogues.jsonl --output run");
      }
      return DONE;
    }
  }

  /** Shows the first dialogues, and the summaries of the model before it is fine-tuned. */
  private void firstSummaries(T5 base, BuiltInDialogues data, long start) {
    List<BuiltInDialogue> shown = data.test().subList(0, SHOWN);
    GenerationOptions options =
        GenerationOptions.builder().maxNewTokens(DemoCandidate.MAX_NEW_TOKENS).build();
    var summaries = base.generate(shown.stream().map(DemoCandidate::prompt).toList(), options);
    StringBuilder page = new StringBuilder();
    for (int i = 0; i < SHOWN; i++) {
      page.append(TextLayout.title("Dialogue " + (i + 1), WIDTH)).append('\n');
      for (String line : shown.get(i).dialogue().split("\n")) {
        TextLayout.wrap(line, WIDTH).forEach(part -> page.append(part).append('\n'));
      }
      page.append('\n');
      List<String> left = new ArrayList<>(List.of("THE MODEL"));
      left.addAll(TextLayout.wrap(summaries.get(i).getFirst().text(), COLUMN));
      List<String> right = new ArrayList<>(List.of("A PERSON"));
      right.addAll(TextLayout.wrap(shown.get(i).summaries().getFirst(), COLUMN));
      page.append(TextLayout.sideBySide(left, right, COLUMN)).append('\n');
    }
    page.append(
        "%d summaries in %.1f s including loading, on %d %s (%s).%n"
            .formatted(
                SHOWN,
                (System.nanoTime() - start) / 1e9,
                base.device().threads(),
                base.device().threads() == 1 ? "core" : "cores",
                base.device().isa()));
    terminal().print(page.toString());
  }

  /** Fine-tunes, aligns and compares. */
  private void workflow(
      T5 base, Path model, T5.LoadOptions load, BuiltInDialogues data, Path folder, Path page) {
    say(
        "%nFine-tuning on %,d dialogues, twice: LoRA adapters, then all weights."
            .formatted(data.train().size()));
    DemoTraining training = new DemoTraining(this, model, data, folder);
    Path adapter = training.lora().resolve("adapter");
    Path full = training.full().resolve("model");
    List<DemoCandidate> candidates = new ArrayList<>();
    try (DemoAlignment alignment = new DemoAlignment(this, model, adapter, data)) {
      candidates.add(DemoCandidate.evaluate(this, "base", base, data, alignment));
      try (T5 trained = T5.load(full, load)) {
        candidates.add(DemoCandidate.evaluate(this, "full", trained, data, alignment));
      }
      base.useAdapters(List.of(adapter));
      candidates.add(DemoCandidate.evaluate(this, "LoRA", base, data, alignment));
      say("");
      say(
          "The LoRA model repeats insults. Two ways to reduce that: PPO, with a classifier as the"
              + " reward, and DPO, from pairs.");
      DemoAlignment.Outcome ppo = alignment.ppo(folder.resolve("ppo"));
      sayOutcome(ppo);
      DemoAlignment.Outcome dpo = alignment.dpo(folder.resolve("dpo"));
      sayOutcome(dpo);
      for (DemoAlignment.Outcome each : List.of(ppo, dpo)) {
        base.useAdapters(List.of(each.run().resolve("adapter")));
        candidates.add(DemoCandidate.evaluate(this, "LoRA+" + each.name(), base, data, alignment));
      }
      DemoReport report = new DemoReport(data, candidates, List.of(ppo, dpo), common().seed());
      compare(data, candidates, report);
      report.write(page, folder);
    }
  }

  /** Says what an alignment changed in sampled summaries. */
  private void sayOutcome(DemoAlignment.Outcome outcome) {
    Comparison.Paired toxic = outcome.comparison().measures().get("probability of hate");
    Comparison.Paired rouge = outcome.comparison().measures().get("rouge1");
    say(
        String.format(
            Locale.ROOT,
            "%s: %.1f %% of sampled summaries are toxic, before %.1f %% (%+.0f %%); rouge1"
                + " %.4f, before %.4f (%+.4f to %+.4f)",
            outcome.name(),
            100 * toxic.alignedMean(),
            100 * toxic.baselineMean(),
            100 * toxic.relative(),
            rouge.alignedMean(),
            rouge.baselineMean(),
            rouge.difference().low(),
            rouge.difference().high()));
    outcome.comparison().guard().ifPresent(this::say);
  }

  private void compare(BuiltInDialogues data, List<DemoCandidate> candidates, DemoReport report) {
    say("");
    say(
        "Greedy decoding of %d unseen dialogues, against the best of three references:"
            .formatted(data.test().size()));
    say("");
    report.table().forEach(this::say);
    for (int i = 0; i < SHOWN; i++) {
      say("");
      say("Dialogue " + (i + 1));
      sayNamed("a person", data.test().get(i).summaries().getFirst());
      for (DemoCandidate candidate : candidates) {
        sayNamed(candidate.name(), candidate.summaries().get(i));
      }
    }
  }

  private void sayNamed(String name, String text) {
    TextLayout.hanging(name, NAME, text, WIDTH - NAME).forEach(this::say);
  }

  private void say(String line) {
    terminal().println(line);
  }
}
