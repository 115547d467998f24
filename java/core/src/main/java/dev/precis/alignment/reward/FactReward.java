package dev.precis.alignment.reward;

import dev.precis.evaluation.FactChecker;
import java.util.List;

/**
 * Scores a summary by the share of its facts that the dialogue in its prompt supports, from 0 to 1:
 * {@link FactChecker}, which needs no model. A summary without facts has 1, so it is best used
 * beside a reward that asks for content.
 */
public final class FactReward implements Reward {
  @Override
  public List<Score> score(List<Completion> completions) {
    return completions.stream()
        .map(each -> Score.of("facts", FactChecker.check(each.prompt(), each.text()).score()))
        .toList();
  }
}
