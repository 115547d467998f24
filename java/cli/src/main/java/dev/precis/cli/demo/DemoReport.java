package dev.precis.cli.demo;

import dev.precis.cli.common.Statistics;
import dev.precis.cli.report.ComparisonTable;
import dev.precis.cli.report.HtmlPage;
import dev.precis.cli.report.RunReport;
import dev.precis.data.builtin.BuiltInDialogues;
import dev.precis.evaluation.PairedBootstrap;
import dev.precis.io.AtomicFile;
import dev.precis.io.Json;
import dev.precis.training.StepLog;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import tools.jackson.databind.node.ObjectNode;

/** The demo's tables and its page. The first candidate is the one that others are compared with. */
record DemoReport(
    BuiltInDialogues data,
    List<DemoCandidate> candidates,
    List<DemoAlignment.Outcome> outcomes,
    long seed) {
  private static final int EXAMPLES = 30;

  /** The comparison on the test dialogues, as lines. */
  List<String> table() {
    PairedBootstrap bootstrap = new PairedBootstrap(seed);
    DemoCandidate base = candidates.getFirst();
    List<String> lines = new ArrayList<>();
    lines.add(
        "           rouge1  95 % interval     rougeL  toxic    rouge1 over base  95 % interval");
    for (DemoCandidate candidate : candidates) {
      PairedBootstrap.Interval mean = bootstrap.mean(candidate.rouge1());
      PairedBootstrap.Interval rougeL = bootstrap.mean(candidate.rougeL());
      String line =
          String.format(
              Locale.ROOT,
              "%-9s  %.4f  %.4f to %.4f  %.4f  %4.1f %%",
              candidate.name(),
              mean.mean(),
              mean.low(),
              mean.high(),
              rougeL.mean(),
              100 * Statistics.mean(candidate.toxicity()));
      if (candidate != base) {
        PairedBootstrap.Interval gain =
            bootstrap.compare(base.rouge1(), candidate.rouge1()).difference();
        line +=
            String.format(
                Locale.ROOT,
                "   %+.4f (%+.0f %%)    %+.4f to %+.4f",
                gain.mean(),
                100 * gain.mean() / Statistics.mean(base.rouge1()),
                gain.low(),
                gain.high());
      }
      lines.add(line);
    }
    return lines;
  }

  /**
   * Writes the page.
   *
   * @param runs the folder with the four runs
   */
  void write(Path page, Path runs) {
    ObjectNode curves = Json.mapper().createObjectNode();
    Map<String, Map<String, String>> titles = new LinkedHashMap<>();
    titles.put("lora", Map.of("loss", "Loss"));
    titles.put("full", Map.of("loss", "Loss"));
    titles.put("ppo", RunReport.POLICY);
    titles.put("dpo", RunReport.PREFERENCES);
    titles.forEach(
        (method, names) ->
            RunReport.curves(
                StepLog.read(runs.resolve(method).resolve("metrics.jsonl")),
                names,
                method + ": ",
                curves));
    StringBuilder sections = new StringBuilder("<h2>On unseen dialogues</h2>\n<pre>");
    table().forEach(line -> sections.append(HtmlPage.escaped(line)).append('\n'));
    sections.append("</pre>\n");
    for (DemoAlignment.Outcome outcome : outcomes) {
      sections.append("<h2>").append(outcome.name()).append(", sampled summaries</h2>\n");
      sections.append(new ComparisonTable(outcome.comparison()).html());
    }
    examples(sections);
    ObjectNode config = Json.mapper().createObjectNode();
    config.put("seed", seed);
    AtomicFile.writeText(
        page.toAbsolutePath(),
        HtmlPage.render("Fine-tuning and aligning a small T5", curves, sections, config));
  }

  private void examples(StringBuilder sections) {
    sections.append("<h2>Examples</h2>\n<table>\n<tr><th>dialogue</th><th>a person</th>");
    candidates.forEach(c -> sections.append("<th>").append(c.name()).append("</th>"));
    sections.append("</tr>\n");
    for (int i = 0; i < EXAMPLES; i++) {
      sections.append("<tr>");
      sections.append(HtmlPage.cell(data.test().get(i).dialogue()));
      sections.append(HtmlPage.cell(data.test().get(i).summaries().getFirst()));
      for (DemoCandidate candidate : candidates) {
        sections.append(HtmlPage.cell(candidate.summaries().get(i)));
      }
      sections.append("</tr>\n");
    }
    sections.append("</table>\n");
  }
}
