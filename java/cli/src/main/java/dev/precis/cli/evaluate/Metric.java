package dev.precis.cli.evaluate;

import dev.precis.T5;
import dev.precis.data.Dialogue;
import java.util.List;

/** Scores a model, or its summaries, dialogue by dialogue. */
interface Metric {
  /** Returns the names of its numbers. */
  List<String> columns();

  /** Returns its settings in a line. */
  String settings();

  /** Returns whether the standard deviation is reported beside each mean. */
  default boolean showsDeviation() {
    return false;
  }

  /** Returns what else it reports, a line each. */
  default List<String> remarks() {
    return List.of();
  }

  /**
   * Scores a candidate.
   *
   * @param model with the candidate's adapters on it; null where the summaries are a file's
   * @param summaries of the dialogues
   * @return for each column a number for each dialogue
   */
  double[][] score(T5 model, List<Dialogue> dialogues, List<String> summaries);
}
