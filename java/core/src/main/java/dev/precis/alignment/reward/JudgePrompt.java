package dev.precis.alignment.reward;

import dev.precis.io.InvalidInputException;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Collectors;

/** Prompts that published judges were trained with, and the words that they answer with. */
public enum JudgePrompt {
  /** MiniCheck on FLAN-T5 (Tang et al. 2024): 1 is supported, 0 is not. */
  MINICHECK("predict: {prompt}</s>{completion}", "1", "0"),
  /** UniEval's question about consistency (Zhong et al. 2022). */
  UNIEVAL(
      "question: Is this claim consistent with the document? </s> claim: {completion} </s>"
          + " document: {prompt}",
      "Yes",
      "No"),
  /** SteamSHP (Ethayarajh et al. 2022), which prefers A or B; B is a mere full stop. */
  STEAMSHP(
      "POST: {prompt}\n\n RESPONSE A: {completion}\n\n RESPONSE B: .\n\n"
          + " Which response is better? RESPONSE",
      "A"),
  /** HHEM 2.1, a T5's encoder with a head, which answers with no word. */
  HHEM(
      "<pad> Determine if the hypothesis is true given the premise?\n\nPremise: {prompt}\n\n"
          + "Hypothesis: {completion}");

  private final RewardTemplate template;
  private final List<String> answers;

  JudgePrompt(String template, String... answers) {
    this.template = new RewardTemplate(template);
    this.answers = List.of(answers);
  }

  /** Returns the prompt, with {prompt} for the premise and {completion} for the claim. */
  public RewardTemplate template() {
    return template;
  }

  /** Returns the answers; the first one's probability is the judgment. */
  public List<String> answers() {
    return answers;
  }

  /** Returns its name as options spell it. */
  public String id() {
    return name().toLowerCase(Locale.ROOT);
  }

  /** Returns the prompt of a name; empty if there is none. */
  public static Optional<JudgePrompt> named(String name) {
    return Arrays.stream(values()).filter(each -> each.id().equals(name)).findFirst();
  }

  /** Returns all names. */
  public static String names() {
    return Arrays.stream(values()).map(JudgePrompt::id).collect(Collectors.joining(", "));
  }

  /**
   * Returns the template that an option gives: that of a name, or the text itself.
   *
   * @param text a name, or a text with {completion} in it
   * @throws InvalidInputException if it is neither
   */
  public static RewardTemplate template(String text) {
    return named(text).map(JudgePrompt::template).orElseGet(() -> new RewardTemplate(text));
  }
}
