package dev.precis.cli.evaluate;

import java.util.List;

/**
 * A candidate's summaries and their scores.
 *
 * @param scores of each metric, for each of its columns, a number for each dialogue
 */
record EvaluationResult(Candidate candidate, List<String> summaries, List<double[][]> scores) {
  String name() {
    return candidate.name();
  }
}
