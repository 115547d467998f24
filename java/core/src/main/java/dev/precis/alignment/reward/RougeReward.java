package dev.precis.alignment.reward;

import dev.precis.evaluation.Rouge;
import dev.precis.io.InvalidInputException;
import java.util.ArrayList;
import java.util.List;

/**
 * Scores completions with the F1 of a ROUGE metric against the references.
 *
 * @param combination combination of several references
 */
public record RougeReward(Rouge rouge, Rouge.Metric metric, Rouge.MultiReference combination)
    implements Reward {
  /**
   * Returns the reward of a metric with the Porter stemmer, against the best-matching reference.
   */
  public static RougeReward of(Rouge.Metric metric) {
    return new RougeReward(Rouge.of(Rouge.Preset.STEMMER), metric, Rouge.MultiReference.MAX);
  }

  @Override
  public List<Score> score(List<Completion> completions) {
    List<Score> scores = new ArrayList<>();
    for (Completion completion : completions) {
      if (completion.references().isEmpty()) {
        throw new InvalidInputException(
            "'%s' has no reference summary, which the reward %s compares with"
                .formatted(completion.id(), metric.id()));
      }
      Rouge.Scores all = rouge.score(completion.text(), completion.references(), combination);
      scores.add(Score.of(metric.id(), metric.of(all).f1()));
    }
    return scores;
  }
}
