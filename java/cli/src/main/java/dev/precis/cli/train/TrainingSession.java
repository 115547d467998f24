package dev.precis.cli.train;

import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.common.Interruption;
import dev.precis.cli.common.Progress;
import dev.precis.cli.report.RunReport;
import dev.precis.training.RunFolder;
import dev.precis.training.TrainingLoop;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/** A training loop at the terminal: progress, a report, and an interruption that loses nothing. */
public final class TrainingSession {
  private TrainingSession() {}

  /**
   * Trains to the end, or until the process is told to end.
   *
   * @param curves of the report, as {@link RunReport} has them
   * @param section what the report says beside its curves, as HTML, once the run is over; asked
   *     unless it was interrupted
   */
  public static TrainingLoop.Result train(
      BaseCommand command,
      TrainingLoop loop,
      RunFolder run,
      Map<String, String> curves,
      Function<TrainingLoop.Result, String> section) {
    TrainingLoop.Result result;
    List<String> lines = new ArrayList<>();
    try (Interruption interruption = new Interruption(loop::stop);
        Progress progress = new Progress(command.terminal(), command.common().quiet());
        RunReport report = new RunReport(run, loop.done(), curves)) {
      result = loop.train(new Watcher(progress, report, loop.done(), lines));
      if (result.end() != TrainingLoop.End.INTERRUPTED) {
        report.section(section.apply(result));
      }
      report.write();
    }
    lines.forEach(command::note);
    if (result.end() == TrainingLoop.End.INTERRUPTED) {
      command.note(
          "Stopped after step %,d of %,d: the same command with --resume goes on from there."
              .formatted(result.steps(), loop.totalSteps()));
    }
    return result;
  }

  /** How a run ended, in a sentence that names its result. */
  public static String summary(TrainingLoop.Result result, Object where) {
    return "%s after %,d steps, loss %.4f%s: %s"
        .formatted(
            result.end() == TrainingLoop.End.EARLY_STOPPED ? "Stopped early" : "Done",
            result.steps(),
            result.loss(),
            result.bestStep() > 0
                ? ", best evaluation %.4f at step %,d"
                    .formatted(result.bestLoss(), result.bestStep())
                : "",
            where);
  }

  /** Shows progress and feeds the report. */
  private record Watcher(Progress progress, RunReport report, long from, List<String> lines)
      implements TrainingLoop.Listener {
    @Override
    public void onPreparation(long done, long total) {
      progress.show(
          "preparing %,d/%,d  %s".formatted(done, total, progress.left((double) done / total)));
    }

    @Override
    public void onStep(TrainingLoop.Step step) {
      report.step(step);
      report.values(step.step(), step.metrics());
      progress.show(
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
      lines.add(
          "step %,d: evaluation loss %.4f%s%s"
              .formatted(step, evaluation.loss(), others, best ? ", the best so far" : ""));
    }
  }
}
