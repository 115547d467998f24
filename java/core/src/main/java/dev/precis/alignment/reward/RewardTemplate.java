package dev.precis.alignment.reward;

import dev.precis.io.InvalidInputException;
import java.util.function.ToIntFunction;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What a reward model reads: a text with <code>{completion}</code> in it once, and perhaps <code>
 * {prompt}</code>. Immutable.
 */
public record RewardTemplate(String text) {
  private static final Pattern PLACEHOLDER = Pattern.compile("\\{([A-Za-z_][A-Za-z0-9_]*)}");

  /** The completion alone: a reward that reads the prompt too is mostly about the prompt. */
  public static final RewardTemplate COMPLETION = new RewardTemplate("{completion}");

  /** The prompt, then the completion on a line of its own. */
  public static final RewardTemplate PROMPT_AND_COMPLETION =
      new RewardTemplate("{prompt}\n{completion}");

  /**
   * ScoreValidation the template.
   *
   * @throws InvalidInputException where a placeholder is unknown, twice there, or <code>
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

  /** Whether the prompt is read too. */
  public boolean readsPrompt() {
    return text.contains("{prompt}");
  }

  /**
   * The text to score.
   *
   * @param prompt null only where it is not read
   */
  public String fill(String prompt, String completion) {
    int at = text.indexOf("{completion}");
    // One at a time: what is filled in may itself look like a placeholder.
    return part(0, at, prompt)
        + completion
        + part(at + "{completion}".length(), text.length(), prompt);
  }

  /**
   * The text to score, short enough for the model to read the completion whole: where it is too
   * long, the prompt is cut at its end, as far as that helps.
   *
   * @param tokens how many a text has, special ones included
   */
  public String fill(
      String prompt, String completion, ToIntFunction<String> tokens, int maxTokens) {
    String whole = fill(prompt, completion);
    if (!readsPrompt() || tokens.applyAsInt(whole) <= maxTokens) {
      return whole;
    }
    // In code points, so that none is cut in two: this many fit, one more than that many does not.
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
