package dev.precis.cli;

import dev.precis.checkpoint.Json;
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
final class RunReport implements AutoCloseable {
  /** What has a curve: the key in metrics.jsonl, and how it is called. */
  private static final Map<String, String> CURVES = new LinkedHashMap<>();

  static {
    CURVES.put("loss", "Loss");
    CURVES.put("eval_loss", "Evaluation loss");
    CURVES.put("grad_norm", "Gradient norm");
    CURVES.put("learning_rate", "Learning rate");
    CURVES.put("tokens_per_second", "Tokens per second");
  }

  private final RunFolder run;
  private final EventFile events;

  /** Begins the events anew with what the run's metrics hold already. */
  RunReport(RunFolder run, long done) {
    this.run = run;
    events = new EventFile(run.folder().resolve("events.out.tfevents.precis"));
    if (done > 0) {
      run.metrics().forEach(this::points);
    }
  }

  private void points(ObjectNode line) {
    long step = line.get("step").longValue();
    for (String key : CURVES.keySet()) {
      if (line.has(key)) {
        events.scalar(key, step, line.get(key).doubleValue());
      }
    }
  }

  void step(Trainer.Step step) {
    events.scalar("loss", step.step(), step.loss());
    events.scalar("grad_norm", step.step(), step.gradNorm());
    events.scalar("learning_rate", step.step(), step.learningRate());
    events.scalar("tokens_per_second", step.step(), step.tokensPerSecond());
  }

  void evaluation(long step, double loss) {
    events.scalar("eval_loss", step, loss);
  }

  /** Writes report.html: nothing in it comes from elsewhere when it is opened. */
  void write() {
    List<ObjectNode> lines = run.metrics();
    ObjectNode data = Json.mapper().createObjectNode();
    for (Map.Entry<String, String> curve : CURVES.entrySet()) {
      ArrayNode steps = Json.mapper().createArrayNode();
      ArrayNode values = Json.mapper().createArrayNode();
      for (ObjectNode line : lines) {
        if (line.has(curve.getKey())) {
          steps.add(line.get("step").longValue());
          values.add(line.get(curve.getKey()).doubleValue());
        }
      }
      if (!steps.isEmpty()) {
        ObjectNode one = data.putObject(curve.getKey());
        one.put("title", curve.getValue());
        one.set("steps", steps);
        one.set("values", values);
      }
    }
    String config = Json.readObject(run.folder().resolve("config.json")).node().toPrettyString();
    run.write(
        "report.html",
        resource("/dev/precis/cli/report.html")
            .replace("/*STYLE*/", resource(UPLOT + "uPlot.min.css"))
            .replace("/*UPLOT*/", resource(UPLOT + "uPlot.iife.min.js"))
            .replace("/*DATA*/", inScript(data.toString()))
            .replace("<!--CONFIG-->", escaped(config)));
  }

  private static final String UPLOT = "/META-INF/resources/webjars/uplot/1.6.30/dist/";

  /** JSON in which no tag can end the script that it stands in. */
  private static String inScript(String json) {
    return json.replace("<", "\\u003c");
  }

  private static String escaped(String text) {
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
