package dev.precis.review.exchange;

import dev.precis.io.InvalidInputException;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/** A format of choices. */
public enum ExportFormat {
  /** JSON lines with prompt, chosen and rejected, one for each pair with a majority. */
  DPO,
  /** JSON lines with prompt, completion and label, one for each text that was judged. */
  KTO,
  /** JSON lines with dialogue and summary, one for each edit. */
  SFT,
  /** A table with a row for each answer. */
  CSV,
  /** JSON lines as in OpenAI's summarize-from-feedback, one for each preference. */
  OPENAI,
  /** A list of Argilla's records, one for each pair. */
  ARGILLA,
  /** A list of Label Studio's tasks with annotations, one for each pair. */
  LABEL_STUDIO;

  /** Returns its name in options. */
  public String id() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  /** Returns all names. */
  public static List<String> ids() {
    return Arrays.stream(values()).map(ExportFormat::id).toList();
  }

  /**
   * Returns the format of a name.
   *
   * @throws InvalidInputException if there is none
   */
  public static ExportFormat of(String id) {
    return Arrays.stream(values())
        .filter(each -> each.id().equals(id))
        .findFirst()
        .orElseThrow(
            () ->
                new InvalidInputException(
                    "There is no format '%s'; there are %s"
                        .formatted(id, String.join(", ", ids()))));
  }
}
