package dev.precis.data;

import java.util.List;

/**
 * The summaries of one dialogue: references, or what a model made of it.
 *
 * @param id the dialogue's name, or {@code null} where the file gives none
 * @param dialogue its text, or {@code null} where the file does not have it
 * @param texts at least one; one that is empty stands alone
 */
public record Summaries(String id, String dialogue, List<String> texts) {
  /** Keeps its own copy of the texts. */
  public Summaries {
    texts = List.copyOf(texts);
  }
}
