package dev.precis.cli.reward;

import dev.precis.alignment.reward.ClassifierTrainer;
import dev.precis.alignment.reward.RewardTrainer;
import dev.precis.cli.report.HtmlPage;
import dev.precis.evaluation.Calibration;
import dev.precis.io.Json;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The evaluation of a reward model or a classifier on held-out data, as text, JSON and HTML.
 *
 * @param what is counted: pairs or texts
 * @param numbers by name
 */
public record RewardReport(
    String what,
    int count,
    Map<String, Double> numbers,
    Calibration calibration,
    Map<String, ClassifierTrainer.ClassReport> classes) {

  public static RewardReport of(RewardTrainer.Report report) {
    Map<String, Double> numbers = new LinkedHashMap<>();
    numbers.put("accuracy", report.calibration().accuracy());
    numbers.put("loss", report.loss());
    numbers.put("brier", report.brier());
    numbers.put("ece", report.calibration().ece());
    numbers.put("chosen_reward", report.chosen());
    numbers.put("rejected_reward", report.rejected());
    return new RewardReport("pairs", report.pairs(), numbers, report.calibration(), Map.of());
  }

  public static RewardReport of(ClassifierTrainer.Report report) {
    Map<String, Double> numbers = new LinkedHashMap<>();
    numbers.put("accuracy", report.calibration().accuracy());
    numbers.put("loss", report.loss());
    numbers.put("brier", report.brier());
    numbers.put("ece", report.calibration().ece());
    return new RewardReport(
        "texts", report.texts(), numbers, report.calibration(), report.classes());
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

  /** Returns the text as a section of the run's page. */
  public String html() {
    return "<h2>Evaluation</h2>\n<pre>" + HtmlPage.escaped(text()) + "</pre>\n";
  }
}
