package dev.precis.cli.card;

import dev.precis.checkpoint.ModelFolder;
import dev.precis.cli.card.TrainingRun.Input;
import dev.precis.cli.report.RunTitle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * The runs that made a model, the first one first. A run follows another if it started from weights
 * of the same SHA-256 as the other left; a path alone proves nothing.
 *
 * @param remarks what could not be proven, a sentence each
 */
record Lineage(List<TrainingRun> runs, List<String> remarks) {
  /**
   * Follows a run back to where it started.
   *
   * @param last made the model
   * @param others runs whose folders are not where they were
   */
  static Lineage of(TrainingRun last, List<TrainingRun> others) {
    List<TrainingRun> runs = new ArrayList<>();
    List<String> remarks = new ArrayList<>();
    Set<Path> seen = new HashSet<>();
    follow(last, others, runs, seen, remarks);
    for (TrainingRun other : others) {
      if (!seen.contains(real(other.folder()))) {
        remarks.add(
            "%s left no weights that any of these runs started from, so it is left out"
                .formatted(RunTitle.shortName(other.folder().toString())));
      }
    }
    return new Lineage(runs, remarks);
  }

  private static void follow(
      TrainingRun run,
      List<TrainingRun> others,
      List<TrainingRun> runs,
      Set<Path> seen,
      List<String> remarks) {
    if (!seen.add(real(run.folder()))) {
      return;
    }
    if (run.option("model").isPresent() && run.inputs().stream().noneMatch(Input::isStart)) {
      remarks.add(
          "%s has no record of the SHA-256 of what it started from: earlier runs are unknown"
              .formatted(RunTitle.shortName(run.folder().toString())));
    }
    for (Input input : run.inputs()) {
      if (input.isStart()) {
        TrainingRun before = maker(input, others, remarks);
        if (before != null) {
          follow(before, others, runs, seen, remarks);
        }
      }
    }
    runs.add(run);
  }

  private static Path real(Path folder) {
    return folder.toAbsolutePath().normalize();
  }

  /** Returns the run that left what another started from; null where it came from none. */
  private static TrainingRun maker(Input input, List<TrainingRun> others, List<String> remarks) {
    for (TrainingRun other : others) {
      if (other.left(input.sha256())) {
        return other;
      }
    }
    Path weights = Path.of(input.name());
    Path folder = weights.toAbsolutePath().normalize().getParent();
    if (!Files.isDirectory(weights)) {
      if (!isHubId(input.name())) {
        remarks.add(
            "%s is not at its place any more; if a run of yours made it, name that run too"
                .formatted(RunTitle.shortName(input.name())));
      }
      return null;
    }
    TrainingRun maker =
        folder != null && TrainingRun.isRun(folder) ? TrainingRun.read(folder) : null;
    boolean same =
        maker != null && maker.left(input.sha256())
            || ModelFolder.weightsHash(weights).equals(input.sha256());
    if (!same) {
      remarks.add(
          "%s has changed since it was read: its SHA-256 is another one"
              .formatted(RunTitle.shortName(input.name())));
    }
    return same ? maker : null;
  }

  /**
   * Returns whether a name can be that of a model on a hub, such as {@code google/flan-t5-base}.
   */
  static boolean isHubId(String name) {
    return name.matches("[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
        && !Files.exists(Path.of(name));
  }

  /** Returns the run that made the model. */
  TrainingRun last() {
    return runs.getLast();
  }

  /** Returns the name of the model that the first run started from; empty for random weights. */
  String base() {
    return runs.getFirst().option("model").orElse("");
  }
}
