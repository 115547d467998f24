package dev.precis.alignment.reward;

import dev.precis.io.InvalidInputException;
import java.util.function.ToIntFunction;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Template of a reward model's input: a text with <code>{completion}</code> in it once, and perhaps
 * <code>
 * {prompt}</code>. Immutable.
 */
public record RewardTemplate(String text) {
  private static final Pattern PLACEHOLDER = Pattern.compile("\\{([A-Za-z_][A-Za-z0-9_]*)}");

  /** The completion alone. */
  public static final RewardTemplate COMPLETION = new RewardTemplate("{completion}");

  /** The prompt, then the completion on the next line. */
  public static final RewardTemplate PROMPT_AND_COMPLETION =
      new RewardTemplate("{prompt}\n{completion}");

  /**
   * Checks the template.
   *
   * @throws InvalidInputException where a placeholder is unknown or repeated, or <code>
   *     {completion}</code> is missing
   */
  public RewardTemplate {
    int prompts = 0;
    int completions = 0;
    Matcher placeholder = PLACEHOLDER.matcher(text);
    while (placeholder.find()) {
      switch (placeholder.group(1)) {
        case "prompt" -> prompts++;
        case "completion" -> completions++;
        default ->
            throw new InvalidInputException(
                "The reward's template has the unknown placeholder %s; it may have {prompt} and"
                        .formatted(placeholder.group())
                    + " must have {completion}");
      }
    }
    if (completions != 1 || prompts > 1) {
      throw new InvalidInputException(
          "The reward's template \"%s\" must have {completion} once, and {prompt} at most once"
              .formatted(text));
    }
  }

  /** Returns true if the template has the prompt. */
  public boolean readsPrompt() {
    return text.contains("{prompt}");
  }

  /**
   * Returns the text to score.
   *
   * @param prompt null only if the template has no prompt
   */
  public String fill(String prompt, String completion) {
    int at = text.indexOf("{completion}");
    // Parts are filled separately: a text may itself look like a placeholder.
    return part(0, at, prompt)
        + completion
        + part(at + "{completion}".length(), text.length(), prompt);
  }

  /**
   * Returns the text to score. If it is too long, the prompt is truncated at its end so that the
   * completion fits whole, as far as that is possible.
   *
   * @param tokens counts the tokens of a text, special ones included
   */
  public String fill(
      String prompt, String completion, ToIntFunction<String> tokens, int maxTokens) {
    String whole = fill(prompt, completion);
    if (!readsPrompt() || tokens.applyAsInt(whole) <= maxTokens) {
      return whole;
    }
    // Bisects the number of code points that fit; code points, so that no surrogate pair is split.
    int fits = 0;
    int fitsNot = prompt.codePointCount(0, prompt.length());
    while (fits + 1 < fitsNot) {
      int middle = (fits + fitsNot) >>> 1;
      if (tokens.applyAsInt(fill(beginning(prompt, middle), completion)) <= maxTokens) {
        fits = middle;
      } else {
        fitsNot = middle;
      }
    }
    return fill(beginning(prompt, fits), completion);
  }

  private static String beginning(String text, int codePoints) {
    return text.substring(0, text.offsetByCodePoints(0, codePoints));
  }

  private String part(int begin, int end, String prompt) {
    String part = text.substring(begin, end);
    return prompt == null ? part : part.replace("{prompt}", prompt);
  }
}
