package dev.precis.cli.evaluate;

import dev.precis.cli.evaluate.EvaluationReport.Column;
import dev.precis.cli.page.Cards;
import dev.precis.cli.page.Html;
import dev.precis.cli.page.HtmlPage;
import dev.precis.cli.page.HtmlTable;
import dev.precis.cli.page.WordDifference;
import dev.precis.cli.report.Headline;
import dev.precis.cli.report.Result;
import dev.precis.cli.report.RunTitle;
import dev.precis.data.Dialogue;
import dev.precis.evaluation.PairedBootstrap.Interval;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import tools.jackson.databind.node.ObjectNode;

/** An evaluation as an HTML page: the differences first, then tables and examples. */
record EvaluationPage(EvaluationReport report, ObjectNode options) {
  private static final int EXAMPLES = 200;
  private static final int TOGETHER = 5;

  /** ROUGE-2 and ROUGE-Lsum follow these two, and are in the tables. */
  private static final Set<String> IN_TABLES_ONLY = Set.of("rouge2", "rougeLsum");

  /** Returns the page. */
  String html() {
    HtmlPage page = new HtmlPage(title());
    page.add(Headline.html(results(), costs(), notices()));
    page.section("Results", means() + differences() + remarks());
    page.section("Examples", cards().html());
    page.folded("The baseline", baseline());
    return page.options(options).render();
  }

  private String name(int candidate) {
    return report.results().get(candidate).name();
  }

  private int candidates() {
    return report.results().size();
  }

  private String title() {
    List<String> names = new ArrayList<>();
    for (EvaluationResult result : report.results()) {
      String model = RunTitle.shortName(result.candidate().model().toString());
      names.add(result.name().equals(model) ? model : "%s (%s)".formatted(result.name(), model));
    }
    String last = names.removeLast();
    return "Evaluation of %s%s on %s"
        .formatted(
            names.isEmpty() ? "" : String.join(", ", names) + " and ",
            last,
            RunTitle.shortName(report.setting().data()));
  }

  private Map<String, String> costs() {
    Map<String, String> costs = new LinkedHashMap<>();
    costs.put("Dialogues", "%,d".formatted(report.setting().dialogues().size()));
    costs.put("Summaries", report.setting().generation());
    return costs;
  }

  private List<Result> results() {
    List<Result> results = new ArrayList<>();
    for (Column column : report.columns()) {
      if (IN_TABLES_ONLY.contains(column.name())) {
        continue;
      }
      if (candidates() == 1) {
        Interval mean = column.means().getFirst();
        results.add(result(column, 0, Double.NaN, mean, "bootstrap over dialogues"));
      }
      for (int i = 1; i < candidates(); i++) {
        results.add(
            result(
                column,
                i,
                column.means().getFirst().mean(),
                column.comparisons().get(i).difference(),
                "compared with %s, paired bootstrap over dialogues, p = %s"
                    .formatted(name(0), format("%.4f", column.comparisons().get(i).pValue()))));
      }
    }
    return results;
  }

  private Result result(
      Column column, int candidate, double before, Interval interval, String basis) {
    return new Result(
        "%s of %s".formatted(column.name(), name(candidate)),
        before,
        column.means().get(candidate).mean(),
        interval,
        column.higherIsBetter(),
        basis);
  }

  private List<String> notices() {
    List<String> notices = new ArrayList<>();
    for (int i = 1; i < candidates() && report.guardsRouge(); i++) {
      List<String> fell = report.fell(i).stream().map(Column::name).toList();
      if (!fell.isEmpty()) {
        notices.add(
            "Quality was lost: %s of %s is lower than that of %s by more than chance."
                .formatted(String.join(", ", fell), name(i), name(0)));
      }
    }
    return notices;
  }

  private List<String> columns(String first) {
    List<String> names = new ArrayList<>(List.of(first));
    report.columns().forEach(column -> names.add(column.name()));
    return names;
  }

  private List<String> each(Function<Column, String> cell) {
    return report.columns().stream().map(cell).toList();
  }

