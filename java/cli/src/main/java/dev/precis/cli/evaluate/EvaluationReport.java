package dev.precis.cli.evaluate;

import dev.precis.cli.common.Statistics;
import dev.precis.cli.common.TextLayout;
import dev.precis.data.Dialogue;
import dev.precis.evaluation.PairedBootstrap;
import dev.precis.evaluation.PairedBootstrap.Comparison;
import dev.precis.evaluation.PairedBootstrap.Interval;
import dev.precis.io.Json;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** What {@code precis evaluate} found, as a page or as JSON. The first result is the baseline's. */
public final class EvaluationReport {
  private static final int WIDTH = 78;
  private static final int COLUMN = 16;

  private final String data;
  private final List<Dialogue> dialogues;
  private final String generation;
  private final List<Judge> judges;
  private final List<Result> results;
  private final Frozen baseline;
  private final int examples;
  private final List<Column> columns = new ArrayList<>();
  private final int nameWidth;

  /**
   * A candidate's summaries and what they are worth.
   *
   * @param scores of each judge, for each of its columns, a number for each dialogue
   */
  public record Result(Candidate candidate, List<String> summaries, List<double[][]> scores) {}

  /**
   * One of a judge's numbers.
   *
   * @param means by candidate
   * @param deviations by candidate; null where nobody asks
   * @param comparisons with the baseline, by candidate; the baseline's is null
   */
  private record Column(
      String name, List<Interval> means, List<Double> deviations, List<Comparison> comparisons) {
    /** How much better than the baseline, in per cent of its mean; null where that is zero. */
    Double relative(int candidate) {
      double base = means.getFirst().mean();
      double difference = comparisons.get(candidate).difference().mean();
      return base == 0 ? null : (Double) (100 * difference / base);
    }
  }

  public EvaluationReport(
      String data,
      List<Dialogue> dialogues,
      String generation,
      List<Judge> judges,
      List<Result> results,
      Frozen baseline,
      PairedBootstrap bootstrap,
      int examples) {
    this.data = data;
    this.dialogues = dialogues;
    this.generation = generation;
    this.judges = judges;
    this.results = results;
    this.baseline = baseline;
    this.examples = Math.min(examples, dialogues.size());
    for (int j = 0; j < judges.size(); j++) {
      for (int c = 0; c < judges.get(j).columns().size(); c++) {
        columns.add(column(j, c, bootstrap));
      }
    }
    nameWidth = results.stream().mapToInt(r -> name(r).length()).reduce(14, Math::max) + 2;
  }

  private Column column(int judge, int column, PairedBootstrap bootstrap) {
    double[] base = results.getFirst().scores.get(judge)[column];
    List<Interval> means = new ArrayList<>();
    List<Double> deviations = new ArrayList<>();
    List<Comparison> comparisons = new ArrayList<>();
    for (Result result : results) {
      double[] scores = result.scores.get(judge)[column];
      means.add(bootstrap.mean(scores));
      deviations.add(Statistics.deviation(scores));
      comparisons.add(comparisons.isEmpty() ? null : bootstrap.compare(base, scores));
    }
    return new Column(
        judges.get(judge).columns().get(column),
        means,
        judges.get(judge).showsDeviation() ? deviations : null,
        comparisons);
  }

  private static String name(Result result) {
    return result.candidate.name();
  }

  public String text() {
    StringBuilder page = new StringBuilder();
    page.append(
        "%d %s of %s, %s\n"
            .formatted(
                dialogues.size(),
                dialogues.size() == 1 ? "dialogue" : "dialogues",
                data,
                generation));
    judges.forEach(judge -> page.append(judge.settings()).append('\n'));
    page.append("below each mean: its 95 % interval, paired bootstrap over dialogues\n\n");
    row(page, "", columns.stream().map(Column::name).toList());
    for (int i = 0; i < results.size(); i++) {
      int at = i;
      row(page, name(results.get(i)), each(column -> number("%.4f", column.means.get(at).mean())));
      row(page, "", each(column -> range("%.4f", column.means.get(at), 1)));
      if (columns.stream().anyMatch(column -> column.deviations != null)) {
        row(
            page,
            "  deviation",
            each(
                column ->
                    column.deviations == null ? "" : number("%.4f", column.deviations.get(at))));
      }
    }
    for (int i = 1; i < results.size(); i++) {
      improvement(page, i);
    }
    remarks(page);
    page.append("\nThe baseline's weights, the same before and after (SHA-256):\n");
    baseline.hashes().forEach((folder, hash) -> page.append("%s  %s\n".formatted(hash, folder)));
    for (int i = 0; i < examples; i++) {
      example(page, chosen(i));
    }
    return page.toString();
  }

