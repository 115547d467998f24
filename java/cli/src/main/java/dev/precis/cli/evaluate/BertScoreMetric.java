package dev.precis.cli.evaluate;

import dev.precis.T5;
import dev.precis.TextStates;
import dev.precis.data.Dialogue;
import dev.precis.evaluation.BertScore;
import java.util.ArrayList;
import java.util.List;

/** Scores summaries by BERTScore against the references. */
final class BertScoreMetric implements Metric, AutoCloseable {
  static final String NAME = "bertscore";

  private final TextStates encoder;
  private final BertScore score;
  private final BertScore.Baseline baseline;
  private final List<List<BertScore.States>> references = new ArrayList<>();
  private final String settings;

  /**
   * Reads the references; the metric closes the encoder.
   *
   * @param idf whether tokens weigh their inverse document frequency among the references
   * @param baseline from which scores are counted; null: from 0
   * @param name of the encoder, for reports
   */
  BertScoreMetric(
      TextStates encoder,
      List<Dialogue> dialogues,
      boolean idf,
      BertScore.Baseline baseline,
      String name) {
    this.encoder = encoder;
    this.baseline = baseline;
    List<BertScore.States> all =
        encoder.of(dialogues.stream().flatMap(each -> each.summaries().stream()).toList());
    int at = 0;
    for (Dialogue each : dialogues) {
      references.add(all.subList(at, at + each.summaries().size()));
      at += each.summaries().size();
    }
    score =
        idf
            ? BertScore.weightedBy(all.stream().map(BertScore.States::ids).toList())
            : BertScore.plain(encoder.specialIds());
    settings =
        "bertscore: cosines of layer %d of %s%s%s; the best of several references; higher is better"
            .formatted(
                encoder.layer(),
                name,
                idf ? ", weighted by idf" : "",
                baseline == null ? "" : ", rescaled with a baseline");
  }

  @Override
  public List<String> columns() {
    return List.of("bertscoreP", "bertscoreR", "bertscoreF1");
  }

  @Override
  public String settings() {
    return settings;
  }

  @Override
  public double[][] score(T5 model, List<Dialogue> dialogues, List<String> summaries) {
    List<BertScore.States> candidates = encoder.of(summaries);
    double[][] numbers = new double[3][candidates.size()];
    for (int i = 0; i < candidates.size(); i++) {
      BertScore.Score best = score.best(candidates.get(i), references.get(i));
      best = baseline == null ? best : baseline.rescale(best);
      numbers[0][i] = best.precision();
      numbers[1][i] = best.recall();
      numbers[2][i] = best.f1();
    }
    return numbers;
  }

  @Override
  public void close() {
    encoder.close();
  }
}
