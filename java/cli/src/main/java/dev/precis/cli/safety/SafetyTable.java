package dev.precis.cli.safety;

import dev.precis.cli.common.TextLayout;
import dev.precis.evaluation.PairedBootstrap.Interval;
import dev.precis.evaluation.safety.Finding;
import dev.precis.evaluation.safety.Measure;
import dev.precis.evaluation.safety.Measure.Change;
import dev.precis.evaluation.safety.Measure.Family;
import dev.precis.evaluation.safety.SafetyReport;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** A safety report for a terminal of 80 columns. */
public final class SafetyTable {
  private static final int WIDTH = 78;
  private static final int NAME = 24;

  private final SafetyEvaluation evaluation;
  private final SafetyReport report;
  private final StringBuilder page = new StringBuilder();

  /** Lays the report out. */
  public SafetyTable(SafetyEvaluation evaluation) {
    this.evaluation = evaluation;
    report = evaluation.report();
    header();
    findings();
    overall();
    for (int c = 0; c < report.candidates().size(); c++) {
      groups(c);
    }
    for (int c = 1; c < report.candidates().size(); c++) {
      groupChanges(c);
    }
    hashes();
  }

  private void header() {
    wrapped(evaluation.size() + ", " + evaluation.generation());
    if (!report.measures(Family.GROUP).isEmpty()) {
      wrapped("toxicity: " + evaluation.toxicity());
    }
    SafetyEvaluation.methods().forEach(this::wrapped);
    evaluation.remarks().forEach(this::wrapped);
  }

  private void findings() {
    List<Finding> findings = report.findings();
    page.append('\n');
    if (findings.isEmpty()) {
      wrapped("Found: nothing that chance does not explain.");
      return;
    }
    page.append("Found:\n");
    for (Finding each : findings) {
      TextLayout.hanging("-", 2, each.sentence(), WIDTH - 2)
          .forEach(line -> page.append(line).append('\n'));
    }
  }

  private void overall() {
    List<Measure> measures = report.measures(Family.OVERALL);
    boolean compares = report.candidates().size() > 1;
    page.append('\n');
    if (compares) {
      row("", "value", "95 % interval", "change", "95 % interval", "p");
    } else {
      row("", "value", "95 % interval", "", "", "");
    }
    for (Measure each : measures) {
      wrapped(
          "%s (n = %d, %s is better)"
              .formatted(each.title(), each.n(), each.higherIsBetter() ? "higher" : "lower"));
      for (int c = 0; c < report.candidates().size(); c++) {
        Change change = each.changes().get(c);
        String name = "  " + report.candidates().get(c);
        if (change == null) {
          row(name, value(each.means().get(c)), range(each.means().get(c)), "", "", "");
        } else {
          row(
              name,
              value(each.means().get(c)),
              range(each.means().get(c)),
              signed(change.difference().mean()),
              signedRange(change.difference()),
              number("%.4f", change.pValue()));
        }
      }
    }
  }

  @FunctionalInterface
  private interface RowOfGroup {
    void print(String name, Measure toxicity, Measure gap);
  }

  /** Adds a table with a line for each group, under a line for each set. */
  private void groups(String title, String value, String gap, RowOfGroup row) {
    List<Measure> toxicity = report.measures(Family.GROUP);
    List<Measure> gaps = report.measures(Family.GAP);
    if (toxicity.isEmpty()) {
      return;
    }
    page.append('\n');
    wrapped(title);
    row("", value, "95 % interval", gap, "95 % interval", "p gap");
    String set = "";
    for (int g = 0; g < toxicity.size(); g++) {
      Measure each = toxicity.get(g);
      if (!each.identity().set().equals(set)) {
        set = each.identity().set();
        wrapped("%s (n = %d for each group)".formatted(set, each.n()));
      }
      row.print("  " + each.identity().group(), each, gaps.get(g));
    }
  }

  private void groups(int candidate) {
    groups(
        "Toxicity by group: " + report.candidates().get(candidate),
        "value",
        "gap",
        (name, toxicity, gap) -> {
          Interval mean = toxicity.means().get(candidate);
          Interval difference = gap.means().get(candidate);
          row(
              name,
              value(mean),
              range(mean),
              signed(difference.mean()),
              signedRange(difference),
              number("%.4f", gap.pValues().get(candidate)));
        });
  }

  private void groupChanges(int candidate) {
    groups(
        "Change of toxicity, and of the gap: %s minus %s"
            .formatted(report.candidates().get(candidate), report.candidates().getFirst()),
        "change",
        "of gap",
        (name, toxicity, gap) -> {
          Interval change = toxicity.changes().get(candidate).difference();
          Change ofGap = gap.changes().get(candidate);
          row(
              name,
              signed(change.mean()),
              signedRange(change),
              signed(ofGap.difference().mean()),
              signedRange(ofGap.difference()),
              number("%.4f", ofGap.pValue()));
        });
  }

  private void hashes() {
    page.append(
        "\nThe baseline's %s, unchanged by the evaluation (SHA-256):\n"
            .formatted(evaluation.subjects().getFirst().isFile() ? "outputs" : "weights"));
    evaluation
        .baselineHashes()
        .forEach((folder, hash) -> page.append("%s  %s\n".formatted(hash, folder)));
  }

  private void row(
      String name, String value, String range, String other, String otherRange, String p) {
    String left = name;
    if (name.length() > NAME) {
      page.append(name).append('\n');
      left = "";
    }
    List<String> cells = new ArrayList<>(List.of(pad(left, NAME)));
    cells.add(right(value, 7));
    cells.add(" " + pad(range, 17));
    cells.add(right(other, 7));
    cells.add(" " + pad(otherRange, 16));
    cells.add(p);
    page.append(String.join("", cells).stripTrailing()).append('\n');
  }

  private void wrapped(String text) {
    TextLayout.wrapWords(text, WIDTH).forEach(line -> page.append(line).append('\n'));
  }

  private static String pad(String text, int width) {
    return text + " ".repeat(Math.max(1, width - text.length()));
  }

  private static String right(String text, int width) {
    return " ".repeat(Math.max(0, width - text.length())) + text;
  }

  private static String number(String format, double value) {
    return String.format(Locale.ROOT, format, value);
  }

  private static String value(Interval interval) {
    return number("%.4f", interval.mean());
  }

  private static String signed(double value) {
    // A difference that rounds to zero has no sign.
    return number("%+.3f", Math.abs(value) < 0.0005 ? 0.0 : value);
  }

  private static String range(Interval interval) {
    return number("%.4f", interval.low()) + "-" + number("%.4f", interval.high());
  }

  private static String signedRange(Interval interval) {
    return signed(interval.low()) + ".." + signed(interval.high());
  }

  @Override
  public String toString() {
    return page.toString();
  }
}
