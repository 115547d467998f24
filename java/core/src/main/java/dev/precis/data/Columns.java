package dev.precis.data;

import dev.precis.io.InvalidInputException;

/**
 * Names of columns, where they differ from those that are tried. Null stands for a name that is not
 * given.
 *
 * @param dialogue the column that a template is applied to
 * @param prompt the column with whole prompts, used as they are; excludes {@code dialogue}
 * @param summary the column with the reference summary, or the answer to a prompt
 * @param chosen the column with the preferred answer
 * @param rejected the column with the other answer
 */
public record Columns(
    String dialogue, String prompt, String summary, String chosen, String rejected) {
  /** No names: the well-known ones are tried. */
  public static final Columns WELL_KNOWN = new Columns(null, null, null, null, null);

  /** Checks the names. */
  public Columns {
    if (dialogue != null && prompt != null) {
      throw new InvalidInputException(
          "A dialogue column and a prompt column cannot be used together: a prompt is a text as the"
              + " model reads it");
    }
  }
}
