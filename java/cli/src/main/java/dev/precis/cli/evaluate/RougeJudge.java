package dev.precis.cli.evaluate;

import dev.precis.T5;
import dev.precis.data.Dialogue;
import dev.precis.evaluation.Rouge;
import dev.precis.evaluation.Rouge.Metric;
import dev.precis.evaluation.Rouge.MultiReference;
import java.util.Arrays;
import java.util.List;

/** F1 of ROUGE. */
public record RougeJudge(Rouge rouge, MultiReference combination, String settings)
    implements Judge {
  @Override
  public List<String> columns() {
    return Arrays.stream(Metric.values()).map(Metric::id).toList();
  }

  @Override
  public double[][] judge(T5 model, List<Dialogue> dialogues, List<String> summaries) {
    double[][] f1 = new double[Metric.values().length][dialogues.size()];
    for (int i = 0; i < dialogues.size(); i++) {
      var scores = rouge.score(summaries.get(i), dialogues.get(i).summaries(), combination);
      for (Metric metric : Metric.values()) {
        f1[metric.ordinal()][i] = metric.of(scores).f1();
      }
    }
    return f1;
  }
}
