package dev.precis.cli.demo;

import dev.precis.cli.common.Statistics;
import dev.precis.cli.page.HtmlTable;
import dev.precis.evaluation.PairedBootstrap;
import dev.precis.evaluation.PairedBootstrap.Interval;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * The demo's models on unseen dialogues, as a table for a terminal of 80 columns and for the page.
 *
 * @param candidates the first one is the base model, which others are compared with
 */
record DemoTable(List<DemoCandidate> candidates, long seed) {
  private static final String LINE = "%-10s%8s  %-31s%8s%9s";

  /** Returns the table in lines. */
  List<String> text() {
    List<String> lines = new ArrayList<>();
    lines.add(LINE.formatted("", "ROUGE-1", "over base, 95 % interval", "ROUGE-L", "toxic"));
    for (DemoCandidate candidate : candidates) {
      lines.add(
          LINE.formatted(
              candidate.name(),
              mean(candidate.rouge1()),
              gain(candidate),
              mean(candidate.rougeL()),
              toxic(candidate)));
    }
    return lines;
  }

  /** Returns the table as HTML. */
  String html(String caption) {
    HtmlTable table =
        new HtmlTable(
            caption,
            true,
            List.of("model", "ROUGE-1", "over base, 95 % interval", "ROUGE-L", "toxic"));
    for (DemoCandidate candidate : candidates) {
      table.row(
          candidate.name(),
          List.of(
              mean(candidate.rouge1()),
              gain(candidate),
              mean(candidate.rougeL()),
              toxic(candidate)));
    }
    return table.html();
  }

  /** Returns the gain of ROUGE-1 over the base model. */
  Interval gainOverBase(DemoCandidate candidate) {
    return new PairedBootstrap(seed)
        .compare(candidates.getFirst().rouge1(), candidate.rouge1())
        .difference();
  }

  private String gain(DemoCandidate candidate) {
    if (candidate == candidates.getFirst()) {
      return "";
    }
    Interval gain = gainOverBase(candidate);
    return String.format(
        Locale.ROOT, "%+.4f (%+.4f to %+.4f)", gain.mean(), gain.low(), gain.high());
  }

  private static String mean(double[] values) {
    return String.format(Locale.ROOT, "%.4f", Statistics.mean(values));
  }

  private static String toxic(DemoCandidate candidate) {
    return String.format(Locale.ROOT, "%.1f %%", 100 * Statistics.mean(candidate.toxicity()));
  }
}
