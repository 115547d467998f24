package dev.precis.cli.report;

import dev.precis.io.Json;
import dev.precis.training.EventFile;
import dev.precis.training.RunFolder;
import dev.precis.training.Trainer;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** The curves of a run: TensorBoard events as it goes, one HTML page at the end. */
public final class RunReport implements AutoCloseable {
  /** What has a curve in fine-tuning: the key in metrics.jsonl, and how it is called. */
  public static final Map<String, String> FINE_TUNING = new LinkedHashMap<>();

  /** What has a curve when a reward model or a classifier is trained. */
  public static final Map<String, String> REWARD = new LinkedHashMap<>();

  /** What has a curve when a policy is aligned to a reward. */
  public static final Map<String, String> POLICY = new LinkedHashMap<>();

  /** What has a curve when it is aligned to what people prefer. */
  public static final Map<String, String> PREFERENCES = new LinkedHashMap<>();

  static {
    FINE_TUNING.put("loss", "Loss");
    FINE_TUNING.put("eval_loss", "Evaluation loss");
    FINE_TUNING.put("grad_norm", "Gradient norm");
    FINE_TUNING.put("learning_rate", "Learning rate");
    FINE_TUNING.put("tokens_per_second", "Tokens per second");
    REWARD.put("loss", "Loss");
    REWARD.put("eval_loss", "Evaluation loss");
    REWARD.put("accuracy", "Accuracy");
    REWARD.put("eval_accuracy", "Evaluation accuracy");
    REWARD.put("eval_margin", "Reward of the chosen side minus that of the other, evaluation");
    REWARD.put("eval_ece", "Calibration error, evaluation");
    REWARD.put("grad_norm", "Gradient norm");
    REWARD.put("learning_rate", "Learning rate");
    REWARD.put("tokens_per_second", "Tokens per second");
    PREFERENCES.put("loss", "Loss");
    PREFERENCES.put("eval_loss", "Evaluation loss");
    PREFERENCES.put("rewards/accuracies", "Share in the right order");
    PREFERENCES.put("eval_rewards/accuracies", "Share in the right order, evaluation");
    PREFERENCES.put("rewards/margins", "Reward margin");
    PREFERENCES.put("eval_rewards/margins", "Reward margin, evaluation");
    PREFERENCES.put("rewards/chosen", "Reward of the chosen answers");
    PREFERENCES.put("rewards/rejected", "Reward of the rejected answers");
    PREFERENCES.put("logps/chosen", "Log-probability of the chosen answers");
    PREFERENCES.put("logps/rejected", "Log-probability of the rejected answers");
    PREFERENCES.put("kl", "Divergence from the reference");
    PREFERENCES.put("grad_norm", "Gradient norm");
    PREFERENCES.put("learning_rate", "Learning rate");
    PREFERENCES.put("tokens_per_second", "Tokens per second");
    POLICY.put("env/reward_mean", "Mean score");
    POLICY.put("objective/kl", "KL from the reference, a response");
    POLICY.put("objective/kl_coef", "KL coefficient");
    POLICY.put("ppo/policy/entropy", "Entropy, a token");
    POLICY.put("ppo/loss/policy", "Policy loss");
    POLICY.put("ppo/loss/value", "Value loss");
    POLICY.put("ppo/val/var_explained", "Variance explained by the values");
    POLICY.put("ppo/policy/clipfrac", "Share of clipped ratios");
    POLICY.put("ppo/policy/approxkl", "KL of a step's updates, a token");
    POLICY.put("tokens/responses_len_mean", "Tokens of a response");
    POLICY.put("grad_norm", "Gradient norm");
    POLICY.put("time/ppo/total", "Seconds a step");
  }

  private final RunFolder run;
  private final Map<String, String> curves;
  private final EventFile events;
  private final StringBuilder sections = new StringBuilder();

  /** As below, of fine-tuning. */
  public RunReport(RunFolder run, long done) {
    this(run, done, FINE_TUNING);
  }

  /**
   * Begins the events anew with what the run's metrics hold already.
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

  /** Takes what was measured in a step, by its name in metrics.jsonl. */
  public void values(long step, Map<String, Double> values) {
    values.forEach((name, value) -> events.scalar(name, step, value));
  }

  /**
   * Adds a part to the page, below the curves: HTML in which what comes from elsewhere is escaped.
   */
  public void section(String html) {
    sections.append(html);
  }

  /** Writes report.html: nothing in it comes from elsewhere when it is opened. */
  public void write() {
    ObjectNode data = Json.mapper().createObjectNode();
    curves(run.metrics(), curves, "", data);
    String config = Json.readObject(run.folder().resolve("config.json")).node().toPrettyString();
    run.write("report.html", page("A run", data, sections, config));
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

  /**
   * A page that needs nothing from elsewhere.
   *
   * @param sections HTML in which what comes from elsewhere is escaped
   * @param config shown as it is
   */
  public static String page(String title, ObjectNode data, CharSequence sections, String config) {
    return resource("/dev/precis/cli/report.html")
        .replace("<!--TITLE-->", escaped(title))
        .replace("/*STYLE*/", resource(UPLOT + "uPlot.min.css"))
        .replace("/*UPLOT*/", resource(UPLOT + "uPlot.iife.min.js"))
        .replace("/*DATA*/", inScript(data.toString()))
        .replace("<!--SECTIONS-->", sections)
        .replace("<!--CONFIG-->", escaped(config));
  }

  private static final String UPLOT = "/META-INF/resources/webjars/uplot/1.6.30/dist/";

  /** JSON in which no tag can end the script that it stands in. */
  private static String inScript(String json) {
    return json.replace("<", "\\u003c");
  }

  /** Text in which no tag can begin. */
  public static String escaped(String text) {
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;");
  }

  private static String resource(String name) {
    try (InputStream in = RunReport.class.getResourceAsStream(name)) {
      if (in == null) {
        throw new IllegalStateException("The program lacks its own file " + name);
      }
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void close() {
    events.close();
  }
}
