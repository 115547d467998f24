package dev.precis.cli.evaluate;

import dev.precis.cli.common.TextLayout;
import dev.precis.cli.evaluate.EvaluationReport.Column;
import dev.precis.data.Dialogue;
import dev.precis.evaluation.PairedBootstrap.Interval;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;

/** An evaluation as a page for the terminal. */
final class EvaluationTable {
  private static final int WIDTH = 78;
  private static final int COLUMN = 16;
  private static final int LONGEST_NAME = 28;

  /** A line of a table: a cell for each of the report's columns. */
  private record Row(String name, List<String> cells) {}

  private final EvaluationReport report;
  private final List<EvaluationResult> results;
  private final int nameWidth;
  private final StringBuilder page = new StringBuilder();
  private final List<Row> rows = new ArrayList<>();

  /**
   * Makes the page.
   *
   * @param examples dialogues that are shown whole
   */
  EvaluationTable(EvaluationReport report, List<Integer> examples) {
    this.report = report;
    results = report.results();
    int longest = results.stream().mapToInt(r -> r.name().length()).reduce(14, Math::max);
    nameWidth = Math.min(longest, LONGEST_NAME) + 2;
    header();
    means();
    for (int i = 1; i < results.size(); i++) {
      improvement(i);
    }
    remarks();
    page.append(
        "\nThe baseline's %s, unchanged by the evaluation (SHA-256):\n"
            .formatted(results.getFirst().candidate().isFile() ? "summaries" : "weights"));
    report
        .setting()
        .baselineHashes()
        .forEach((folder, hash) -> page.append("%s  %s\n".formatted(hash, folder)));
    examples.forEach(this::example);
  }

  private void header() {
    int count = report.setting().dialogues().size();
    // A line with the name of a file stays whole, so that it can be copied.
    page.append(
        "%d %s of %s, %s\n"
            .formatted(
                count,
                count == 1 ? "dialogue" : "dialogues",
                report.setting().data(),
                report.setting().generation()));
    report.settings().forEach(this::wrapped);
    page.append("below each mean: its 95 % interval, paired bootstrap over dialogues\n\n");
  }

  private void means() {
    row("", report.columns().stream().map(Column::name).toList());
    for (int i = 0; i < results.size(); i++) {
      int at = i;
      row(results.get(i).name(), each(column -> number("%.4f", column.means().get(at).mean())));
      row("", each(column -> range("%.4f", column.means().get(at))));
      if (report.columns().stream().anyMatch(column -> column.deviations() != null)) {
        row(
            "  deviation",
            each(
                column ->
                    column.deviations() == null
                        ? ""
                        : number("%.4f", column.deviations().get(at))));
      }
    }
    table();
  }

  private void improvement(int candidate) {
    page.append(
        "\n%s minus %s, in points of 100\n"
            .formatted(results.get(candidate).name(), results.getFirst().name()));
    row(
        "absolute",
        each(c -> number("%+.2f", 100 * c.comparisons().get(candidate).difference().mean())));
    row(
        "95 % interval",
        each(
            c -> {
              Interval difference = c.comparisons().get(candidate).difference();
              return number("%+.2f", 100 * difference.low())
                  + ".."
                  + number("%+.2f", 100 * difference.high());
            }));
    row(
        "relative",
        each(c -> c.relative(candidate) == null ? "-" : number("%+.1f %%", c.relative(candidate))));
    row("p", each(c -> number("%.4f", c.comparisons().get(candidate).pValue())));
    table();
  }

  private void remarks() {
    List<String> lines = new ArrayList<>(report.remarks());
    for (int i = 1; i < results.size() && report.guardsRouge(); i++) {
      lines.add(guard(i, report.fell(i)));
    }
    if (!lines.isEmpty()) {
      page.append('\n');
      lines.forEach(this::wrapped);
    }
  }

  private void wrapped(String text) {
    TextLayout.wrapWords(text, WIDTH).forEach(line -> page.append(line).append('\n'));
  }

  private String guard(int candidate, List<Column> fell) {
    String name = results.get(candidate).name();
    if (fell.isEmpty()) {
      return "guard: ROUGE of %s did not fall significantly".formatted(name);
    }
    List<String> points =
        fell.stream()
            .map(
                c ->
                    c.name()
                        + number(
                            " %+.2f", 100 * c.comparisons().get(candidate).difference().mean()))
            .toList();
    return "guard: %s lost ROUGE: %s points, the 95 %% intervals are below zero"
        .formatted(name, String.join(", ", points));
  }

  private List<String> each(Function<Column, String> cell) {
    return report.columns().stream().map(cell).toList();
  }

  private void row(String name, List<String> cells) {
    rows.add(new Row(name, cells));
  }

  /** Prints the rows: as many columns beside each other as fit, the others below. */
  private void table() {
    // The last column needs no space behind it.
    int together = Math.max(1, (WIDTH + 2 - nameWidth) / COLUMN);
    int columns = report.columns().size();
    for (int from = 0; from < columns; from += together) {
      if (from > 0) {
        page.append('\n');
      }
      for (Row row : rows) {
        print(row.name, row.cells.subList(from, Math.min(columns, from + together)));
      }
    }
    rows.clear();
  }

  private void print(String name, List<String> cells) {
    boolean apart = name.length() > nameWidth - 2;
    if (apart) {
      page.append(name).append('\n');
    }
    StringBuilder line = new StringBuilder(pad(apart ? "" : name, nameWidth));
    cells.forEach(cell -> line.append(pad(cell, COLUMN)));
    page.append(line.toString().stripTrailing()).append('\n');
  }

  private static String pad(String text, int width) {
    return text + " ".repeat(Math.max(1, width - text.length()));
  }

  private static String number(String format, double value) {
    return String.format(Locale.ROOT, format, value);
  }

  private static String range(String format, Interval interval) {
    return number(format, interval.low()) + "-" + number(format, interval.high());
  }

  private void example(int index) {
    Dialogue dialogue = report.setting().dialogues().get(index);
    page.append('\n').append(TextLayout.title(dialogue.id(), WIDTH)).append('\n');
    for (String line : dialogue.dialogue().split("\n")) {
      TextLayout.wrap(line, WIDTH).forEach(part -> page.append(part).append('\n'));
    }
    page.append('\n');
    dialogue.summaries().forEach(summary -> hanging("human baseline", summary));
    for (EvaluationResult result : results) {
      hanging(result.name(), result.summaries().get(index));
    }
  }

  private void hanging(String name, String text) {
    if (name.length() > nameWidth - 2) {
      page.append(name).append('\n');
      name = "";
    }
    TextLayout.hanging(name, nameWidth, text, Math.max(20, WIDTH - nameWidth))
        .forEach(line -> page.append(line).append('\n'));
  }

  @Override
  public String toString() {
    return page.toString();
  }
}