  private void remarks(StringBuilder page) {
    List<String> lines = new ArrayList<>();
    judges.forEach(judge -> lines.addAll(judge.remarks()));
    for (int i = 1; i < results.size() && guards(); i++) {
      List<Column> fell = fell(i);
      int at = i;
      lines.add(
          fell.isEmpty()
              ? "guard: ROUGE of %s did not fall beyond its interval"
                  .formatted(name(results.get(i)))
              : "guard: %s gave up ROUGE: %s points, the intervals below zero"
                  .formatted(
                      name(results.get(i)),
                      String.join(
                          ", ",
                          fell.stream()
                              .map(
                                  c ->
                                      c.name
                                          + number(
                                              " %+.2f",
                                              100 * c.comparisons.get(at).difference().mean()))
                              .toList())));
    }
    if (!lines.isEmpty()) {
      page.append('\n');
      lines.forEach(line -> page.append(line).append('\n'));
    }
  }

  /** Whether there is ROUGE, and something that it may have been given up for. */
  private boolean guards() {
    return columns.stream().anyMatch(column -> column.name.equals(ToxicityJudge.COLUMN))
        && columns.stream().anyMatch(column -> column.name.startsWith("rouge"));
  }

  /** Where a candidate is worse than the baseline by more than chance. */
  private List<Column> fell(int candidate) {
    return columns.stream()
        .filter(column -> column.name.startsWith("rouge"))
        .filter(column -> column.comparisons.get(candidate).difference().high() < 0)
        .toList();
  }

  private interface Cell {
    String of(Column column);
  }

  private List<String> each(Cell cell) {
    return columns.stream().map(cell::of).toList();
  }

  private void row(StringBuilder page, String name, List<String> cells) {
    StringBuilder line = new StringBuilder(pad(name, nameWidth));
    cells.forEach(cell -> line.append(pad(cell, COLUMN)));
    page.append(line.toString().stripTrailing()).append('\n');
  }

  private static String pad(String text, int width) {
    return text + " ".repeat(Math.max(1, width - text.length()));
  }

  private static String number(String format, double value) {
    return String.format(Locale.ROOT, format, value);
  }

  private static String range(String format, Interval interval, double scale) {
    return number(format, scale * interval.low()) + "-" + number(format, scale * interval.high());
  }

  private void improvement(StringBuilder page, int candidate) {
    page.append(
        "\n%s minus %s, in points of 100\n"
            .formatted(name(results.get(candidate)), name(results.getFirst())));
    row(
        page,
        "absolute",
        each(c -> number("%+.2f", 100 * c.comparisons.get(candidate).difference().mean())));
    row(
        page,
        "95 % interval",
        each(
            c -> {
              Interval difference = c.comparisons.get(candidate).difference();
              return number("%+.2f", 100 * difference.low())
                  + ".."
                  + number("%+.2f", 100 * difference.high());
            }));
    row(
        page,
        "relative",
        each(c -> c.relative(candidate) == null ? "-" : number("%+.1f %%", c.relative(candidate))));
    row(page, "p", each(c -> number("%.4f", c.comparisons.get(candidate).pValue())));
  }

  /** Examples are spread over the whole file: neighbours are often alike. */
  private int chosen(int example) {
    return (int) ((long) example * dialogues.size() / examples);
  }

