package dev.precis.text;

import dev.precis.io.BoundedFile;
import dev.precis.io.InvalidInputException;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Makes prompts of dialogues: zero-shot, or with worked examples before the question (Brown et al.
 * 2020).
 *
 * <p>A template is a text with <code>{dialogue}</code> in it once, and <code>{summary}</code> at
 * most once after it. A question ends where the summary would stand, so that the model continues
 * from there; an example has its summary there, or at the end where the template has no <code>
 * {summary}
 * </code>. Braces around anything but a name are text like any other. Immutable.
 */
public final class PromptTemplate {
  private static final Pattern PLACEHOLDER = Pattern.compile("\\{([A-Za-z_][A-Za-z0-9_]*)}");
  private static final long MAX_FILE_BYTES = 1 << 20;

  /** The template that the project's checkpoints and numbers use. */
  public static final PromptTemplate DEFAULT =
      of("Summarize the following conversation.\n\n{dialogue}\n\nSummary: ");

  /** The text as it is, for prompts that are already complete; it takes no examples. */
  public static final PromptTemplate RAW = of("{dialogue}");

  private final String text;
  private final String beforeDialogue;
  private final String beforeSummary;
  private final String afterSummary;

  /** A dialogue with the summary that it should get. */
  public record Example(String dialogue, String summary) {}

  private PromptTemplate(String text, String name) {
    this.text = text;
    int dialogue = -1;
    int summary = -1;
    Matcher placeholder = PLACEHOLDER.matcher(text);
    while (placeholder.find()) {
      switch (placeholder.group(1)) {
        case "dialogue" -> {
          require(dialogue < 0, name, "has {dialogue} twice, but a prompt has one dialogue");
          require(summary < 0, name, "has {summary} before {dialogue}; the summary comes last");
          dialogue = placeholder.start();
        }
        case "summary" -> {
          require(summary < 0, name, "has {summary} twice, but a prompt has one summary");
          summary = placeholder.start();
        }
        default -> require(false, name, "has an unknown placeholder " + placeholder.group());
      }
    }
    require(dialogue >= 0, name, "has no {dialogue}, where the dialogue goes");
    beforeDialogue = text.substring(0, dialogue);
    int afterDialogue = dialogue + "{dialogue}".length();
    beforeSummary = text.substring(afterDialogue, summary < 0 ? text.length() : summary);
    afterSummary = summary < 0 ? "" : text.substring(summary + "{summary}".length());
  }

  /**
   * Makes a template of a text.
   *
   * @throws InvalidInputException if <code>{dialogue}</code> is missing, a placeholder is unknown,
   *     repeated or in the wrong order
   */
  public static PromptTemplate of(String text) {
    String shown = text.length() > 60 ? text.substring(0, 60) + "..." : text;
    return new PromptTemplate(text, "The template \"" + shown.replace("\n", "\\n") + "\"");
  }

  /**
   * Reads a template from a UTF-8 file. The line end that editors put after the last line is not
   * part of it.
   *
   * @throws InvalidInputException as {@link #of}, and if the file is missing, longer than a
   *     mebibyte or not UTF-8
   */
  public static PromptTemplate read(Path file) {
    String text = BoundedFile.readText(file, MAX_FILE_BYTES, "a template");
    text = text.startsWith("\uFEFF") ? text.substring(1) : text;
    text = text.replace("\r\n", "\n");
    text = text.endsWith("\n") ? text.substring(0, text.length() - 1) : text;
    return new PromptTemplate(text, "The template " + file);
  }

  /** Returns the zero-shot prompt of a dialogue. */
  public String fill(String dialogue) {
    return beforeDialogue + dialogue + beforeSummary;
  }

  /**
   * Returns the prompt of a dialogue after worked examples: each example filled in, then the
   * question, with a blank line between them.
   *
   * @throws IllegalArgumentException if raw text is given examples
   */
  public String fill(String dialogue, List<Example> examples) {
    if (!examples.isEmpty() && text.equals(RAW.text)) {
      throw new IllegalArgumentException("Raw text is a whole prompt and takes no examples");
    }
    StringBuilder prompt = new StringBuilder();
    for (Example example : examples) {
      prompt.append(fill(example.dialogue)).append(example.summary).append(afterSummary);
      prompt.append("\n\n");
    }
    return prompt.append(fill(dialogue)).toString();
  }

  /** Returns the template itself. */
  public String text() {
    return text;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof PromptTemplate template && text.equals(template.text);
  }

  @Override
  public int hashCode() {
    return text.hashCode();
  }

  @Override
  public String toString() {
    return text;
  }

  private static void require(boolean condition, String name, String otherwise) {
    if (!condition) {
      throw new InvalidInputException(name + " " + otherwise);
    }
  }
}
