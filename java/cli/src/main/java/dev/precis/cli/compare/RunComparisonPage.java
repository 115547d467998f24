package dev.precis.cli.compare;

import dev.precis.cli.page.Html;
import dev.precis.cli.page.HtmlPage;
import dev.precis.cli.page.HtmlTable;
import dev.precis.cli.page.Numbers;
import dev.precis.cli.report.Curve;
import dev.precis.cli.report.Curves;
import dev.precis.cli.report.Result;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import tools.jackson.databind.node.ObjectNode;

/** A comparison of runs as an HTML page: results and costs, options, and curves over each other. */
record RunComparisonPage(RunComparison comparison) {
  private static final int SHOWN = 6;
  private static final int OTHERS = 40;

  /** Numbers of a line that only say where it is in the run. */
  private static final Set<String> POSITION = Set.of("step", "epoch", "tokens");

  /** So many lines at the end of the metrics are searched for what reports do not show. */
  private static final int NEWEST = 100;

  /** Returns the page. */
  String html() {
    List<ComparedRun> runs = comparison.runs();
    List<String> names = runs.stream().map(ComparedRun::name).toList();
    HtmlPage page =
        new HtmlPage(
            "Comparison of %s and %s"
                .formatted(String.join(", ", names.subList(0, names.size() - 1)), names.getLast()));
    StringBuilder head = new StringBuilder("<ul class=\"results\">\n");
    comparison.resultNames().forEach(name -> best(head, name));
    for (ComparedRun run : runs) {
      head.append(
          "<li><b>%s</b>: %s</li>\n".formatted(Html.text(run.name()), Html.text(run.title())));
    }
    page.add(head.append("</ul>\n"));
    if (!comparison.warning().isEmpty()) {
      page.add("<p class=\"warning\">" + Html.text(comparison.warning()) + "</p>\n");
    }
    page.section("Results and costs", results(names) + table("Costs", comparison.costs(), names));
    page.section(
        "Options that differ",
        comparison.differingOptions().isEmpty()
            ? "<p>None.</p>\n"
            : table("Options", comparison.differingOptions(), names));
    page.section("Curves", curves());
    return page.render();
  }

  /** Adds a sentence about the best of several runs, and the one that comes next. */
  private void best(StringBuilder head, String name) {
    List<Result> results = comparison.results(name);
    int best = RunComparison.best(results);
    if (best < 0) {
      return;
    }
    List<Result> others = new ArrayList<>(results);
    others.set(best, null);
    int next = RunComparison.leader(others);
    head.append(
        "<li class=\"better\"><b>%s</b> is the best in \u201c%s\u201d: %s. %s comes next: %s.</li>\n"
            .formatted(
                Html.text(comparison.runs().get(best).name()),
                Html.text(name),
                Numbers.of(results.get(best).after()),
                Html.text(comparison.runs().get(next).name()),
                Numbers.of(results.get(next).after())));
  }

  private static List<String> columns(String first, List<String> names) {
    List<String> columns = new ArrayList<>(List.of(first));
    columns.addAll(names);
    return columns;
  }

  private String results(List<String> names) {
    HtmlTable table =
        new HtmlTable(
            "Results, and in parentheses their change during the run; * marks the best",
            true,
            columns("result", names));
    for (String name : comparison.resultNames()) {
      List<Result> results = comparison.results(name);
      int best = RunComparison.best(results);
      List<String> cells = new ArrayList<>();
      for (int i = 0; i < results.size(); i++) {
        cells.add(cell(results.get(i)) + (i == best ? " *" : ""));
      }
      table.row(name, cells);
    }
    return table.html();
  }

  private static String cell(Result result) {
    if (result == null) {
      return RunComparison.NONE;
    }
    return result.compares()
        ? "%s (%s)"
            .formatted(Numbers.of(result.after()), Numbers.signed(result.after() - result.before()))
        : Numbers.of(result.after());
  }

  private static String table(String caption, Map<String, List<String>> rows, List<String> names) {
    HtmlTable table = new HtmlTable(caption, false, columns("name", names));
    rows.forEach(table::row);
    return table.html();
  }

  private String curves() {
    Map<String, List<ObjectNode>> metrics = new LinkedHashMap<>();
    comparison.runs().forEach(run -> metrics.put(run.name(), run.metrics()));
    List<Curve> curves = new ArrayList<>(Curves.ofAllKinds());
    Set<String> known = curves.stream().map(Curve::key).collect(Collectors.toSet());
    known.addAll(POSITION);
    // A number that reports do not show by themselves can still be worth a comparison.
    others(known).forEach(key -> curves.add(new Curve(key, key, false)));
    return Curves.html(curves, metrics, SHOWN);
  }

  private List<String> others(Set<String> known) {
    Set<String> keys = new TreeSet<>();
    for (ComparedRun run : comparison.runs()) {
      List<ObjectNode> lines = run.metrics();
      for (ObjectNode line : lines.subList(Math.max(0, lines.size() - NEWEST), lines.size())) {
        line.propertyNames().stream()
            .filter(key -> line.get(key).isNumber() && !known.contains(key))
            .forEach(keys::add);
      }
    }
    return keys.stream().limit(OTHERS).toList();
  }
}
