package dev.precis.cli.report;

import dev.precis.alignment.policy.Comparison;
import dev.precis.alignment.policy.Comparison.Paired;
import dev.precis.alignment.policy.Comparison.Row;
import dev.precis.cli.page.Cards;
import dev.precis.cli.page.HtmlTable;
import dev.precis.cli.page.WordDifference;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** Compares baseline and aligned responses on a page: results, a table, and examples. */
public record ComparisonHtml(Comparison comparison) {
  private static final int CARDS = 200;
  private static final int TOGETHER = 5;

  /** Begins the names of measures of what is unwanted. */
  private static final String UNWANTED = "probability of ";

  /** Ends the names of measures of the prompts, which the policy does not write. */
  private static final String OF_PROMPTS = ", prompt";

  /** Returns the measures as results; the first is the reward. */
  List<Result> results() {
    List<Result> results = new ArrayList<>();
    comparison
        .measures()
        .forEach(
            (name, paired) -> {
              if (!name.endsWith(OF_PROMPTS)) {
                results.add(result("The mean " + name, name));
              }
            });
    return results;
  }

  /** Returns a measure as a result under a name for people. */
  public Result result(String name, String measure) {
    Paired paired = comparison.measures().get(measure);
    return new Result(
        name,
        paired.baselineMean(),
        paired.alignedMean(),
        paired.difference(),
        !measure.startsWith(UNWANTED),
        "responses to %,d prompts before and after, paired bootstrap"
            .formatted(comparison.rows().size()));
  }

  /** Adds the results, the warning of lost quality, the table and the examples to a report. */
  public void addTo(RunReport report) {
    report.results(results());
    comparison.guard().ifPresent(sentence -> report.notice(sentence + "."));
    report.section("Baseline and aligned responses", tableHtml());
    report.lastSection("Examples", cards(TOGETHER).html());
  }

  /** Returns a table of the measures as HTML. */
  public String tableHtml() {
    HtmlTable table =
        new HtmlTable(
            "Baseline and aligned responses to %,d prompts: means with standard deviations"
                .formatted(comparison.rows().size()),
            true,
            List.of("measure", "baseline", "aligned", "difference", "95 % interval", "p"));
    comparison
        .measures()
        .forEach(
            (name, p) ->
                table.row(
                    name,
                    List.of(
                        format("%.4f ± %.4f", p.baselineMean(), p.baselineDeviation()),
                        format("%.4f ± %.4f", p.alignedMean(), p.alignedDeviation()),
                        format("%+.4f", p.difference().mean()),
                        format("%+.4f to %+.4f", p.difference().low(), p.difference().high()),
                        format("%.4f", p.pValue()))));
    return table.html();
  }

  /**
   * Returns responses as cards, by gain: all of them, or if there are many, evenly spread from the
   * largest gain to the largest loss.
   */
  public Cards cards(int together) {
    List<Row> rows = comparison.rows();
    int shown = Math.min(CARDS, rows.size());
    List<Cards.Card> cards = new ArrayList<>();
    for (int i = 0; i < shown; i++) {
      cards.add(card(rows.get((int) ((long) i * (rows.size() - 1) / Math.max(1, shown - 1)))));
    }
    String order = "sorted from the largest gain of reward to the largest loss";
    return new Cards(
        shown < rows.size()
            ? "%,d of %,d responses, evenly spread and %s. Marked words are in one response alone."
                .formatted(shown, rows.size(), order)
            : "All %,d responses, %s. Marked words are in one response alone."
                .formatted(shown, order),
        "comparison.jsonl in the run folder has all of them.",
        together,
        cards);
  }

  private static Cards.Card card(Row row) {
    WordDifference words = WordDifference.of(row.baselineResponse(), row.alignedResponse());
    String tag = row.gain() > 0 ? "higher reward" : row.gain() < 0 ? "lower reward" : "same reward";
    return new Cards.Card(
        row.id(),
        format(
            "reward %.3f, before %.3f (%+.3f)",
            row.alignedReward(), row.baselineReward(), row.gain()),
        List.of(tag),
        row.query(),
        List.of(
            new Cards.Entry("baseline response", "", words.beforeHtml()),
            new Cards.Entry("aligned response", "", words.afterHtml())));
  }

  private static String format(String format, Object... values) {
    return String.format(Locale.ROOT, format, values);
  }
}