  private String means() {
    HtmlTable table = new HtmlTable("Means with 95 % intervals", true, columns("candidate"));
    for (int i = 0; i < candidates(); i++) {
      int at = i;
      table.row(
          name(i),
          each(
              c -> {
                Interval mean = c.means().get(at);
                return format("%.4f (%.4f to %.4f)", mean.mean(), mean.low(), mean.high());
              }));
    }
    return table.html();
  }

  private String differences() {
    if (candidates() == 1) {
      return "";
    }
    HtmlTable table =
        new HtmlTable(
            "Differences from %s in points of 100, with 95 %% intervals".formatted(name(0)),
            true,
            columns("candidate"));
    for (int i = 1; i < candidates(); i++) {
      int at = i;
      table.row(
          name(i),
          each(
              c -> {
                Interval points = c.comparisons().get(at).difference();
                return format(
                    "%+.2f (%+.2f to %+.2f)",
                    100 * points.mean(), 100 * points.low(), 100 * points.high());
              }));
    }
    return table.html();
  }

  private String remarks() {
    StringBuilder html = new StringBuilder();
    report.settings().forEach(line -> paragraph(html, line));
    report.remarks().forEach(line -> paragraph(html, line));
    return html.toString();
  }

  private static void paragraph(StringBuilder html, String line) {
    html.append("<p class=\"note\">").append(Html.text(line)).append("</p>\n");
  }

  private String baseline() {
    HtmlTable table =
        new HtmlTable(
            "SHA-256 of %s, unchanged by the evaluation"
                .formatted(
                    report.results().getFirst().candidate().isFile() ? "summaries" : "weights"),
            false,
            List.of("file or folder", "SHA-256"));
    report
        .setting()
        .baselineHashes()
        .forEach((folder, hash) -> table.row(folder.toString(), List.of(hash)));
    return table.html();
  }

  private Cards cards() {
    List<Integer> shown = report.examples(EXAMPLES);
    int all = report.setting().dialogues().size();
    return new Cards(
        "%s%s"
            .formatted(
                shown.size() < all
                    ? "%,d of %,d dialogues, spread over the data.".formatted(shown.size(), all)
                    : "All %,d dialogues.".formatted(all),
                candidates() > 1
                    ? " Marked words are not in the summary of %s.".formatted(name(0))
                    : ""),
        "the files of the candidates, beside this page, have all of them.",
        TOGETHER,
        shown.stream().map(this::card).toList());
  }

  private Cards.Card card(int index) {
    Dialogue dialogue = report.setting().dialogues().get(index);
    List<Cards.Entry> entries = new ArrayList<>();
    for (String reference : dialogue.summaries()) {
      entries.add(Cards.Entry.plain("reference", "", reference));
    }
    String base = report.results().getFirst().summaries().get(index);
    List<String> tags = new ArrayList<>();
    for (int i = 0; i < candidates(); i++) {
      EvaluationResult result = report.results().get(i);
      String text = result.summaries().get(index);
      entries.add(
          i == 0
              ? Cards.Entry.plain(result.name(), score(i, index), text)
              : new Cards.Entry(
                  result.name(), score(i, index), WordDifference.of(base, text).afterHtml()));
      if (i > 0) {
        tags.add(tag(i, index));
      }
    }
    return new Cards.Card(dialogue.id(), "", tags, dialogue.dialogue(), entries);
  }

  private double value(int candidate, int index) {
    return report.results().get(candidate).scores().getFirst()[0][index];
  }

  private String score(int candidate, int index) {
    return format("%s %.4f", report.columns().getFirst().name(), value(candidate, index));
  }

  private String tag(int candidate, int index) {
    double difference = value(candidate, index) - value(0, index);
    boolean better = difference > 0 == report.columns().getFirst().higherIsBetter();
    return "%s: %s %s"
        .formatted(
            name(candidate),
            difference == 0 ? "same" : better ? "better" : "worse",
            report.columns().getFirst().name());
  }

  private static String format(String format, Object... values) {
    return String.format(Locale.ROOT, format, values);
  }
}
