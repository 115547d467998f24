package dev.precis.cli.report;

import dev.precis.cli.chart.LineChart;
import dev.precis.cli.chart.Series;
import dev.precis.cli.page.HtmlPage;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import tools.jackson.databind.node.ObjectNode;

/** The curves of each kind of run; the first ones tell how it went, the others are folded. */
public enum Curves {
  /** Fine-tuning. */
  FINE_TUNING(
      Curve.wide("loss", "Loss"),
      Curve.wide("eval_loss", "Evaluation loss"),
      Curve.of("eval_rouge1", "ROUGE-1 (mean F1), evaluation"),
      Curve.of("eval_rougeL", "ROUGE-L (mean F1), evaluation"),
      Curve.of("eval_rouge2", "ROUGE-2 (mean F1), evaluation"),
      Curve.of("eval_rougeLsum", "ROUGE-Lsum (mean F1), evaluation"),
      Curve.wide("grad_norm", "Gradient norm"),
      Curve.of("learning_rate", "Learning rate"),
      Curve.of("tokens_per_second", "Tokens per second")),

  /** Fine-tuning with a teacher. */
  DISTILLATION(
      Curve.wide("loss", "Loss"),
      Curve.wide("eval_loss", "Evaluation loss (cross-entropy)"),
      Curve.wide("divergence", "Divergence from the teacher, per token"),
      Curve.of("eval_rouge1", "ROUGE-1 (mean F1), evaluation"),
      Curve.wide("cross_entropy", "Cross-entropy of the data's targets"),
      Curve.of("on_policy", "Share of examples with targets of the student"),
      Curve.of("eval_rougeL", "ROUGE-L (mean F1), evaluation"),
      Curve.of("eval_rouge2", "ROUGE-2 (mean F1), evaluation"),
      Curve.of("eval_rougeLsum", "ROUGE-Lsum (mean F1), evaluation"),
      Curve.wide("grad_norm", "Gradient norm"),
      Curve.of("learning_rate", "Learning rate"),
      Curve.of("tokens_per_second", "Tokens per second")),

  /** Training a reward model or a classifier. */
  REWARD(
      Curve.wide("loss", "Loss"),
      Curve.wide("eval_loss", "Evaluation loss"),
      Curve.of("accuracy", "Accuracy"),
      Curve.of("eval_accuracy", "Evaluation accuracy"),
      Curve.of("eval_margin", "Reward margin (chosen minus rejected), evaluation"),
      Curve.of("eval_ece", "Expected calibration error, evaluation"),
      Curve.wide("grad_norm", "Gradient norm"),
      Curve.of("learning_rate", "Learning rate"),
      Curve.of("tokens_per_second", "Tokens per second")),

  /** Aligning a policy to a reward. */
  POLICY(
      Curve.of("env/reward_mean", "Mean score"),
      Curve.of("objective/kl", "KL divergence from the reference, per response"),
      Curve.of("ppo/policy/entropy", "Entropy per token"),
      Curve.of("tokens/responses_len_mean", "Tokens per response"),
      Curve.of("objective/kl_coef", "KL coefficient"),
      Curve.of("ppo/loss/policy", "Policy loss"),
      Curve.wide("ppo/loss/value", "Value loss"),
      Curve.of("ppo/val/var_explained", "Explained variance of the values"),
      Curve.of("ppo/policy/clipfrac", "Fraction of clipped ratios"),
      Curve.of("ppo/policy/approxkl", "Approximate KL of a step's updates, per token"),
      Curve.of("ppo/learning_rate", "Learning rate"),
      Curve.wide("grad_norm", "Gradient norm"),
      Curve.of("time/ppo/total", "Seconds per step")),

  /** Aligning a policy to preferences. */
  PREFERENCES(
      Curve.wide("loss", "Loss"),
      Curve.of("rewards/accuracies", "Reward accuracy"),
      Curve.of("rewards/margins", "Reward margin"),
      Curve.of("kl", "KL divergence from the reference"),
      Curve.wide("eval_loss", "Evaluation loss"),
      Curve.of("eval_rewards/accuracies", "Reward accuracy, evaluation"),
      Curve.of("eval_rewards/margins", "Reward margin, evaluation"),
      Curve.of("rewards/chosen", "Reward of the chosen answers"),
      Curve.of("rewards/rejected", "Reward of the rejected answers"),
      Curve.of("logps/chosen", "Log-probability of the chosen answers"),
      Curve.of("logps/rejected", "Log-probability of the rejected answers"),
      Curve.wide("grad_norm", "Gradient norm"),
      Curve.of("learning_rate", "Learning rate"),
      Curve.of("tokens_per_second", "Tokens per second")),

  /** Rounds of sampling pairs and aligning to them, a step each. */
  ROUNDS(
      Curve.of("reward/samples", "Mean reward of all samples"),
      Curve.of("reward/chosen", "Mean reward of the chosen samples"),
      Curve.of("pairs", "Pairs"));

  /** Charts that are shown at once. */
  private static final int SHOWN = 4;

  private final List<Curve> all;

  Curves(Curve... all) {
    this.all = List.of(all);
  }

  /** Returns the curves, the most telling first. */
  public List<Curve> all() {
    return all;
  }

  /** Returns the curves of all kinds, each key once, the most telling of each kind first. */
  public static List<Curve> ofAllKinds() {
    Map<String, Curve> byKey = new LinkedHashMap<>();
    Stream.concat(
            Stream.of(values()).flatMap(kind -> kind.all.stream().limit(SHOWN)),
            Stream.of(values()).flatMap(kind -> kind.all.stream()))
        .forEach(curve -> byKey.putIfAbsent(curve.key(), curve));
    return List.copyOf(byKey.values());
  }

  /** Draws what one run's metrics hold of these curves: the first ones, and the others folded. */
  public String html(List<ObjectNode> metrics) {
    return html(all, Map.of("", metrics), SHOWN);
  }

  /**
   * Draws the curves of runs over each other.
   *
   * @param curves those that no run has are left out
   * @param runs metrics by name
   * @param shown how many curves are not folded
   */
  public static String html(List<Curve> curves, Map<String, List<ObjectNode>> runs, int shown) {
    List<String> charts = charts(curves, runs);
    int first = Math.min(shown, charts.size());
    return html(charts.subList(0, first), charts.subList(first, charts.size()));
  }

  /** Returns charts, and others that are folded. */
  public static String html(List<String> shown, List<String> folded) {
    return grid(shown) + HtmlPage.foldedHtml("More curves", grid(folded));
  }

  /**
   * Returns a chart for each curve.
   *
   * @param curves those that no run has are left out
   * @param runs metrics by name
   */
  public static List<String> charts(List<Curve> curves, Map<String, List<ObjectNode>> runs) {
    List<String> charts = new ArrayList<>();
    for (Curve curve : curves) {
      List<Series> series = new ArrayList<>();
      runs.forEach((name, lines) -> series.add(Series.of(name, lines, curve.key())));
      if (series.stream().anyMatch(each -> each.size() > 0)) {
        charts.add(LineChart.overSteps(curve.title(), curve.mayBeLogarithmic(), series).html());
      }
    }
    return charts;
  }

  /** Returns charts beside each other; empty for none. */
  public static String grid(List<String> charts) {
    return charts.isEmpty()
        ? ""
        : "<div class=\"charts\">\n" + String.join("", charts) + "</div>\n";
  }
}
