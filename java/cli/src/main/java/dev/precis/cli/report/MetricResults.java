package dev.precis.cli.report;

import dev.precis.cli.chart.Series;
import dev.precis.evaluation.PairedBootstrap;
import dev.precis.evaluation.PairedBootstrap.Interval;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Finds in a run's metrics what became better. The best evaluation is compared with the first one
 * of the run, and the mean of the first tenth of the steps with that of the last tenth, with a
 * bootstrap interval over the steps.
 */
final class MetricResults {
  private static final int SMALLEST_TENTH = 3;
  private static final int LARGEST_TENTH = 500;

  private static final Map<String, String> NAMES =
      Map.of(
          "eval_rouge1", "ROUGE-1 on the evaluation data",
          "eval_rouge2", "ROUGE-2 on the evaluation data",
          "eval_rougeL", "ROUGE-L on the evaluation data",
          "eval_rougeLsum", "ROUGE-Lsum on the evaluation data",
          "eval_accuracy", "Accuracy on the evaluation data",
          "eval_rewards/accuracies", "Reward accuracy on the evaluation data",
          "eval_loss", "The evaluation loss",
          "env/reward_mean", "The mean score of the responses",
          "rewards/accuracies", "The reward accuracy on the training data",
          "loss", "The training loss");

  private static final List<String> EVALUATIONS =
      List.of(
          "eval_rouge1", "eval_rougeL", "eval_accuracy", "eval_rewards/accuracies", "eval_loss");

  /** The first of these that a run has tells how its steps went. */
  private static final List<String> STEPS =
      List.of("env/reward_mean", "rewards/accuracies", "loss");

  private final List<ObjectNode> metrics;
  private final List<Result> results = new ArrayList<>();

  private MetricResults(List<ObjectNode> metrics) {
    this.metrics = metrics;
  }

  /** Returns the results, the most telling first. */
  static List<Result> of(List<ObjectNode> metrics) {
    MetricResults found = new MetricResults(metrics);
    EVALUATIONS.forEach(found::evaluation);
    STEPS.stream()
        .filter(key -> Series.of("", metrics, key).size() > 0)
        .findFirst()
        .ifPresent(found::steps);
    return found.results;
  }

  private static boolean higherIsBetter(String key) {
    return !key.endsWith("loss");
  }

  private void evaluation(String key) {
    Series curve = Series.of("", metrics, key);
    if (curve.size() == 0) {
      return;
    }
    double[] values = curve.y();
    int best = 0;
    for (int i = 1; i < values.length; i++) {
      boolean better = higherIsBetter(key) ? values[i] > values[best] : values[i] < values[best];
      best = better ? i : best;
    }
    if (values.length == 1) {
      String at = "evaluated once, at step %,.0f".formatted(curve.x()[0]);
      results.add(new Result(NAMES.get(key), Double.NaN, values[0], null, higherIsBetter(key), at));
    } else {
      String basis =
          "the first evaluation, at step %,.0f, and the best of %,d, at step %,.0f"
              .formatted(curve.x()[0], values.length, curve.x()[best]);
      Interval change = change(key, curve.x()[best], values[best] - values[0]);
      results.add(
          new Result(
              NAMES.get(key),
              values[0],
              values[best],
              change,
              higherIsBetter(key),
              change == null ? basis : basis + ", paired bootstrap over the evaluation data"));
    }
  }

  /** Returns the interval of the change since the first evaluation; null where it is unknown. */
  private Interval change(String key, double step, double difference) {
    for (ObjectNode line : metrics) {
      JsonNode ends = line.path(key + "_change_95");
      if (line.get("step").doubleValue() == step
          && ends.path(0).isNumber()
          && ends.path(1).isNumber()) {
        return new Interval(difference, ends.get(0).doubleValue(), ends.get(1).doubleValue());
      }
    }
    return null;
  }

  private void steps(String key) {
    double[] values = Series.of("", metrics, key).y();
    int n = values.length;
    int tenth = Math.min(n / 10, LARGEST_TENTH);
    if (tenth < SMALLEST_TENTH) {
      String basis = n == 1 ? "the only step" : "the first step and the last of %,d".formatted(n);
      double before = n == 1 ? Double.NaN : values[0];
      results.add(
          new Result(NAMES.get(key), before, values[n - 1], null, higherIsBetter(key), basis));
      return;
    }
    double[] first = Arrays.copyOf(values, tenth);
    double[] last = Arrays.copyOfRange(values, n - tenth, n);
    Interval difference = new PairedBootstrap(0).compare(first, last).difference();
    results.add(
        new Result(
            NAMES.get(key),
            Arrays.stream(first).average().orElseThrow(),
            Arrays.stream(last).average().orElseThrow(),
            difference,
            higherIsBetter(key),
            "means of the first and of the last %,d of %,d steps, bootstrap over steps"
                .formatted(tenth, n)));
  }
}
