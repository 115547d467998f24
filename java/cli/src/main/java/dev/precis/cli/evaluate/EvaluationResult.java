package dev.precis.cli.evaluate;

import dev.precis.generation.Generation;
import java.util.List;

/**
 * A candidate's summaries and their scores.
 *
 * @param generations for each dialogue; null where the summaries are a file's
 * @param scores of each metric, for each of its columns, a number for each dialogue
 */
public record EvaluationResult(
    Candidate candidate,
    List<String> summaries,
    List<Generation> generations,
    List<double[][]> scores) {
  /** Returns the candidate's name. */
  public String name() {
    return candidate.name();
  }
}
