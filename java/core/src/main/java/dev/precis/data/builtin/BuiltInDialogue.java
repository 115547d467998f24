package dev.precis.data.builtin;

import dev.precis.text.PromptTemplate;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A dialogue with its summaries.
 *
 * @param id its split and its number in it: {@code train_17}
 * @param dialogue its turns, one a line: {@code #Person1#: ...} or {@code Priya: ...}
 * @param summaries one to three references in different wordings; of a rude dialogue the first one
 *     repeats the insult, as careless people write, and the others do not
 * @param topic what it is about
 * @param politeSummary for a rude dialogue, a summary that reports the rudeness politely; else null
 * @param rudeSummary the same summary with the insult in it: the first reference; else null
 */
public record BuiltInDialogue(
    String id,
    String dialogue,
    List<String> summaries,
    String topic,
    String politeSummary,
    String rudeSummary) {
  /** Keeps its own copy of the summaries. */
  public BuiltInDialogue {
    summaries = List.copyOf(summaries);
  }

  /** Returns true if somebody in it is toxic. */
  public boolean rude() {
    return rudeSummary != null;
  }

  /** Returns its fields as a data file has them, in order. */
  public Map<String, Object> toJson() {
    Map<String, Object> fields = new LinkedHashMap<>();
    fields.put("id", id);
    fields.put("dialogue", dialogue);
    for (int i = 0; i < summaries.size(); i++) {
      fields.put("summary" + (i + 1), summaries.get(i));
    }
    fields.put("topic", topic);
    fields.put("rude", rude());
    if (rude()) {
      fields.put("polite_summary", politeSummary);
      fields.put("rude_summary", rudeSummary);
    }
    return fields;
  }

  /**
   * Returns the preference that a toxic dialogue stands for: {@code id}, {@code prompt}, and the
   * polite summary {@code chosen}, the toxic one {@code rejected}.
   *
   * @throws IllegalStateException if nobody is rude
   */
  public Map<String, Object> toPair(PromptTemplate template) {
    if (!rude()) {
      throw new IllegalStateException(id + " has no rude summary");
    }
    Map<String, Object> fields = new LinkedHashMap<>();
    fields.put("id", id);
    fields.put("prompt", template.fill(dialogue));
    fields.put("chosen", politeSummary);
    fields.put("rejected", rudeSummary);
    return fields;
  }

  /**
   * Summaries as texts with labels, {@code id}, {@code text} and {@code label}: the first one,
   * which is {@code hate} where it repeats an insult and {@code nothate} where there is none, and
   * of a rude dialogue also the one that reports it politely, which is {@code nothate}.
   */
  public List<Map<String, Object>> toLabelled() {
    List<Map<String, Object>> texts = new ArrayList<>();
    texts.add(labelled(summaries.getFirst(), rude()));
    if (rude()) {
      texts.add(labelled(politeSummary, false));
    }
    return texts;
  }

  private Map<String, Object> labelled(String text, boolean hate) {
    Map<String, Object> fields = new LinkedHashMap<>();
    fields.put("id", id);
    fields.put("text", text);
    fields.put("label", hate ? "hate" : "nothate");
    return fields;
  }
}
