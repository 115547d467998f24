package dev.precis.cli.evaluate;

import dev.precis.cli.common.Statistics;
import dev.precis.data.Dialogue;
import dev.precis.evaluation.PairedBootstrap;
import dev.precis.evaluation.PairedBootstrap.Comparison;
import dev.precis.evaluation.PairedBootstrap.Interval;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** The numbers that {@code precis evaluate} reports. The first result is the baseline's. */
final class EvaluationReport {
  private final Setting setting;
  private final List<Metric> metrics;
  private final List<EvaluationResult> results;
  private final List<Column> columns = new ArrayList<>();

  /**
   * Describes the evaluation.
   *
   * @param data the file, as it was named
   * @param generation how summaries were generated, in a few words
   * @param baselineHashes SHA-256 of the baseline's weights, by folder
   * @param examples how many dialogues are shown whole
   */
  record Setting(
      String data,
      List<Dialogue> dialogues,
      String generation,
      Map<Path, String> baselineHashes,
      int examples) {}

  /**
   * One of a metric's numbers.
   *
   * @param means by candidate
   * @param deviations by candidate; null where the metric shows none
   * @param comparisons with the baseline, by candidate; the baseline's is null
   */
  record Column(
      String name, List<Interval> means, List<Double> deviations, List<Comparison> comparisons) {
    /** Returns whether a larger number is better: of ROUGE and facts, not of a loss or toxicity. */
    boolean higherIsBetter() {
      return name.startsWith("rouge") || name.equals(FactMetric.COLUMN);
    }

    /** The improvement over the baseline in percent of its mean; null where that is zero. */
    Double relative(int candidate) {
      double base = means.getFirst().mean();
      double difference = comparisons.get(candidate).difference().mean();
      return base == 0 ? null : (Double) (100 * difference / base);
    }
  }

  EvaluationReport(
      Setting setting,
      List<Metric> metrics,
      List<EvaluationResult> results,
      PairedBootstrap bootstrap) {
    this.setting = setting;
    this.metrics = metrics;
    this.results = results;
    for (int m = 0; m < metrics.size(); m++) {
      for (int c = 0; c < metrics.get(m).columns().size(); c++) {
        columns.add(column(m, c, bootstrap));
      }
    }
  }

  private Column column(int metric, int column, PairedBootstrap bootstrap) {
    double[] base = results.getFirst().scores().get(metric)[column];
    List<Interval> means = new ArrayList<>();
    List<Double> deviations = new ArrayList<>();
    List<Comparison> comparisons = new ArrayList<>();
    for (EvaluationResult result : results) {
      double[] scores = result.scores().get(metric)[column];
      means.add(bootstrap.mean(scores));
      deviations.add(Statistics.deviation(scores));
      comparisons.add(comparisons.isEmpty() ? null : bootstrap.compare(base, scores));
    }
    return new Column(
        metrics.get(metric).columns().get(column),
        means,
        metrics.get(metric).showsDeviation() ? deviations : null,
        comparisons);
  }

  Setting setting() {
    return setting;
  }

  List<EvaluationResult> results() {
    return results;
  }

  List<Column> columns() {
    return columns;
  }

  /** The settings of each metric, in a line. */
  List<String> settings() {
    return metrics.stream().map(Metric::settings).toList();
  }

  /** Returns the metrics' further remarks, a line each. */
  List<String> remarks() {
    return metrics.stream().flatMap(metric -> metric.remarks().stream()).toList();
  }

  /** Returns whether there is ROUGE, and something that it may have been given up for. */
  boolean guardsRouge() {
    return columns.stream().anyMatch(column -> column.name.equals(ToxicityMetric.COLUMN))
        && columns.stream().anyMatch(column -> column.name.startsWith("rouge"));
  }

  /** The columns of ROUGE in which a candidate is worse than the baseline by more than chance. */
  List<Column> fell(int candidate) {
    return columns.stream()
        .filter(column -> column.name.startsWith("rouge"))
        .filter(column -> column.comparisons.get(candidate).difference().high() < 0)
        .toList();
  }

  /**
   * The dialogues that are shown: spread over the whole file, because neighbors are often alike.
   */
  List<Integer> examples() {
    return examples(setting.examples);
  }

  /** Returns so many dialogues, or all where there are fewer; see {@link #examples()}. */
  List<Integer> examples(int wanted) {
    int count = Math.min(wanted, setting.dialogues.size());
    List<Integer> chosen = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      chosen.add((int) ((long) i * setting.dialogues.size() / count));
    }
    return chosen;
  }
}
