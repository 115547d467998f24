package dev.precis.cli.compare;

import dev.precis.cli.common.TextLayout;
import dev.precis.cli.page.Numbers;
import dev.precis.cli.report.Result;
import java.util.ArrayList;
import java.util.List;

/** A comparison of runs as a table of 80 columns; runs that do not fit come in a further block. */
final class RunTable {
  private static final int WIDTH = 80;
  private static final int NAME = 32;
  private static final int COLUMN = 16;

  /** A line of the table; without cells a heading. */
  private record Row(String name, List<String> cells) {}

  private final RunComparison comparison;
  private final StringBuilder text = new StringBuilder();

  RunTable(RunComparison comparison) {
    this.comparison = comparison;
    List<ComparedRun> runs = comparison.runs();
    for (int i = 0; i < runs.size(); i++) {
      lines((i + 1) + "", runs.get(i).name() + ": " + runs.get(i).title());
    }
    List<Row> rows = rows();
    int together = (WIDTH - NAME) / COLUMN;
    for (int from = 0; from < runs.size(); from += together) {
      int to = Math.min(runs.size(), from + together);
      text.append('\n');
      List<String> heads = new ArrayList<>();
      for (int i = from; i < to; i++) {
        heads.add((i + 1) + " " + runs.get(i).name());
      }
      print("", heads);
      for (Row row : rows) {
        print(row.name, row.cells.isEmpty() ? List.of() : row.cells.subList(from, to));
      }
    }
    if (!comparison.warning().isEmpty()) {
      text.append('\n');
      lines("", comparison.warning());
    }
  }

  private void lines(String name, String words) {
    int indent = name.isEmpty() ? 0 : 4;
    TextLayout.hanging(name, indent, words, WIDTH - 2 - indent)
        .forEach(line -> text.append(line).append('\n'));
  }

  private List<Row> rows() {
    List<Row> rows = new ArrayList<>();
    rows.add(new Row("Results (*: the best)", List.of()));
    for (String name : comparison.resultNames()) {
      List<Result> results = comparison.results(name);
      int best = RunComparison.best(results);
      List<String> cells = new ArrayList<>();
      for (int i = 0; i < results.size(); i++) {
        Result each = results.get(i);
        cells.add(
            each == null ? RunComparison.NONE : Numbers.of(each.after()) + (i == best ? " *" : ""));
      }
      rows.add(new Row(name, cells));
    }
    rows.add(new Row("Cost", List.of()));
    comparison.costs().forEach((name, cells) -> rows.add(new Row(name, cells)));
    if (!comparison.differingOptions().isEmpty()) {
      rows.add(new Row("Options that differ", List.of()));
      comparison.differingOptions().forEach((name, cells) -> rows.add(new Row(name, cells)));
    }
    return rows;
  }

  /** Prints a row; a name that is too long has lines of its own above the cells. */
  private void print(String name, List<String> cells) {
    String shown = cells.isEmpty() ? name : "  " + name;
    List<String> names = TextLayout.wrap(shown.strip(), cells.isEmpty() ? WIDTH - 1 : NAME - 4);
    for (String line : names.subList(0, names.size() - 1)) {
      text.append(cells.isEmpty() ? "" : "  ").append(line).append('\n');
    }
    StringBuilder line = new StringBuilder(cells.isEmpty() ? "" : "  ");
    line.append(names.getLast());
    line.append(" ".repeat(Math.max(1, NAME - line.length())));
    cells.forEach(cell -> line.append(pad(cell)));
    text.append(line.toString().stripTrailing()).append('\n');
  }

  /** Returns a cell of one column; of a text that is too long its end, in which paths differ. */
  private static String pad(String cell) {
    String line = cell.replaceAll("\\s+", " ");
    int width = COLUMN - 1;
    String shown =
        line.length() <= width ? line : "..." + line.substring(line.length() - width + 3);
    return shown + " ".repeat(COLUMN - shown.length());
  }

  @Override
  public String toString() {
    return text.toString();
  }
}
