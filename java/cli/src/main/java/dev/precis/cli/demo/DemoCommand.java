package dev.precis.cli.demo;

import dev.precis.T5;
import dev.precis.alignment.policy.Comparison;
import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.common.BuiltIn;
import dev.precis.cli.common.Progress;
import dev.precis.cli.common.TextLayout;
import dev.precis.cli.report.ComparisonTable;
import dev.precis.cli.report.RunReport;
import dev.precis.data.builtin.BuiltInDialogue;
import dev.precis.data.builtin.BuiltInDialogues;
import dev.precis.evaluation.PairedBootstrap;
import dev.precis.evaluation.Rouge;
import dev.precis.generation.GeneratedTokens;
import dev.precis.generation.GenerationOptions;
import dev.precis.io.Json;
import dev.precis.lora.LoraConfig;
import dev.precis.tensor.DType;
import dev.precis.text.PromptTemplate;
import dev.precis.text.Tokenizer;
import dev.precis.training.Example;
import dev.precis.training.Optimizer;
import dev.precis.training.RunFolder;
import dev.precis.training.StepLog;
import dev.precis.training.TrainableT5;
import dev.precis.training.Trainer;
import dev.precis.training.TrainingOptions;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import tools.jackson.databind.node.ObjectNode;

@Command(
    name = "demo",
    header = "From a poor model to better ones, on built-in data, in minutes.",
    description = {
      "First, in seconds: a small built-in model (3 million parameters, made by this program) that"
          + " summarises poorly, beside the summaries that people would write.",
      "Then, in minutes: LoRA adapters and all weights are trained on 4,000 built-in dialogues."
          + " What LoRA made repeats the insults that it read, so it is aligned twice: by PPO with"
          + " a small built-in classifier as reward, and by DPO from built-in pairs of summaries."
          + " All are compared on dialogues that none has seen, by ROUGE and by how rude they are.",
      "Everything is in one page, precis-demo.html in the present folder. Needs no download."
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
  private static final int EXAMPLES = 30;
  private static final int WIDTH = 78;
  private static final int COLUMN = 37;
  private static final int EPOCH_BATCH = 16;

  @Option(names = "--quick", description = "Only the first part.")
  private boolean quick;

  @Option(
      names = "--output",
      paramLabel = "DIR",
      description = {
        "Keep the runs in this folder, and the page as report.html in it (default: the runs are"
            + " thrown away, the page is precis-demo.html in the present folder)."
      })
  private Path output;

  /** What a model made of the test dialogues. */
  private record Candidate(
      String name, List<String> summaries, double[] rouge1, double[] rougeL, double[] toxicity) {}

  @Override
  public Integer call() {
    long start = System.nanoTime();
    BuiltInDialogues data = BuiltInDialogues.generate(common().seed(), 5000);
    Path folder = null;
    try (BuiltIn builtIn = BuiltIn.base()) {
      T5.LoadOptions load = new T5.LoadOptions().dtype(DType.FLOAT32).threads(common().threads());
      common().requireDevice();
      try (T5 base = T5.load(builtIn.model(), load)) {
        first(base, data, start);
        if (quick) {
          return DONE;
        }
        folder = output == null ? Files.createTempDirectory("precis-demo-") : output;
        Path page = output == null ? Path.of("precis-demo.html") : output.resolve("report.html");
        life(base, builtIn.model(), load, data, folder, page);
        say(
            "%nAll of it in %s; curves, tables and examples are in %s."
                .formatted(Progress.clock((System.nanoTime() - start) / 1e9), page));
        say("Next, a model that knows more:");
        say("  precis download google/flan-t5-base");
        say("  precis train --model google/flan-t5-base --data dialogues.jsonl --output run");
      }
      return DONE;
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot make a temporary folder: " + e.getMessage(), e);
    } finally {
      if (output == null && folder != null) {
        delete(folder);
      }
    }
  }

  /** Fine-tuning, alignment, and the tables that compare them. */
  private void life(
      T5 base, Path model, T5.LoadOptions load, BuiltInDialogues data, Path folder, Path page) {
    say(
        "%nNow learning from %,d dialogues, twice: LoRA adapters, then all weights."
            .formatted(data.train().size()));
    Path adapter = train("lora", model, data, folder).resolve("adapter");
    Path full = train("full", model, data, folder).resolve("model");
    List<Candidate> candidates = new ArrayList<>();
    try (DemoAlignment alignment = new DemoAlignment(this, model, adapter, data, common().seed())) {
      candidates.add(candidate("base", base, data, alignment));
      try (T5 trained = T5.load(full, load)) {
        candidates.add(candidate("full", trained, data, alignment));
      }
      base.useAdapters(List.of(adapter));
      candidates.add(candidate("LoRA", base, data, alignment));
      say(
          "%nLoRA's summaries repeat insults. Now two ways to make that rarer: PPO, with a classifier as reward, and DPO, from pairs."
              .formatted());
      DemoAlignment.Outcome ppo = alignment.ppo(folder.resolve("ppo"));
      said(ppo);
      DemoAlignment.Outcome dpo = alignment.dpo(folder.resolve("dpo"));
      said(dpo);
      for (DemoAlignment.Outcome each : List.of(ppo, dpo)) {
        base.useAdapters(List.of(each.run().resolve("adapter")));
        candidates.add(candidate("LoRA+" + each.name(), base, data, alignment));
      }
      compare(data, candidates);
      write(page, folder, data, candidates, List.of(ppo, dpo));
    }
  }

  /** What an alignment changed in what is drawn. */
  private void said(DemoAlignment.Outcome outcome) {
    Comparison.Paired rude = outcome.comparison().measures().get("probability of hate");
    Comparison.Paired rouge = outcome.comparison().measures().get("rouge1");
    say(
        String.format(
            Locale.ROOT,
            "%s: drawn summaries are rude in %.1f %% of cases, before %.1f %% (%+.0f %%); rouge1"
                + " %.4f, before %.4f (%+.4f to %+.4f)",
            outcome.name(),
            100 * rude.meanAfter(),
            100 * rude.meanBefore(),
            100 * rude.relative(),
            rouge.meanAfter(),
            rouge.meanBefore(),
            rouge.difference().low(),
            rouge.difference().high()));
    outcome.comparison().guard().ifPresent(this::say);
  }

  private void write(
      Path page,
      Path folder,
      BuiltInDialogues data,
      List<Candidate> candidates,
      List<DemoAlignment.Outcome> outcomes) {
    ObjectNode curves = Json.mapper().createObjectNode();
    for (String method : List.of("lora", "full", "ppo", "dpo")) {
      RunReport.curves(
          StepLog.read(folder.resolve(method).resolve("metrics.jsonl")),
          switch (method) {
            case "ppo" -> RunReport.POLICY;
            case "dpo" -> RunReport.PREFERENCES;
            default -> Map.of("loss", "Loss");
          },
          method + ": ",
          curves);
    }
    StringBuilder sections = new StringBuilder("<h2>On dialogues that no model has seen</h2>\n");
    sections.append("<pre>");
    table(candidates).forEach(line -> sections.append(RunReport.escaped(line)).append('\n'));
    sections.append("</pre>\n");
    for (DemoAlignment.Outcome outcome : outcomes) {
      sections.append("<h2>").append(outcome.name()).append(", drawn summaries</h2>\n");
      sections.append(new ComparisonTable(outcome.comparison()).html());
    }
    sections.append("<h2>Examples</h2>\n<table>\n<tr><th>dialogue</th><th>a person</th>");
    candidates.forEach(c -> sections.append("<th>").append(c.name).append("</th>"));
    sections.append("</tr>\n");
    for (int i = 0; i < EXAMPLES; i++) {
      sections.append("<tr>");
      cell(sections, data.test().get(i).dialogue());
      cell(sections, data.test().get(i).summaries().getFirst());
      for (Candidate candidate : candidates) {
        cell(sections, candidate.summaries.get(i));
      }
      sections.append("</tr>\n");
    }
    sections.append("</table>\n");
    ObjectNode config = Json.mapper().createObjectNode();
    config.put("seed", common().seed());
    RunFolder.writeText(
        page.toAbsolutePath(),
        RunReport.page("The life of a small T5", curves, sections, config.toPrettyString()));
  }

  private static void cell(StringBuilder row, String text) {
    row.append("<td>").append(RunReport.escaped(text).replace("\n", "<br>")).append("</td>");
  }

  private void say(String line) {
    terminal().println(line);
  }

  private static String prompt(BuiltInDialogue dialogue) {
    return PromptTemplate.DEFAULT.fill(dialogue.dialogue());
  }

  /** The first few dialogues, and what the untrained model makes of them. */
  private void first(T5 base, BuiltInDialogues data, long start) {
    List<BuiltInDialogue> shown = data.test().subList(0, SHOWN);
    GenerationOptions options = GenerationOptions.builder().maxNewTokens(60).build();
    var summaries = base.generate(shown.stream().map(DemoCommand::prompt).toList(), options);
    StringBuilder page = new StringBuilder();
    for (int i = 0; i < SHOWN; i++) {
      String title = "-- Dialogue " + (i + 1) + " ";
      page.append(title).append("-".repeat(WIDTH - title.length())).append('\n');
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
        "%d summaries in %.1f s with loading, on %d %s (%s).%n"
            .formatted(
                SHOWN,
                (System.nanoTime() - start) / 1e9,
                base.device().threads(),
                base.device().threads() == 1 ? "core" : "cores",
                base.device().isa()));
    terminal().print(page.toString());
  }

  /** Summaries of all test dialogues, judged against the best of three references. */
  private Candidate candidate(String name, T5 t5, BuiltInDialogues data, DemoAlignment alignment) {
    List<int[]> sources = data.test().stream().map(d -> t5.tokenizer().encode(prompt(d))).toList();
    GenerationOptions options = GenerationOptions.builder().maxNewTokens(60).build();
    List<String> summaries = new ArrayList<>();
    try (Progress progress = new Progress(terminal(), common().quiet())) {
      progress.show("%s: summarising %d dialogues".formatted(name, sources.size()));
      for (List<GeneratedTokens> each : t5.generateTokens(sources, options, 32, null)) {
        summaries.add(t5.decode(each.getFirst()).text());
      }
    }
    Rouge rouge = Rouge.of(Rouge.Preset.STEMMER);
    double[] rouge1 = new double[summaries.size()];
    double[] rougeL = new double[summaries.size()];
    for (int i = 0; i < rouge1.length; i++) {
      Rouge.Scores scores =
          rouge.score(summaries.get(i), data.test().get(i).summaries(), Rouge.MultiReference.MAX);
      rouge1[i] = scores.rouge1().f1();
      rougeL[i] = scores.rougeL().f1();
    }
    return new Candidate(name, summaries, rouge1, rougeL, alignment.toxicity(summaries));
  }

  private Path train(String method, Path model, BuiltInDialogues data, Path folder) {
    boolean lora = method.equals("lora");
    TrainingOptions options =
        TrainingOptions.builder()
            .optimizer(Optimizer.Settings.of(Optimizer.Kind.ADAMW, 0))
            .learningRate(lora ? 5e-3f : 1.5e-3f)
            .warmupSteps(20)
            .batchSize(EPOCH_BATCH)
            .seed(common().seed())
            .build();
    List<Example> examples = new ArrayList<>();
    try (Tokenizer tokenizer = Tokenizer.load(model)) {
      for (BuiltInDialogue dialogue : data.train()) {
        examples.add(
            new Example(
                tokenizer.encode(prompt(dialogue)),
                tokenizer.encode(dialogue.summaries().getFirst())));
      }
    }
    LoraConfig config = new LoraConfig(16, 32, 0, List.of("all-linear"), false);
    try (RunFolder run = RunFolder.create(folder.resolve(method), options.toJson());
        TrainableT5 t5 =
            lora
                ? TrainableT5.lora(
                    model, config, DType.FLOAT32, 0, common().seed(), common().contextOptions())
                : TrainableT5.full(model, DType.FLOAT32, 0, common().contextOptions());
        Trainer trainer = new Trainer(t5, options, examples, List.of(), run);
        Progress progress = new Progress(terminal(), common().quiet());
        RunReport report = new RunReport(run, 0)) {
      trainer.train(
          new Trainer.Listener() {
            @Override
            public void onStep(Trainer.Step step) {
              report.step(step);
              progress.show(
                  "%s: step %d/%d  loss %.3f  %,.0f tokens/s  %s"
                      .formatted(
                          lora ? "LoRA" : "all weights",
                          step.step(),
                          step.totalSteps(),
                          step.loss(),
                          step.tokensPerSecond(),
                          progress.left((double) step.step() / step.totalSteps())));
            }
          });
      report.write();
      long trained = t5.parameters().count();
      progress.close();
      say(
          "%-5s %,9d of %,d parameters trained in %s"
              .formatted(
                  lora ? "LoRA:" : "full:",
                  trained,
                  t5.parameterCount(),
                  Progress.clock(progress.seconds())));
      return run.folder();
    }
  }

  private void compare(BuiltInDialogues data, List<Candidate> candidates) {
    say("");
    say(
        "The most probable summaries of %d dialogues that no model has seen, against the best of three references:"
            .formatted(data.test().size()));
    say("");
    table(candidates).forEach(this::say);
    for (int i = 0; i < SHOWN; i++) {
      say("");
      say("Dialogue " + (i + 1));
      line("a person", data.test().get(i).summaries().getFirst());
      for (Candidate candidate : candidates) {
        line(candidate.name, candidate.summaries.get(i));
      }
    }
  }

  /** The first candidate is what the others are compared with. */
  private List<String> table(List<Candidate> candidates) {
    PairedBootstrap bootstrap = new PairedBootstrap(common().seed());
    Candidate base = candidates.getFirst();
    List<String> lines = new ArrayList<>();
    lines.add(
        "           rouge1  95 % interval     rougeL  rude     rouge1 over base  95 % interval");
    for (Candidate candidate : candidates) {
      PairedBootstrap.Interval mean = bootstrap.mean(candidate.rouge1);
      PairedBootstrap.Interval rougeL = bootstrap.mean(candidate.rougeL);
      String line =
          String.format(
              Locale.ROOT,
              "%-9s  %.4f  %.4f to %.4f  %.4f  %4.1f %%",
              candidate.name,
              mean.mean(),
              mean.low(),
              mean.high(),
              rougeL.mean(),
              100 * mean(candidate.toxicity));
      if (candidate != base) {
        PairedBootstrap.Interval gain =
            bootstrap.compare(base.rouge1, candidate.rouge1).difference();
        line +=
            String.format(
                Locale.ROOT,
                "   %+.4f (%+.0f %%)    %+.4f to %+.4f",
                gain.mean(),
                100 * gain.mean() / mean(base.rouge1),
                gain.low(),
                gain.high());
      }
      lines.add(line);
    }
    return lines;
  }

  private static double mean(double[] values) {
    double sum = 0;
    for (double value : values) {
      sum += value;
    }
    return sum / values.length;
  }

  private void line(String name, String text) {
    List<String> lines = TextLayout.wrap(text, WIDTH - 11);
    for (int i = 0; i < lines.size(); i++) {
      say("%-9s  %s".formatted(i == 0 ? name : "", lines.get(i)));
    }
  }

  private static void delete(Path folder) {
    try (Stream<Path> all = Files.walk(folder)) {
      for (Path each : all.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(each);
      }
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot remove " + folder + ": " + e.getMessage(), e);
    }
  }
}
