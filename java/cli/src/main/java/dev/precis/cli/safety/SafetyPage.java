package dev.precis.cli.safety;

import dev.precis.cli.page.Cards;
import dev.precis.cli.page.Html;
import dev.precis.cli.page.HtmlPage;
import dev.precis.cli.page.HtmlTable;
import dev.precis.cli.report.Headline;
import dev.precis.cli.report.Result;
import dev.precis.cli.report.RunTitle;
import dev.precis.evaluation.PairedBootstrap.Interval;
import dev.precis.evaluation.safety.Finding;
import dev.precis.evaluation.safety.Measure;
import dev.precis.evaluation.safety.Measure.Change;
import dev.precis.evaluation.safety.Measure.Family;
import dev.precis.evaluation.safety.ProbePrompt;
import dev.precis.evaluation.safety.SafetyReport;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import tools.jackson.databind.node.ObjectNode;

/** A safety report as an HTML page: the findings first, then tables and outputs. */
record SafetyPage(SafetyEvaluation evaluation, ObjectNode options) {
  private static final int EXAMPLES = 200;
  private static final int TOGETHER = 5;

  /** Returns the page. */
  String html() {
    HtmlPage page = new HtmlPage(title());
    List<String> gaps =
        report().findings().stream()
            .filter(each -> each.baseline() == null)
            .map(Finding::sentence)
            .toList();
    page.add(Headline.html(results(), costs(), gaps));
    page.section("Findings", findings());
    page.section("Measures", overall() + notes());
    page.section("Toxicity by group", groups());
    page.section("Outputs", cards().html());
    page.folded("The baseline", baseline());
    return page.options(options).render();
  }

  private SafetyReport report() {
    return evaluation.report();
  }

  private int candidates() {
    return report().candidates().size();
  }

  private String title() {
    List<String> names = new ArrayList<>();
    for (SafetySubject each : evaluation.subjects()) {
      String source = RunTitle.shortName(each.source().toString());
      names.add(each.name().equals(source) ? source : "%s (%s)".formatted(each.name(), source));
    }
    String last = names.removeLast();
    return "Safety of %s%s"
        .formatted(names.isEmpty() ? "" : String.join(", ", names) + " and ", last);
  }

  private Map<String, String> costs() {
    Map<String, String> costs = new LinkedHashMap<>();
    costs.put("Prompts", "%,d".formatted(evaluation.probes().prompts().size()));
    costs.put("Outputs", evaluation.generation());
    costs.put("Toxicity", evaluation.toxicity());
    return costs;
  }

  private List<Result> results() {
    List<Result> results = new ArrayList<>();
    for (Measure each : report().measures(Family.OVERALL)) {
      for (int c = Math.min(1, candidates() - 1); c < candidates(); c++) {
        results.add(result(each, c));
      }
    }
    return results;
  }

  /** Returns a candidate's change where it is a finding, and otherwise its value. */
  private Result result(Measure measure, int candidate) {
    String name = "%s: %s".formatted(report().candidates().get(candidate), measure.title());
    Interval mean = measure.means().get(candidate);
    Change change = measure.changes().get(candidate);
    String n = "n = " + measure.n();
    if (change == null || change.pValue() >= SafetyReport.LEVEL) {
      String basis =
          change == null
              ? n
              : "no change from %s that chance does not explain, %s, Holm-corrected p = %s"
                  .formatted(report().candidates().getFirst(), n, format("%.4f", change.pValue()));
      return new Result(name, Double.NaN, mean.mean(), mean, measure.higherIsBetter(), basis);
    }
    return new Result(
        name,
        measure.means().getFirst().mean(),
        mean.mean(),
        change.difference(),
        measure.higherIsBetter(),
        "compared with %s on the same prompts, %s, Holm-corrected p = %s"
            .formatted(report().candidates().getFirst(), n, format("%.4f", change.pValue())));
  }

  private String findings() {
    List<Finding> findings = report().findings();
    if (findings.isEmpty()) {
      return "<p>Nothing was found that chance does not explain.</p>\n";
    }
    StringBuilder html = new StringBuilder("<ul>\n");
    findings.forEach(
        each -> html.append("<li>").append(Html.text(each.sentence())).append(".</li>\n"));
    return html.append("</ul>\n").toString();
  }

  private String overall() {
    List<String> columns = new ArrayList<>(List.of("measure", "n"));
    columns.addAll(report().candidates());
    for (int c = 1; c < candidates(); c++) {
      columns.add("change of " + report().candidates().get(c));
      columns.add("p");
    }
    HtmlTable table = new HtmlTable("Measures with 95 % intervals", true, columns);
    for (Measure each : report().measures(Family.OVERALL)) {
      List<String> cells = new ArrayList<>(List.of("" + each.n()));
      each.means().forEach(mean -> cells.add(interval(mean)));
      for (int c = 1; c < candidates(); c++) {
        cells.add(signed(each.changes().get(c).difference()));
        cells.add(format("%.4f", each.changes().get(c).pValue()));
      }
      table.row(
          "%s (%s is better)".formatted(each.title(), each.higherIsBetter() ? "higher" : "lower"),
          cells);
    }
    return table.html();
  }

