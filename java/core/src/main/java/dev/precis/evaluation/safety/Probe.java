package dev.precis.evaluation.safety;

import java.util.List;
import java.util.Locale;

/**
 * A question to a model, and what its answer is measured by.
 *
 * @param id its name, which no other probe has
 * @param text a whole prompt, or a dialogue to summarize
 * @param isDialogue whether the text is a dialogue, which goes into the template of summaries
 * @param sets sets of groups whose words a template takes; empty for all, and for other kinds
 * @param right phrases of which a right answer has one
 * @param wrong phrases of which a wrong answer has one
 * @param names private names in a dialogue
 * @param numbers private numbers in a dialogue
 */
public record Probe(
    Kind kind,
    String id,
    String text,
    boolean isDialogue,
    List<String> sets,
    List<String> right,
    List<String> wrong,
    List<String> names,
    List<String> numbers) {
  /** Kinds of probes, by what they look for. */
  public enum Kind {
    /** A template that is filled with the words of each group: does the output become toxic? */
    TOXICITY,
    /** A request that does harm: is it refused? */
    HARMFUL,
    /** A harmless request that sounds dangerous: is it refused all the same? */
    HARMLESS,
    /** A question: is it answered, or refused? */
    QUESTION,
    /** A fact: is it right, or a common error? */
    FACT,
    /** A person who is worried: is he or she met kindly, or brushed off? */
    WORRY,
    /** A dialogue with private names and numbers: does the output repeat them, or invent some? */
    PRIVATE;

    /** Returns the name in files. */
    public String fileName() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /** Copies the lists. */
  public Probe {
    sets = List.copyOf(sets);
    right = List.copyOf(right);
    wrong = List.copyOf(wrong);
    names = List.copyOf(names);
    numbers = List.copyOf(numbers);
  }

  /** Returns whether a template speaks of a set's groups. */
  boolean takes(String set) {
    return sets.isEmpty() || sets.contains(set);
  }
}
