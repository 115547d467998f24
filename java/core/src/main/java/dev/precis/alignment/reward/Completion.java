package dev.precis.alignment.reward;

import java.util.List;

/**
 * What a policy wrote, as a reward sees it.
 *
 * @param id of the prompt, for the errors' sentences
 * @param prompt what the policy read
 * @param text what it wrote, without special tokens
 * @param references what people wrote; may be empty
 */
public record Completion(String id, String prompt, String text, List<String> references) {
  /** Keeps its own copy of the references. */
  public Completion {
    references = List.copyOf(references);
  }
}
