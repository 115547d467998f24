package dev.precis.alignment.reward;

import java.util.List;

/**
 * A completion as rewards read it.
 *
 * @param id id of the prompt, for error messages
 * @param prompt text that the policy read
 * @param text completion without special tokens
 * @param references summaries that people wrote; may be empty
 */
public record Completion(String id, String prompt, String text, List<String> references) {
  /** Copies the references. */
  public Completion {
    references = List.copyOf(references);
  }
}
