package dev.precis.cli.reward;

import dev.precis.alignment.reward.ClassifierTrainer;
import dev.precis.alignment.reward.LabelledExample;
import dev.precis.alignment.reward.PairExample;
import dev.precis.alignment.reward.RewardTrainer;
import dev.precis.cli.chart.LineChart;
import dev.precis.cli.chart.Series;
import dev.precis.cli.page.Cards;
import dev.precis.cli.page.HtmlPage;
import dev.precis.cli.page.HtmlTable;
import dev.precis.cli.report.Curves;
import dev.precis.cli.report.Result;
import dev.precis.cli.report.RunReport;
import dev.precis.evaluation.Calibration;
import dev.precis.evaluation.PairedBootstrap.Interval;
import dev.precis.evaluation.Proportion;
import dev.precis.io.Json;
import dev.precis.text.Tokenizer;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The evaluation of a reward model or a classifier on held-out data, as text, JSON and HTML.
 *
 * @param what is counted: pairs or texts
 * @param numbers by name
 * @param cards the held-out data, with what was predicted
 */
public record RewardReport(
    String what,
    int count,
    Map<String, Double> numbers,
    Calibration calibration,
    Map<String, ClassifierTrainer.ClassReport> classes,
    Cards cards) {

  /** Returns the evaluation of a reward model on pairs. */
  static RewardReport of(
      RewardTrainer.Report report, List<PairExample> pairs, Tokenizer tokenizer) {
    Map<String, Double> numbers = new LinkedHashMap<>();
    numbers.put("accuracy", report.calibration().accuracy());
    numbers.put("loss", report.loss());
    numbers.put("brier", report.brier());
    numbers.put("ece", report.calibration().ece());
    numbers.put("chosen_reward", report.chosen());
    numbers.put("rejected_reward", report.rejected());
    return new RewardReport(
        "pairs",
        report.pairs(),
        numbers,
        report.calibration(),
        Map.of(),
        HeldOutCards.ofPairs(tokenizer, pairs, report.rewards()));
  }

  /** Returns the evaluation of a classifier on texts. */
  static RewardReport of(
      ClassifierTrainer.Report report,
      List<LabelledExample> texts,
      List<String> labels,
      Tokenizer tokenizer) {
    Map<String, Double> numbers = new LinkedHashMap<>();
    numbers.put("accuracy", report.calibration().accuracy());
    numbers.put("loss", report.loss());
    numbers.put("brier", report.brier());
    numbers.put("ece", report.calibration().ece());
    return new RewardReport(
        "texts",
        report.texts(),
        numbers,
        report.calibration(),
        report.classes(),
        HeldOutCards.ofTexts(tokenizer, texts, labels, report.probabilities()));
  }

  public String text() {
    StringBuilder page = new StringBuilder();
    page.append("On %,d held-out %s:\n".formatted(count, what));
    numbers.forEach(
        (name, value) ->
            page.append("  %-16s%s\n".formatted(name.replace('_', ' '), number(value))));
    if (!classes.isEmpty()) {
      page.append("\n  %-16s%8s%12s%9s\n".formatted("label", "texts", "precision", "recall"));
      classes.forEach(
          (label, each) ->
              page.append(
                  "  %-16s%8d%12s%9s\n"
                      .formatted(
                          label, each.texts(), number(each.precision()), number(each.recall()))));
    }
    page.append(
        "\n  %-16s%8s%12s%10s\n".formatted("confidence bin", what, "confidence", "accuracy"));
    for (Calibration.Bin bin : calibration.bins()) {
      if (bin.count() > 0) {
        page.append(
            "  %-16s%8d%12s%10s\n"
                .formatted(
                    range(bin), bin.count(), number(bin.confidence()), number(bin.accuracy())));
      }
    }
    return page.toString();
  }

  private static String number(double value) {
    return Double.isNaN(value) ? "-" : String.format(Locale.ROOT, "%.4f", value);
  }

  private static String range(Calibration.Bin bin) {
    return String.format(Locale.ROOT, "%.2f to %.2f", bin.low(), bin.high());
  }

  public ObjectNode json() {
    ObjectNode json = Json.mapper().createObjectNode();
    json.put(what, count);
    numbers.forEach(json::put);
    if (!classes.isEmpty()) {
      ObjectNode all = json.putObject("classes");
      classes.forEach(
          (label, each) -> {
            ObjectNode one = all.putObject(label);
            one.put("texts", each.texts());
            put(one, "precision", each.precision());
            put(one, "recall", each.recall());
          });
    }
    ArrayNode bins = json.putArray("bins");
    for (Calibration.Bin bin : calibration.bins()) {
      ObjectNode one = bins.addObject();
      one.put("low", bin.low());
      one.put("high", bin.high());
      one.put("count", bin.count());
      put(one, "confidence", bin.confidence());
      put(one, "accuracy", bin.accuracy());
    }
    return json;
  }

  /** Adds a number; JSON has no NaN, so unknown values are null. */
  private static void put(ObjectNode json, String key, double value) {
    if (Double.isNaN(value)) {
      json.putNull(key);
    } else {
      json.put(key, value);
    }
  }

  /** Adds the accuracy, tables and the calibration to the run's report. */
  void addTo(RunReport report) {
    report.results(
        List.of(
            new Result(
                "The accuracy on held-out " + what,
                Double.NaN,
                calibration.accuracy(),
                accuracyInterval(),
                true,
                what.equals("pairs")
                    ? "%,d pairs; a coin has 0.5; Wilson interval".formatted(count)
                    : "%,d texts; Wilson interval".formatted(count))));
    HtmlTable table =
        new HtmlTable(
            "On %,d held-out %s".formatted(count, what), true, List.of("measure", "value"));
    numbers.forEach((name, value) -> table.row(name.replace('_', ' '), List.of(number(value))));
    report.section("Evaluation", table.html() + classesHtml() + calibrationHtml());
    report.lastSection("Examples", cards.html());
  }

  /** Returns the accuracy with its Wilson interval. */
  Interval accuracyInterval() {
    return Proportion.wilson(calibration.accuracy(), count);
  }

  private String classesHtml() {
    if (classes.isEmpty()) {
      return "";
    }
    HtmlTable table =
        new HtmlTable("Labels", true, List.of("label", "texts", "precision", "recall"));
    classes.forEach(
        (label, each) ->
            table.row(
                label,
                List.of(
                    "%,d".formatted(each.texts()),
                    number(each.precision()),
                    number(each.recall()))));
    return table.html();
  }

  /** Draws the accuracy over the confidence; that of a calibrated model is the diagonal. */
  private String calibrationHtml() {
    List<Calibration.Bin> bins =
        calibration.bins().stream().filter(bin -> bin.count() > 0).toList();
    double[] confidence = bins.stream().mapToDouble(Calibration.Bin::confidence).toArray();
    double[] accuracy = bins.stream().mapToDouble(Calibration.Bin::accuracy).toArray();
    double[] ends = {calibration.bins().getFirst().low(), 1};
    LineChart chart =
        LineChart.over(
            "mean confidence",
            "Accuracy by confidence",
            List.of(
                new Series("this model", confidence, accuracy),
                new Series("calibrated", ends, ends)));
    HtmlTable table =
        new HtmlTable(
            "Confidence bins", true, List.of("confidence", what, "mean confidence", "accuracy"));
    bins.forEach(
        bin ->
            table.row(
                range(bin),
                List.of(
                    "%,d".formatted(bin.count()),
                    number(bin.confidence()),
                    number(bin.accuracy()))));
    return Curves.grid(List.of(chart.html()))
        + HtmlPage.foldedHtml("Confidence bins", table.html());
  }
}
