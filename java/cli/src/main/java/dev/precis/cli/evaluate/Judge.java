package dev.precis.cli.evaluate;

import dev.precis.T5;
import dev.precis.data.Dialogue;
import java.util.List;

/** A metric: what a model or its summaries are worth, dialogue by dialogue. */
public interface Judge {
  /** The names of its numbers. */
  List<String> columns();

  /** Its settings in a line. */
  String settings();

  /** Whether people want to know how far its numbers lie apart. */
  default boolean showsDeviation() {
    return false;
  }

  /** What else it has to say, a line each. */
  default List<String> remarks() {
    return List.of();
  }

  /**
   * Judges a candidate.
   *
   * @param model with the candidate's adapters on it
   * @param summaries what it made of the dialogues
   * @return for each column a number for each dialogue
   */
  double[][] judge(T5 model, List<Dialogue> dialogues, List<String> summaries);
}
