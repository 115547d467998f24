package dev.precis.cli.demo;

import dev.precis.cli.common.MemoryFormat;
import dev.precis.cli.common.ProcFile;
import dev.precis.cli.common.Statistics;
import dev.precis.cli.page.Cards;
import dev.precis.cli.page.HtmlPage;
import dev.precis.cli.page.Numbers;
import dev.precis.cli.page.WordDifference;
import dev.precis.cli.report.ComparisonHtml;
import dev.precis.cli.report.Cost;
import dev.precis.cli.report.Curve;
import dev.precis.cli.report.Curves;
import dev.precis.cli.report.Headline;
import dev.precis.cli.report.Result;
import dev.precis.cli.report.RunOutcome;
import dev.precis.data.builtin.BuiltInDialogue;
import dev.precis.data.builtin.BuiltInDialogues;
import dev.precis.io.AtomicFile;
import dev.precis.training.StepLog;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.IntStream;
import tools.jackson.databind.node.ObjectNode;

/**
 * The demo's findings, as results, typical examples and a page.
 *
 * @param candidates the first one is the base model, which others are compared with
 * @param outcomes of the alignments
 */
record DemoReport(
    BuiltInDialogues data,
    List<DemoCandidate> candidates,
    List<DemoAlignment.Outcome> outcomes,
    long seed) {
  private static final List<String> RUNS =
      List.of(DemoRuns.LORA, DemoRuns.FULL, DemoRuns.PPO, DemoRuns.DPO);
  private static final int EXAMPLES = 100;
  private static final int TOGETHER = 2;

  DemoTable table() {
    return new DemoTable(candidates, seed);
  }

  /** Returns what fine-tuning and alignment changed. */
  List<Result> results() {
    List<Result> results = new ArrayList<>();
    DemoCandidate base = candidates.getFirst();
    for (DemoCandidate candidate : candidates) {
      if (candidate != base && !candidate.aligned()) {
        results.add(
            new Result(
                "ROUGE-1 of " + candidate.name(),
                Statistics.mean(base.rouge1()),
                Statistics.mean(candidate.rouge1()),
                table().gainOverBase(candidate),
                true,
                "the base model, on %,d unseen dialogues, paired bootstrap"
                    .formatted(data.test().size())));
      }
    }
    for (DemoAlignment.Outcome outcome : outcomes) {
      ComparisonHtml comparison = new ComparisonHtml(outcome.comparison());
      results.add(
          comparison.result(
              "Toxicity of sampled summaries by " + outcome.name(), DemoAlignment.TOXICITY));
      results.add(comparison.result("ROUGE-1 of sampled summaries by " + outcome.name(), "rouge1"));
    }
    return results;
  }

  /** Returns the warnings of lost quality. */
  List<String> notices() {
    List<String> notices = new ArrayList<>();
    for (DemoAlignment.Outcome outcome : outcomes) {
      outcome
          .comparison()
          .guard()
          .ifPresent(sentence -> notices.add(outcome.name() + ": " + sentence + "."));
    }
    return notices;
  }

  /** Returns typical examples: test dialogues near the median ROUGE-1 of the LoRA model. */
  List<Integer> typical(int count) {
    return TypicalExamples.of(data.test(), candidate("LoRA").rouge1(), count);
  }

  private DemoCandidate candidate(String name) {
    return candidates.stream().filter(each -> each.name().equals(name)).findFirst().orElseThrow();
  }

  /** Writes the page into the folder with the four runs. */
  void write(Path folder, ObjectNode options) {
    HtmlPage html =
        new HtmlPage(
            "Demo: LoRA, full fine-tuning, PPO and DPO of the built-in T5 on built-in dialogues");
    html.add(Headline.html(results(), costs(folder), notices()));
    html.section(
        "On unseen dialogues",
        table()
            .html(
                "Summaries of %,d dialogues (%d beams) against the best of three references"
                    .formatted(data.test().size(), DemoCandidate.DECODING.numBeams())));
    html.section("Examples", examples().html());
    html.section("Curves", curves(folder));
    for (DemoAlignment.Outcome outcome : outcomes) {
      ComparisonHtml comparison = new ComparisonHtml(outcome.comparison());
      html.folded(
          outcome.name() + ": sampled summaries before and after",
          comparison.tableHtml() + comparison.cards(TOGETHER).html());
    }
    html.options(options);
    AtomicFile.writeText(folder.resolve(DemoRuns.REPORT), html.render());
  }

  private static Map<String, String> costs(Path runs) {
    Map<String, String> costs = new LinkedHashMap<>();
    for (String run : RUNS) {
      Cost cost = RunOutcome.read(runs.resolve(run)).cost();
      costs.put(
          "Training " + run,
          "%s, %,d parameters".formatted(Numbers.time(cost.seconds()), cost.trained()));
    }
    costs.put("Peak memory", MemoryFormat.of(ProcFile.bytes("/proc/self/status", "VmHWM")));
    return costs;
  }

  /** Draws fine-tuning in the same charts, and each alignment in its own: their losses differ. */
  private static String curves(Path runs) {
    List<String> shown = new ArrayList<>();
    List<String> folded = new ArrayList<>();
    Map<String, List<ObjectNode>> tuned = new LinkedHashMap<>();
    for (String run : List.of(DemoRuns.LORA, DemoRuns.FULL)) {
      tuned.put(run, metrics(runs, run));
    }
    List<String> charts = Curves.charts(Curves.FINE_TUNING.all(), tuned);
    shown.add(charts.removeFirst());
    folded.addAll(charts);
    charts = Curves.charts(named("PPO: ", Curves.POLICY), Map.of("", metrics(runs, DemoRuns.PPO)));
    shown.add(charts.removeFirst());
    shown.add(charts.removeFirst());
    folded.addAll(charts);
    charts =
        Curves.charts(named("DPO: ", Curves.PREFERENCES), Map.of("", metrics(runs, DemoRuns.DPO)));
    shown.add(charts.remove(1));
    folded.addAll(charts);
    return Curves.html(shown, folded);
  }

  private static List<ObjectNode> metrics(Path runs, String run) {
    return StepLog.read(runs.resolve(run).resolve("metrics.jsonl"));
  }

  private static List<Curve> named(String prefix, Curves curves) {
    return curves.all().stream()
        .map(each -> new Curve(each.key(), prefix + each.title(), each.mayBeLogarithmic()))
        .toList();
  }

  private Cards examples() {
    List<Cards.Card> cards = new ArrayList<>();
    List<Integer> shown = new ArrayList<>(typical(TOGETHER));
    IntStream.range(0, EXAMPLES).filter(i -> !shown.contains(i)).forEach(shown::add);
    shown.forEach(i -> cards.add(card(i)));
    return new Cards(
        "Two typical dialogues (near the median ROUGE-1 of LoRA; in the second one somebody is"
            + " insulted), then the first %d. Marked words of LoRA and full are not in the"
                .formatted(EXAMPLES)
            + " person's summary, those of aligned models not in LoRA's.",
        "the runs beside this page have the models that wrote them.",
        TOGETHER,
        cards);
  }

  private Cards.Card card(int index) {
    BuiltInDialogue dialogue = data.test().get(index);
    String person = dialogue.summaries().getFirst();
    String lora = candidate("LoRA").summaries().get(index);
    List<Cards.Entry> entries = new ArrayList<>();
    entries.add(Cards.Entry.plain("a person", "", person));
    for (DemoCandidate candidate : candidates) {
      String text = candidate.summaries().get(index);
      String score = String.format(Locale.ROOT, "ROUGE-1 %.2f", candidate.rouge1()[index]);
      entries.add(
          candidate == candidates.getFirst()
              ? Cards.Entry.plain(candidate.name(), score, text)
              : new Cards.Entry(
                  candidate.name(),
                  score,
                  WordDifference.of(candidate.aligned() ? lora : person, text).afterHtml()));
    }
    return new Cards.Card(
        dialogue.id(),
        dialogue.topic(),
        List.of(dialogue.rude() ? "with an insult" : "without an insult"),
        dialogue.dialogue(),
        entries);
  }
}
