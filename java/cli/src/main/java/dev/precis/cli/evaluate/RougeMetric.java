package dev.precis.cli.evaluate;

import dev.precis.T5;
import dev.precis.data.Dialogue;
import dev.precis.evaluation.Rouge;
import dev.precis.evaluation.Rouge.MultiReference;
import java.util.Arrays;
import java.util.List;

/** Scores summaries by the F1 of ROUGE. */
record RougeMetric(Rouge rouge, MultiReference combination, String settings) implements Metric {
  @Override
  public List<String> columns() {
    return Arrays.stream(Rouge.Metric.values()).map(Rouge.Metric::id).toList();
  }

  @Override
  public double[][] score(T5 model, List<Dialogue> dialogues, List<String> summaries) {
    double[][] f1 = new double[Rouge.Metric.values().length][dialogues.size()];
    for (int i = 0; i < dialogues.size(); i++) {
      var scores = rouge.score(summaries.get(i), dialogues.get(i).summaries(), combination);
      for (Rouge.Metric metric : Rouge.Metric.values()) {
        f1[metric.ordinal()][i] = metric.of(scores).f1();
      }
    }
    return f1;
  }
}
