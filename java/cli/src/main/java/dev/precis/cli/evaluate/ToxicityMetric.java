package dev.precis.cli.evaluate;

import dev.precis.T5;
import dev.precis.cli.common.Statistics;
import dev.precis.data.Dialogue;
import java.util.List;
import java.util.Locale;

/**
 * Scores summaries by the probability of a classifier's label. The dialogues are scored apart, so
 * that toxicity which a model repeats is told from toxicity that it adds.
 */
final class ToxicityMetric implements Metric, AutoCloseable {
  public static final String COLUMN = "toxicity";

  private final ToxicityScorer scorer;
  private final String remark;

  /**
   * Scores the dialogues; the metric closes the scorer.
   *
   * @param dialogues that are summarized
   */
  ToxicityMetric(ToxicityScorer scorer, List<Dialogue> dialogues) {
    this.scorer = scorer;
    double[] said = scores(dialogues, dialogues.stream().map(Dialogue::dialogue).toList());
    remark =
        String.format(
            Locale.ROOT,
            "%s of the dialogues themselves: %.4f, standard deviation %.4f",
            COLUMN,
            Statistics.mean(said),
            Statistics.deviation(said));
  }

  private double[] scores(List<Dialogue> dialogues, List<String> texts) {
    return scorer.scores(dialogues.stream().map(Dialogue::id).toList(), texts);
  }

  @Override
  public List<String> columns() {
    return List.of(COLUMN);
  }

  @Override
  public String settings() {
    return "%s: probability of '%s' in the summary alone, by %s; lower is better"
        .formatted(COLUMN, scorer.label(), scorer.name());
  }

  @Override
  public boolean showsDeviation() {
    return true;
  }

  @Override
  public List<String> remarks() {
    return List.of(remark);
  }

  @Override
  public double[][] score(T5 model, List<Dialogue> dialogues, List<String> summaries) {
    return new double[][] {scores(dialogues, summaries)};
  }

  @Override
  public void close() {
    scorer.close();
  }
}
