package dev.precis.cli.demo;

import dev.precis.T5;
import dev.precis.alignment.policy.Comparison;
import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.common.BuiltInModel;
import dev.precis.cli.common.OutputFolder;
import dev.precis.cli.common.Progress;
import dev.precis.cli.common.TextLayout;
import dev.precis.cli.data.DialogueFiles;
import dev.precis.cli.report.Result;
import dev.precis.data.builtin.BuiltInDialogue;
import dev.precis.data.builtin.BuiltInDialogues;
import dev.precis.io.Json;
import dev.precis.tensor.DType;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import tools.jackson.databind.node.ObjectNode;

@Command(
    name = "demo",
    header = "Runs the whole workflow on built-in data, in minutes.",
    description = {
      "First, in seconds: a small built-in model (3 million parameters, trained by this program)"
          + " summarizes and gets many facts wrong, beside the summaries that people would write.",
      "Then, in minutes: LoRA adapters and all weights are fine-tuned on 4,000 built-in dialogues."
          + " The LoRA model repeats insults that it reads, so it is aligned twice: by PPO with a"
          + " small built-in classifier as the reward, and by DPO from built-in pairs of summaries."
          + " All models are compared on unseen dialogues, by ROUGE and by toxicity.",
      "The folder then holds report.html (results, examples and curves on one page), the runs lora,"
          + " full, ppo and dpo, the model that they start from in base, and the dialogues in data."
          + " It appears when all of it is complete. No download is needed."
    },
    footer = {
      "",
      "Examples:",
      "  precis demo",
      "  precis demo --quick",
      "  precis demo --output runs"
    })
public final class DemoCommand extends BaseCommand {
  private static final String FOLDER = "precis-demo";
  private static final int SUMMARIZED = 24;
  private static final int SHOWN = 3;
  private static final int WIDTH = 78;
  private static final int COLUMN = 37;
  private static final int NAME = 11;

  @Option(names = "--quick", description = "Only the first part, which writes nothing.")
  private boolean quick;

  @Option(
      names = "--output",
      paramLabel = "DIR",
      description = {
        "The folder to write, which must be new or empty (default: precis-demo in the current"
            + " folder, or precis-demo-2 and so on where there is one)."
      })
  private Path output;

  @Override
  public Integer call() {
    long start = System.nanoTime();
    if (output != null) {
      OutputFolder.requireNewOrEmpty(output);
    }
    BuiltInDialogues data = BuiltInDialogues.generate(common().seed(), 5000);
    try (BuiltInModel builtIn = BuiltInModel.base()) {
      T5.LoadOptions load = new T5.LoadOptions().dtype(DType.FLOAT32).threads(common().threads());
      common().requireDevice();
      try (T5 base = T5.load(builtIn.folder(), load)) {
        firstSummaries(base, data, start);
        if (quick) {
          return DONE;
        }
        Path target = output == null ? free() : output;
        try (OutputFolder folder = OutputFolder.create(target)) {
          workflow(base, builtIn.folder(), load, data, folder.path());
          folder.commit();
        }
        sayNext(target, start);
      }
      return DONE;
    }
  }

  /** Returns the first of the default folders that does not exist. */
  private static Path free() {
    Path folder = Path.of(FOLDER);
    for (int i = 2; Files.exists(folder); i++) {
      folder = Path.of(FOLDER + "-" + i);
    }
    return folder;
  }

  private void sayNext(Path folder, long start) {
    String base = folder.resolve(DemoRuns.BASE).toString();
    say(
        "%nThe whole workflow took %s. Results, examples and curves are on one page:"
            .formatted(Progress.clock((System.nanoTime() - start) / 1e9)));
    say("  " + folder.resolve(DemoRuns.REPORT));
    say("Next, with what is in that folder:");
    say("  precis generate --model " + base + " \\");
    say("      --adapter " + folder.resolve(DemoRuns.DPO).resolve("adapter") + " \\");
    say("      --input " + folder.resolve(DemoRuns.DATA).resolve("test.jsonl") + " \\");
    say(
        "      --num-beams %d --no-repeat-ngram-size %d --max-new-tokens %d"
            .formatted(
                DemoCandidate.DECODING.numBeams(),
                DemoCandidate.DECODING.noRepeatNgramSize(),
                DemoCandidate.MAX_NEW_TOKENS));
    say(
        "  precis compare %s %s"
            .formatted(folder.resolve(DemoRuns.LORA), folder.resolve(DemoRuns.FULL)));
    say("Or with a larger model, which is downloaded first:");
    say("  precis download google/flan-t5-small");
    say("  precis train --model google/flan-t5-small --output run \\");
    say("      --data " + folder.resolve(DemoRuns.DATA).resolve("train.jsonl"));
  }

