package dev.precis.alignment.reward;

import dev.precis.InvalidInputException;
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
   * Checks the template.
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

  /** The text to score. */
  public String fill(String prompt, String completion) {
    int at = text.indexOf("{completion}");
    // One at a time: what is filled in may itself look like a placeholder.
    return part(0, at, prompt)
        + completion
        + part(at + "{completion}".length(), text.length(), prompt);
  }

  private String part(int begin, int end, String prompt) {
    return text.substring(begin, end).replace("{prompt}", prompt);
  }
}
