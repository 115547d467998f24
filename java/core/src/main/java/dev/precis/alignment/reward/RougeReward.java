package dev.precis.alignment.reward;

import dev.precis.evaluation.Rouge;
import dev.precis.io.InvalidInputException;
import java.util.ArrayList;
import java.util.List;

/**
 * The F1 of ROUGE against what people wrote.
 *
 * @param combination how several references become one
 */
public record RougeReward(Rouge rouge, Rouge.Metric metric, Rouge.MultiReference combination)
    implements Reward {
  /** A metric as papers print it, against the nearest reference. */
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