  /** Shows typical summaries of the model before it is fine-tuned, beside those of a person. */
  private void firstSummaries(T5 base, BuiltInDialogues data, long start) {
    List<BuiltInDialogue> dialogues = data.test().subList(0, SUMMARIZED);
    List<String> prompts = dialogues.stream().map(DemoCandidate::prompt).toList();
    List<String> summaries =
        base.generate(prompts, DemoCandidate.DECODING).stream()
            .map(each -> each.getFirst().text())
            .toList();
    StringBuilder page = new StringBuilder();
    int shown = 0;
    for (int index : TypicalExamples.of(dialogues, summaries, SHOWN)) {
      page.append(TextLayout.title("Dialogue " + ++shown, WIDTH)).append('\n');
      for (String line : dialogues.get(index).dialogue().split("\n")) {
        TextLayout.wrap(line, WIDTH).forEach(part -> page.append(part).append('\n'));
      }
      page.append('\n');
      List<String> left = new ArrayList<>(List.of("THE MODEL"));
      left.addAll(TextLayout.wrap(summaries.get(index), COLUMN));
      List<String> right = new ArrayList<>(List.of("A PERSON"));
      right.addAll(TextLayout.wrap(dialogues.get(index).summaries().getFirst(), COLUMN));
      page.append(TextLayout.sideBySide(left, right, COLUMN)).append('\n');
    }
    page.append(
        "%d summaries in %.1f s including loading, on %d %s (%s).%n"
            .formatted(
                SUMMARIZED,
                (System.nanoTime() - start) / 1e9,
                base.device().threads(),
                base.device().threads() == 1 ? "core" : "cores",
                base.device().isa()));
    page.append("Above are those of median ROUGE-1; in the last dialogue somebody is insulted.\n");
    terminal().print(page.toString());
  }

  /** Fine-tunes, aligns and compares. */
  private void workflow(
      T5 base, Path model, T5.LoadOptions load, BuiltInDialogues data, Path folder) {
    copy(model, folder.resolve(DemoRuns.BASE));
    DialogueFiles.write(data, create(folder.resolve(DemoRuns.DATA)));
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
      TextLayout.wrap(
              "The LoRA model repeats insults. Two ways to reduce that: PPO, with a classifier as"
                  + " the reward, and DPO, from pairs.",
              WIDTH)
          .forEach(this::say);
      DemoAlignment.Outcome ppo = alignment.ppo(folder.resolve(DemoRuns.PPO));
      sayOutcome(ppo);
      DemoAlignment.Outcome dpo = alignment.dpo(folder.resolve(DemoRuns.DPO));
      sayOutcome(dpo);
      for (DemoAlignment.Outcome each : List.of(ppo, dpo)) {
        base.useAdapters(List.of(each.run().resolve("adapter")));
        candidates.add(DemoCandidate.evaluate(this, "LoRA+" + each.name(), base, data, alignment));
      }
      DemoReport report = new DemoReport(data, candidates, List.of(ppo, dpo), common().seed());
      compare(data, candidates, report);
      ObjectNode options = Json.mapper().createObjectNode();
      options.put("seed", common().seed());
      options.put("threads", base.device().threads());
      options.put("isa", base.device().isa());
      report.write(folder, options);
    }
  }

  private static Path create(Path folder) {
    try {
      return Files.createDirectory(folder);
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot write " + folder + ": " + e.getMessage(), e);
    }
  }

  private static void copy(Path from, Path to) {
    create(to);
    try (Stream<Path> files = Files.list(from)) {
      for (Path file : files.toList()) {
        Files.copy(file, to.resolve(file.getFileName()));
      }
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot write " + to + ": " + e.getMessage(), e);
    }
  }

  /** Says what an alignment changed in sampled summaries. */
  private void sayOutcome(DemoAlignment.Outcome outcome) {
    Comparison.Paired toxic = outcome.comparison().measures().get(DemoAlignment.TOXICITY);
    Comparison.Paired rouge = outcome.comparison().measures().get("rouge1");
    say(
        format(
            "%s: sampled summaries are %.1f %% toxic, before %.1f %% (%+.0f %%);",
            outcome.name(),
            100 * toxic.alignedMean(),
            100 * toxic.baselineMean(),
            100 * toxic.relative()));
    say(
        format(
            "     ROUGE-1 %.4f, before %.4f (%+.4f to %+.4f)",
            rouge.alignedMean(),
            rouge.baselineMean(),
            rouge.difference().low(),
            rouge.difference().high()));
    outcome
        .comparison()
        .guard()
        .ifPresent(sentence -> TextLayout.wrap(sentence, WIDTH).forEach(this::say));
  }

  private static String format(String format, Object... values) {
    return String.format(Locale.ROOT, format, values);
  }

  private void compare(BuiltInDialogues data, List<DemoCandidate> candidates, DemoReport report) {
    List<Integer> examples = report.typical(SHOWN);
    say("");
    say("Typical examples, near the median of LoRA; the last one has an insult in it:");
    for (int index : examples) {
      say("");
      say(TextLayout.title(data.test().get(index).topic(), WIDTH));
      sayNamed("a person", data.test().get(index).summaries().getFirst());
      for (DemoCandidate candidate : candidates) {
        sayNamed(candidate.name(), candidate.summaries().get(index));
      }
    }
    say("");
    say(
        "%d unseen dialogues, by %d beams, against the best of three references:"
            .formatted(data.test().size(), DemoCandidate.DECODING.numBeams()));
    say("");
    report.table().text().forEach(this::say);
    say("");
    for (Result result : report.results()) {
      TextLayout.hanging("-", 2, result.sentence() + ".", WIDTH - 2).forEach(this::say);
    }
  }

  private void sayNamed(String name, String text) {
    TextLayout.hanging(name, NAME, text, WIDTH - NAME).forEach(this::say);
  }

  private void say(String line) {
    terminal().println(line);
  }
}