  private void example(StringBuilder page, int index) {
    Dialogue dialogue = dialogues.get(index);
    String title = "-- " + dialogue.id() + " ";
    page.append('\n').append(title).append("-".repeat(Math.max(0, WIDTH - title.length())));
    page.append('\n');
    for (String line : dialogue.dialogue().split("\n")) {
      TextLayout.wrap(line, WIDTH).forEach(part -> page.append(part).append('\n'));
    }
    page.append('\n');
    dialogue.summaries().forEach(summary -> hanging(page, "human baseline", summary));
    for (Result result : results) {
      hanging(page, name(result), result.summaries.get(index));
    }
  }

  private void hanging(StringBuilder page, String name, String text) {
    List<String> lines = TextLayout.wrap(text, Math.max(20, WIDTH - nameWidth));
    for (int i = 0; i < lines.size(); i++) {
      String line = pad(i == 0 ? name : "", nameWidth) + lines.get(i);
      page.append(line.stripTrailing()).append('\n');
    }
  }

  public String json() {
    Map<String, Object> object = new LinkedHashMap<>();
    object.put("data", data);
    object.put("dialogues", dialogues.size());
    object.put("generation", generation);
    object.put("metrics", judges.stream().map(Judge::settings).toList());
    List<String> remarks = judges.stream().flatMap(judge -> judge.remarks().stream()).toList();
    if (!remarks.isEmpty()) {
      object.put("remarks", remarks);
    }
    Map<String, String> hashes = new LinkedHashMap<>();
    for (Map.Entry<Path, String> each : baseline.hashes().entrySet()) {
      hashes.put(each.getKey().toString(), each.getValue());
    }
    object.put("baseline_sha256", hashes);
    List<Object> candidates = new ArrayList<>();
    for (int i = 0; i < results.size(); i++) {
      candidates.add(candidateJson(i));
    }
    object.put("candidates", candidates);
    List<Object> shown = new ArrayList<>();
    for (int i = 0; i < examples; i++) {
      shown.add(exampleJson(chosen(i)));
    }
    object.put("examples", shown);
    return Json.mapper().writeValueAsString(object) + System.lineSeparator();
  }

  private Map<String, Object> candidateJson(int index) {
    Candidate candidate = results.get(index).candidate;
    Map<String, Object> object = new LinkedHashMap<>();
    object.put("name", candidate.name());
    object.put("model", candidate.model().toString());
    object.put("adapters", candidate.adapters().stream().map(Path::toString).toList());
    Map<String, Object> scores = new LinkedHashMap<>();
    Map<String, Object> improvements = new LinkedHashMap<>();
    for (Column column : columns) {
      Map<String, Object> score = new LinkedHashMap<>();
      put(score, "mean", column.means.get(index));
      if (column.deviations != null) {
        score.put("deviation", column.deviations.get(index));
      }
      scores.put(column.name, score);
      if (index > 0) {
        Comparison comparison = column.comparisons.get(index);
        Map<String, Object> improvement = new LinkedHashMap<>();
        put(improvement, "absolute", comparison.difference());
        improvement.put("relative_percent", column.relative(index));
        improvement.put("p_value", comparison.pValue());
        improvements.put(column.name, improvement);
      }
    }
    object.put("scores", scores);
    if (index > 0) {
      object.put("improvement", improvements);
      if (guards()) {
        object.put("rouge_fell", fell(index).stream().map(Column::name).toList());
      }
    }
    return object;
  }

  private static void put(Map<String, Object> object, String name, Interval interval) {
    object.put(name, interval.mean());
    object.put("low", interval.low());
    object.put("high", interval.high());
  }

  private Map<String, Object> exampleJson(int index) {
    Dialogue dialogue = dialogues.get(index);
    Map<String, Object> object = new LinkedHashMap<>();
    object.put("id", dialogue.id());
    object.put("dialogue", dialogue.dialogue());
    object.put("references", dialogue.summaries());
    Map<String, String> summaries = new LinkedHashMap<>();
    results.forEach(result -> summaries.put(name(result), result.summaries.get(index)));
    object.put("summaries", summaries);
    return object;
  }
}
