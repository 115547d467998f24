package dev.precis.data;

/**
 * Two answers to a prompt, of which people prefer one.
 *
 * @param id as in the file; else the line
 * @param text a dialogue, which a template is applied to, or a prompt that is used as it is
 * @param raw whether the text is a prompt
 * @param chosen the answer that is preferred
 * @param rejected the other one
 * @param margin how much better the chosen one was found; 0 where nobody says
 * @param where file and line, for the sentences of errors
 */
public record PreferencePair(
    String id,
    String text,
    boolean raw,
    String chosen,
    String rejected,
    double margin,
    String where) {
  /** Makes a pair without a margin. */
  public PreferencePair(
      String id, String text, boolean raw, String chosen, String rejected, String where) {
    this(id, text, raw, chosen, rejected, 0, where);
  }
}
