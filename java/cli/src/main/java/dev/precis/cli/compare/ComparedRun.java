package dev.precis.cli.compare;

import dev.precis.cli.page.FlatOptions;
import dev.precis.cli.report.RunOutcome;
import dev.precis.cli.report.RunTitle;
import dev.precis.io.InvalidInputException;
import dev.precis.training.StepLog;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import tools.jackson.databind.node.ObjectNode;

/**
 * A run as its folder tells it.
 *
 * @param name tells it from the other runs
 * @param options all options by name, those of an object as {@code object.option}
 */
record ComparedRun(
    String name,
    Path folder,
    String title,
    Map<String, String> options,
    List<ObjectNode> metrics,
    RunOutcome outcome) {
  private static final String METRICS = "metrics.jsonl";

  /**
   * Reads a run.
   *
   * @throws InvalidInputException where the folder holds none, or one that has not begun
   */
  static ComparedRun read(String name, Path folder) {
    ObjectNode json = RunOutcome.config(folder);
    Path file = folder.resolve(METRICS);
    List<ObjectNode> metrics = Files.isRegularFile(file) ? StepLog.read(file) : List.of();
    if (metrics.isEmpty()) {
      throw new InvalidInputException(
          "%s has no complete step in %s: compare it after its first one"
              .formatted(folder, METRICS));
    }
    return new ComparedRun(
        name,
        folder,
        RunTitle.of(json),
        FlatOptions.of(json),
        metrics,
        RunOutcome.read(folder, metrics));
  }
}
