package dev.precis.cli.report;

import dev.precis.io.Json;
import dev.precis.training.EventFile;
import dev.precis.training.RunFolder;
import dev.precis.training.Trainer;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** Reports the curves of a run: TensorBoard events during the run, one HTML page at the end. */
public final class RunReport implements AutoCloseable {
  /** The curves of fine-tuning: a title for each key in metrics.jsonl. */
  public static final Map<String, String> FINE_TUNING = new LinkedHashMap<>();

  /** The curves of training a reward model or a classifier. */
  public static final Map<String, String> REWARD = new LinkedHashMap<>();

  /** The curves of aligning a policy to a reward. */
  public static final Map<String, String> POLICY = new LinkedHashMap<>();

  /** The curves of aligning a policy to preferences. */
  public static final Map<String, String> PREFERENCES = new LinkedHashMap<>();

  static {
    FINE_TUNING.put("loss", "Loss");
    FINE_TUNING.put("eval_loss", "Evaluation loss");
    FINE_TUNING.put("eval_rouge1", "ROUGE-1 (mean F1), evaluation");
    FINE_TUNING.put("eval_rouge2", "ROUGE-2 (mean F1), evaluation");
    FINE_TUNING.put("eval_rougeL", "ROUGE-L (mean F1), evaluation");
    FINE_TUNING.put("eval_rougeLsum", "ROUGE-Lsum (mean F1), evaluation");
    FINE_TUNING.put("grad_norm", "Gradient norm");
    FINE_TUNING.put("learning_rate", "Learning rate");
    FINE_TUNING.put("tokens_per_second", "Tokens per second");
    REWARD.put("loss", "Loss");
    REWARD.put("eval_loss", "Evaluation loss");
    REWARD.put("accuracy", "Accuracy");
    REWARD.put("eval_accuracy", "Evaluation accuracy");
    REWARD.put("eval_margin", "Reward margin (chosen minus rejected), evaluation");
    REWARD.put("eval_ece", "Expected calibration error, evaluation");
    REWARD.put("grad_norm", "Gradient norm");
    REWARD.put("learning_rate", "Learning rate");
    REWARD.put("tokens_per_second", "Tokens per second");
    PREFERENCES.put("loss", "Loss");
    PREFERENCES.put("eval_loss", "Evaluation loss");
    PREFERENCES.put("rewards/accuracies", "Reward accuracy");
    PREFERENCES.put("eval_rewards/accuracies", "Reward accuracy, evaluation");
    PREFERENCES.put("rewards/margins", "Reward margin");
    PREFERENCES.put("eval_rewards/margins", "Reward margin, evaluation");
    PREFERENCES.put("rewards/chosen", "Reward of the chosen answers");
    PREFERENCES.put("rewards/rejected", "Reward of the rejected answers");
    PREFERENCES.put("logps/chosen", "Log-probability of the chosen answers");
    PREFERENCES.put("logps/rejected", "Log-probability of the rejected answers");
    PREFERENCES.put("kl", "KL divergence from the reference");
    PREFERENCES.put("grad_norm", "Gradient norm");
    PREFERENCES.put("learning_rate", "Learning rate");
    PREFERENCES.put("tokens_per_second", "Tokens per second");
    POLICY.put("env/reward_mean", "Mean score");
    POLICY.put("objective/kl", "KL divergence from the reference, per response");
    POLICY.put("objective/kl_coef", "KL coefficient");
    POLICY.put("ppo/policy/entropy", "Entropy per token");
    POLICY.put("ppo/loss/policy", "Policy loss");
    POLICY.put("ppo/loss/value", "Value loss");
    POLICY.put("ppo/val/var_explained", "Explained variance of the values");
    POLICY.put("ppo/policy/clipfrac", "Fraction of clipped ratios");
    POLICY.put("ppo/policy/approxkl", "Approximate KL of a step's updates, per token");
    POLICY.put("tokens/responses_len_mean", "Tokens per response");
    POLICY.put("grad_norm", "Gradient norm");
    POLICY.put("time/ppo/total", "Seconds per step");
  }

  private final RunFolder run;
  private final Map<String, String> curves;
  private final EventFile events;
  private final StringBuilder sections = new StringBuilder();

  /**
   * Starts the events again with what the run's metrics already hold.
   *
   * @param curves what is shown: a title for each key in metrics.jsonl
   */
  public RunReport(RunFolder run, long done, Map<String, String> curves) {
    this.run = run;
    this.curves = curves;
    events = new EventFile(run.folder().resolve("events.out.tfevents.precis"));
    if (done > 0) {
      run.metrics().forEach(this::points);
    }
  }

  private void points(ObjectNode line) {
    long step = line.get("step").longValue();
    for (String key : curves.keySet()) {
      if (line.has(key)) {
        events.scalar(key, step, line.get(key).doubleValue());
      }
    }
  }

  public void step(Trainer.Step step) {
    events.scalar("loss", step.step(), step.loss());
    events.scalar("grad_norm", step.step(), step.gradNorm());
    events.scalar("learning_rate", step.step(), step.learningRate());
    events.scalar("tokens_per_second", step.step(), step.tokensPerSecond());
  }

  public void evaluation(long step, double loss) {
    events.scalar("eval_loss", step, loss);
  }

  /** Records what was measured in a step, by its name in metrics.jsonl. */
  public void values(long step, Map<String, Double> values) {
    values.forEach((name, value) -> events.scalar(name, step, value));
  }

  /**
   * Adds a section to the page, below the curves: HTML in which all text from elsewhere is escaped.
   */
  public void section(String html) {
    sections.append(html);
  }

  /** Writes report.html. */
  public void write() {
    ObjectNode data = Json.mapper().createObjectNode();
    curves(run.metrics(), curves, "", data);
    ObjectNode config = Json.readObject(run.folder().resolve("config.json")).node();
    run.write("report.html", HtmlPage.render("Run report", data, sections, config));
  }

  /**
   * Adds the curves of a run's metrics to what a page shows.
   *
   * @param curves a title for each key in the metrics
   * @param prefix before each title
   */
  public static void curves(
      List<ObjectNode> lines, Map<String, String> curves, String prefix, ObjectNode data) {
    for (Map.Entry<String, String> curve : curves.entrySet()) {
      ArrayNode steps = Json.mapper().createArrayNode();
      ArrayNode values = Json.mapper().createArrayNode();
      for (ObjectNode line : lines) {
        if (line.has(curve.getKey())) {
          steps.add(line.get("step").longValue());
          values.add(line.get(curve.getKey()).doubleValue());
        }
      }
      if (!steps.isEmpty()) {
        ObjectNode one = data.putObject(prefix + curve.getKey());
        one.put("title", prefix + curve.getValue());
        one.set("steps", steps);
        one.set("values", values);
      }
    }
  }

  @Override
  public void close() {
    events.close();
  }
}
