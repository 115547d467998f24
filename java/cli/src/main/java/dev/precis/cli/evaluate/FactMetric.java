package dev.precis.cli.evaluate;

import dev.precis.T5;
import dev.precis.data.Dialogue;
import dev.precis.evaluation.FactChecker;
import java.util.List;

/** Scores summaries by the share of their facts that the dialogue supports, without a model. */
final class FactMetric implements Metric {
  static final String COLUMN = "facts";

  @Override
  public List<String> columns() {
    return List.of(COLUMN);
  }

  @Override
  public String settings() {
    return "facts: share of names, numbers, times, speakers and negations that the dialogue"
        + " supports; 1 without any; higher is better";
  }

  @Override
  public double[][] score(T5 model, List<Dialogue> dialogues, List<String> summaries) {
    double[] shares = new double[summaries.size()];
    for (int i = 0; i < shares.length; i++) {
      shares[i] = FactChecker.check(dialogues.get(i).dialogue(), summaries.get(i)).score();
    }
    return new double[][] {shares};
  }
}
