package dev.precis.alignment.policy;

import java.util.List;

/**
 * What a policy responds to.
 *
 * @param id of the dialogue
 * @param text what the policy reads
 * @param source the same as token ids, the end token included
 * @param references what people wrote; may be empty
 */
public record Prompt(String id, String text, int[] source, List<String> references) {
  public Prompt {
    references = List.copyOf(references);
  }
}