  private String notes() {
    StringBuilder html = new StringBuilder();
    SafetyEvaluation.methods().forEach(line -> html.append(note(line)));
    evaluation.remarks().forEach(line -> html.append(note(line)));
    return html.toString();
  }

  private static String note(String line) {
    return "<p class=\"note\">" + Html.text(line) + "</p>\n";
  }

  private String groups() {
    List<Measure> toxicity = report().measures(Family.GROUP);
    List<Measure> gaps = report().measures(Family.GAP);
    StringBuilder html = new StringBuilder();
    for (int c = 0; c < candidates() && !toxicity.isEmpty(); c++) {
      List<String> columns =
          new ArrayList<>(List.of("group", "set", "n", "toxicity", "gap", "p of gap"));
      if (c > 0) {
        columns.addAll(List.of("change", "p of change", "change of gap", "p of its change"));
      }
      HtmlTable table =
          new HtmlTable(
              c == 0
                  ? report().candidates().getFirst()
                  : "%s, with changes from %s"
                      .formatted(report().candidates().get(c), report().candidates().getFirst()),
              true,
              columns);
      for (int g = 0; g < toxicity.size(); g++) {
        Measure its = toxicity.get(g);
        Measure gap = gaps.get(g);
        List<String> cells = new ArrayList<>();
        cells.add(its.identity().set());
        cells.add("" + its.n());
        cells.add(interval(its.means().get(c)));
        cells.add(signed(gap.means().get(c)));
        cells.add(format("%.4f", gap.pValues().get(c)));
        if (c > 0) {
          cells.add(signed(its.changes().get(c).difference()));
          cells.add(format("%.4f", its.changes().get(c).pValue()));
          cells.add(signed(gap.changes().get(c).difference()));
          cells.add(format("%.4f", gap.changes().get(c).pValue()));
        }
        table.row(its.identity().group(), cells);
      }
      html.append(table.html());
    }
    return html.toString();
  }

  private Cards cards() {
    List<ProbePrompt> prompts = evaluation.probes().prompts();
    int shown = Math.min(EXAMPLES, prompts.size());
    List<Cards.Card> cards = new ArrayList<>();
    for (int i = 0; i < shown; i++) {
      cards.add(card(prompts, (int) ((long) i * prompts.size() / shown)));
    }
    return new Cards(
        shown < prompts.size()
            ? "%,d of %,d prompts, spread over all probes.".formatted(shown, prompts.size())
            : "All %,d prompts.".formatted(shown),
        "the files of the candidates, beside this page, have all of them.",
        TOGETHER,
        cards);
  }

  private Cards.Card card(List<ProbePrompt> prompts, int index) {
    ProbePrompt prompt = prompts.get(index);
    List<Cards.Entry> entries = new ArrayList<>();
    entries.add(
        Cards.Entry.plain(prompt.probe().isDialogue() ? "dialogue" : "prompt", "", prompt.text()));
    for (SafetySubject each : evaluation.subjects()) {
      entries.add(Cards.Entry.plain(each.name(), "", each.outputs().get(index)));
    }
    List<String> tags = new ArrayList<>(List.of(prompt.probe().kind().fileName()));
    if (prompt.identity() != null) {
      tags.add(prompt.identity().group());
    }
    return new Cards.Card(prompt.id(), "", tags, "", entries);
  }

  private String baseline() {
    HtmlTable table =
        new HtmlTable(
            "SHA-256 of %s, unchanged by the evaluation"
                .formatted(evaluation.subjects().getFirst().isFile() ? "outputs" : "weights"),
            false,
            List.of("file or folder", "SHA-256"));
    evaluation
        .baselineHashes()
        .forEach((folder, hash) -> table.row(folder.toString(), List.of(hash)));
    return table.html();
  }

  private static String interval(Interval of) {
    return format("%.4f (%.4f to %.4f)", of.mean(), of.low(), of.high());
  }

  private static String signed(Interval of) {
    return format(
        "%+.4f (%+.4f to %+.4f)", rounded(of.mean()), rounded(of.low()), rounded(of.high()));
  }

  /** A difference that rounds to zero has no sign. */
  private static double rounded(double value) {
    return Math.abs(value) < 0.00005 ? 0.0 : value;
  }

  private static String format(String format, Object... values) {
    return String.format(Locale.ROOT, format, values);
  }
}
