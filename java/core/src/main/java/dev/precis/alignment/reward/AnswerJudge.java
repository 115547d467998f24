package dev.precis.alignment.reward;

import dev.precis.T5;
import dev.precis.evaluation.PairJudge;
import dev.precis.evaluation.TextPair;
import dev.precis.io.InvalidInputException;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * Judges pairs by the first token that a T5 would answer with: the probability of the first answer
 * among the answers, or, where there is only one, among all tokens.
 */
public final class AnswerJudge implements PairJudge {
  /** The most tokens of a source, which no T5 limits by itself: a longer premise is cut. */
  private static final int MAX_TOKENS = 2048;

  private final T5 model;
  private final RewardTemplate template;
  private final int[] answers;

  /**
   * Makes a judge of a model, which it closes.
   *
   * @param template prompt with {prompt} and {completion} for the premise and the claim
   * @param answers words, of which each is represented by its first token
   * @throws InvalidInputException if there is no answer, one has no token, or two begin with the
   *     same one
   */
  public AnswerJudge(T5 model, RewardTemplate template, List<String> answers) {
    this.model = model;
    this.template = template;
    this.answers = new int[answers.size()];
    Set<Integer> seen = new LinkedHashSet<>();
    for (int i = 0; i < answers.size(); i++) {
      int[] ids = model.tokenizer().encode(answers.get(i), false);
      if (ids.length == 0 || ids[0] == model.tokenizer().unkId() || !seen.add(ids[0])) {
        throw new InvalidInputException(
            "The judge's answer '%s' has no first token of its own in the vocabulary of %s"
                .formatted(answers.get(i), model.folder()));
      }
      this.answers[i] = ids[0];
    }
    if (answers.isEmpty()) {
      throw new InvalidInputException(
          "A judge that answers with a word needs an answer, such as Yes/No");
    }
  }

  /** Returns the ids of the answers' first tokens. */
  public int[] answerTokens() {
    return answers.clone();
  }

  @Override
  public double[] judge(List<TextPair> pairs) {
    List<int[]> sources = new ArrayList<>();
    for (TextPair pair : pairs) {
      String text =
          template.fill(
              pair.first(),
              pair.second(),
              each -> model.tokenizer().encode(each).length,
              MAX_TOKENS);
      sources.add(model.tokenizer().encode(text, MAX_TOKENS));
    }
    return model.firstTokenLogProbabilities(sources, answers, null).stream()
        .mapToDouble(AnswerJudge::first)
        .toArray();
  }

  private static double first(double[] logProbabilities) {
    if (logProbabilities.length == 1) {
      return Math.exp(logProbabilities[0]);
    }
    double others = 0;
    for (double each : logProbabilities) {
      others += Math.exp(each - logProbabilities[0]);
    }
    return 1 / others;
  }

  @Override
  public void close() {
    model.close();
  }
}
