package dev.precis.cli.report;

import dev.precis.cli.common.ProcFile;
import dev.precis.cli.page.HtmlPage;
import dev.precis.io.Json;
import dev.precis.training.EventFile;
import dev.precis.training.RunFolder;
import dev.precis.training.Trainer;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.node.ObjectNode;

/**
 * Reports a run: TensorBoard events during the run; at the end {@code results.json}, what came of
 * it and what it cost, and one HTML page.
 */
public final class RunReport implements AutoCloseable {
  private final RunFolder run;
  private final Curves curves;
  private final EventFile events;
  private final List<Result> results = new ArrayList<>();
  private final List<String> notices = new ArrayList<>();
  private final Map<String, String> sections = new LinkedHashMap<>();
  private final Map<String, String> lastSections = new LinkedHashMap<>();
  private long trained;
  private long parameters;
  private long deviceMemory;

  /**
   * Starts the events again with what the run's metrics already hold.
   *
   * @param curves what is shown
   */
  public RunReport(RunFolder run, long done, Curves curves) {
    this.run = run;
    this.curves = curves;
    events = new EventFile(run.folder().resolve("events.out.tfevents.precis"));
    if (done > 0) {
      run.metrics().forEach(this::points);
    }
  }

  private void points(ObjectNode line) {
    long step = line.get("step").longValue();
    for (Curve curve : curves.all()) {
      if (line.has(curve.key())) {
        events.scalar(curve.key(), step, line.get(curve.key()).doubleValue());
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

  /** Says how many of how many parameters are trained. */
  public RunReport parameters(long trained, long all) {
    this.trained = trained;
    parameters = all;
    return this;
  }

  /** Says what memory the plan has on the GPU. */
  public void deviceMemory(long bytes) {
    deviceMemory = bytes;
  }

  /** Adds what came of the run; without any, it is found in the metrics. */
  public void results(List<Result> more) {
    results.addAll(more);
  }

  /** Adds a sentence that a reader must not miss. */
  public void notice(String sentence) {
    notices.add(sentence);
  }

  /** Says that the run was interrupted. */
  public void interrupted(long done, long total) {
    notice("The run was interrupted after step %,d of %,d.".formatted(done, total));
  }

  /** Adds a section between the headline and the curves: HTML, all text from elsewhere escaped. */
  public void section(String heading, String html) {
    sections.put(heading, html);
  }

  /** Adds a section behind the curves, as {@link #section} does. */
  public void lastSection(String heading, String html) {
    lastSections.put(heading, html);
  }

  /** Writes results.json and report.html. */
  public void write() {
    List<ObjectNode> metrics = run.metrics();
    ObjectNode config = Json.readObject(run.folder().resolve("config.json")).node();
    Cost cost =
        Cost.of(metrics)
            .withParameters(trained, parameters)
            .withMemory(ProcFile.bytes("/proc/self/status", "VmHWM"), deviceMemory);
    RunOutcome outcome =
        new RunOutcome(results.isEmpty() ? MetricResults.of(metrics) : results, cost);
    String title = RunTitle.of(config);
    run.write(RunOutcome.FILE, outcome.toJson(title).toPrettyString() + "\n");
    HtmlPage page = new HtmlPage(title);
    page.add(Headline.html(outcome.results(), cost.entries(), notices));
    sections.forEach(page::section);
    page.section("Curves", curves.html(metrics));
    lastSections.forEach(page::section);
    page.options(config);
    run.write("report.html", page.render());
  }

  @Override
  public void close() {
    events.close();
  }
}
