package dev.precis.cli.train;

import dev.precis.cli.common.AvailableMemory;
import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.common.GracefulShutdown;
import dev.precis.cli.common.MemoryCheck;
import dev.precis.cli.common.MemoryFormat;
import dev.precis.cli.common.Progress;
import dev.precis.cli.report.Curves;
import dev.precis.cli.report.RunReport;
import dev.precis.tensor.MemoryPlan;
import dev.precis.training.RunFolder;
import dev.precis.training.TrainingLoop;
import dev.precis.training.TrainingOptions;
import java.util.Map;
import java.util.function.Consumer;

/**
 * Runs a training loop at the terminal: with progress, a report, and an interruption that loses
 * nothing.
 */
public record TrainingSession(BaseCommand command, TrainingLoop loop, RunFolder run) {
  /**
   * Says what is about to be trained on, and what memory that takes.
   *
   * @param examples such as "1,000 pairs"
   * @param options say how large a step is; null where that goes without saying
   * @param checksMemory whether a plan that does not fit is refused
   */
  public void announce(String examples, TrainingOptions options, boolean checksMemory) {
    MemoryPlan plan = loop.onGpu() ? loop.plan() : MemoryCheck.withProcess(loop.plan(), 0);
    command.note(
        "%s, %,d steps%s; native memory %s"
            .formatted(examples, loop.totalSteps(), size(options), MemoryFormat.of(plan)));
    if (checksMemory && !loop.onGpu()) {
      MemoryCheck.require(
          plan, AvailableMemory.ofThisProcess(), "--batch-size, --recompute or --dtype bfloat16");
    }
    announceResumed(command, loop.done());
  }

  private static String size(TrainingOptions options) {
    if (options == null) {
      return "";
    }
    return options.maxTokensPerBatch() > 0
        ? " of up to %,d tokens"
            .formatted((long) options.maxTokensPerBatch() * options.gradientAccumulation())
        : " of " + options.stepSize();
  }

  /** Says where a run that is resumed continues. */
  public static void announceResumed(BaseCommand command, long done) {
    if (done > 0) {
      command.note("Resuming after step %,d.".formatted(done));
    }
  }

  /** Says how an interrupted run is resumed. */
  public static void announceInterrupted(BaseCommand command, long done, long total) {
    command.note(
        "Stopped after step %,d of %,d: the same command with --resume continues from there."
            .formatted(done, total));
  }

  /**
   * Trains to the end, or until the process is told to end.
   *
   * @param curves of the report
   * @param trained parameters that are trained
   * @param parameters all parameters
   * @param end adds to the report once the run is over; called unless it was interrupted
   */
  public TrainingLoop.Result train(
      Curves curves, long trained, long parameters, Consumer<RunReport> end) {
    TrainingLoop.Result result;
    try (GracefulShutdown shutdown = new GracefulShutdown(loop::stop);
        Progress progress = new Progress(command.terminal(), command.common().quiet());
        RunReport report = new RunReport(run, loop.done(), curves)) {
      report.parameters(trained, parameters);
      report.deviceMemory(loop.onGpu() ? loop.plan().total() : 0);
      result = loop.train(new Watcher(progress, report, loop.done()));
      if (result.end() == TrainingLoop.End.INTERRUPTED) {
        report.interrupted(result.steps(), loop.totalSteps());
      } else {
        end.accept(report);
      }
      report.write();
    }
    if (result.end() == TrainingLoop.End.INTERRUPTED) {
      announceInterrupted(command, result.steps(), loop.totalSteps());
    }
    return result;
  }

  /** Returns how a run ended, in a sentence that names its result. */
  public static String summary(TrainingLoop.Result result, Object where) {
    return "%s after %,d steps, loss %.4f%s: %s"
        .formatted(
            result.end() == TrainingLoop.End.EARLY_STOPPED ? "Stopped early" : "Done",
            result.steps(),
            result.loss(),
            result.bestStep() > 0
                ? ", best evaluation %s%.4f at step %,d"
                    .formatted(
                        result.metric().equals("loss") ? "" : result.metric() + " ",
                        result.best(),
                        result.bestStep())
                : "",
            where);
  }

  /** Shows progress and feeds the report. */
  private record Watcher(Progress progress, RunReport report, long from)
      implements TrainingLoop.Listener {
    @Override
    public void onPreparation(long done, long total) {
      progress.show(
          "preparing %,d/%,d  %s".formatted(done, total, progress.left((double) done / total)));
    }

    @Override
    public void onEvaluating(long done, long total) {
      progress.show("evaluating %,d/%,d dialogues".formatted(done, total));
    }

    @Override
    public void onStep(TrainingLoop.Step step) {
      report.step(step);
      report.values(step.step(), step.metrics());
      progress.step(
          step.step(),
          step.totalSteps(),
          "step %,d/%,d  loss %.4f  %,.0f tokens/s  %s"
              .formatted(
                  step.step(),
                  step.totalSteps(),
                  step.loss(),
                  step.tokensPerSecond(),
                  progress.left((double) (step.step() - from) / (step.totalSteps() - from))));
    }

    @Override
    public void onEvaluation(long step, TrainingLoop.Evaluation evaluation, boolean best) {
      report.evaluation(step, evaluation.loss());
      StringBuilder others = new StringBuilder();
      evaluation
          .metrics()
          .forEach(
              (name, value) -> {
                report.values(step, Map.of("eval_" + name, value));
                others.append(", %s %.4f".formatted(name, value));
              });
      progress.print(
          "step %,d: evaluation loss %.4f%s%s"
              .formatted(step, evaluation.loss(), others, best ? ", the best so far" : ""));
    }
  }
}
