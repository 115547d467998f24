package dev.precis.alignment.policy;

import dev.precis.alignment.reward.Completion;
import java.util.List;

/**
 * A prompt for a policy.
 *
 * @param id of the dialogue
 * @param text that the policy reads
 * @param source the text's token ids, the end token included
 * @param references summaries that people wrote; may be empty
 */
public record Prompt(String id, String text, int[] source, List<String> references) {
  /** Copies the references. */
  public Prompt {
    references = List.copyOf(references);
  }

  /** Returns a response to this prompt as rewards read it. */
  Completion completion(String response) {
    return new Completion(id, text, response, references);
  }
}
