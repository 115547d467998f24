package dev.precis.data;

import java.util.List;

/**
 * A dialogue and what is known about it.
 *
 * @param id its name in the file, or its line where it has none
 * @param dialogue its text, lines separated by {@code \n}; never blank
 * @param summaries its reference summaries, possibly none
 * @param topic what it is about, or {@code null}
 * @param raw whether {@code dialogue} is a whole prompt, to be given to the model as it is
 */
public record Dialogue(
    String id, String dialogue, List<String> summaries, String topic, boolean raw) {
  /** Keeps its own copy of the summaries. */
  public Dialogue {
    summaries = List.copyOf(summaries);
  }
}
