package dev.precis.alignment.reward;

import dev.precis.evaluation.Calibration;
import dev.precis.tensor.Tensor;
import dev.precis.training.RunFolder;
import dev.precis.training.TrainableEncoder;
import dev.precis.training.TrainingOptions;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Trains a RoBERTa on labelled texts with the mean cross-entropy of the label, {@code log sum_k
 * exp(logit_k) - logit_label}.
 *
 * <p>Not thread-safe, except {@link #stop}.
 */
public final class ClassifierTrainer extends ClassifierLoop<LabelledExample> {
  private final List<String> labels;

  /**
   * Quality of a classifier on held-out texts.
   *
   * @param loss mean loss
   * @param brier Brier score: mean over the texts of sum_k (p_k - [k is the label])^2
   * @param calibration calibration of the predicted label
   * @param classes precision and recall by label
   * @param probabilities of each held-out text, by the index of the label
   */
  public record Report(
      int texts,
      double loss,
      double brier,
      Calibration calibration,
      Map<String, ClassReport> classes,
      List<double[]> probabilities) {
    /** Copies the list. */
    public Report {
      probabilities = List.copyOf(probabilities);
    }
  }

  /**
   * Precision and recall of a label.
   *
   * @param texts number of texts that have it
   * @param precision share of the texts with this prediction that have the label; NaN if there is
   *     none
   * @param recall share of the texts with this label that are predicted so; NaN if there is none
   */
  public record ClassReport(int texts, double precision, double recall) {}

  /**
   * Prepares a run, which starts from the beginning unless it is resumed.
   *
   * @param evaluation texts to evaluate on; may be empty
   * @param run folder that everything is written to; the caller owns it and must close it
   */
  public ClassifierTrainer(
      TrainableEncoder roberta,
      TrainingOptions options,
      List<LabelledExample> training,
      List<LabelledExample> evaluation,
      RunFolder run) {
    super(roberta, options, training, evaluation, each -> each.tokens().length, 1, run);
    labels = roberta.config().labels();
  }

  @Override
  List<int[]> sequences(List<LabelledExample> examples) {
    List<int[]> all = new ArrayList<>(examples.size());
    examples.forEach(each -> all.add(each.tokens()));
    return all;
  }

  @Override
  double loss(
      List<LabelledExample> examples,
      Tensor logits,
      double scale,
      Tensor gradient,
      Map<String, Double> metrics) {
    double sum = 0;
    double right = 0;
    double[] p = new double[labels.size()];
    float[] derivatives = new float[examples.size() * p.length];
    for (int i = 0; i < examples.size(); i++) {
      int label = examples.get(i).label();
      sum += probabilities(logits, i, label, p);
      right += best(p) == label ? 1 : 0;
      for (int k = 0; k < p.length; k++) {
        derivatives[i * p.length + k] = (float) (scale * (p[k] - (k == label ? 1 : 0)));
      }
    }
    if (gradient != null) {
      gradient.write(to -> to.copyFrom(MemorySegment.ofArray(derivatives)));
    }
    metrics.merge("accuracy", right, Double::sum);
    return sum;
  }

  /** Computes the softmax of a row into p and returns the label's loss. */
  private static double probabilities(Tensor logits, int row, int label, double[] p) {
    double largest = Double.NEGATIVE_INFINITY;
    for (int k = 0; k < p.length; k++) {
      largest = Math.max(largest, logits.get(row, k));
    }
    double sum = 0;
    for (int k = 0; k < p.length; k++) {
      p[k] = Math.exp(logits.get(row, k) - largest);
      sum += p[k];
    }
    for (int k = 0; k < p.length; k++) {
      p[k] /= sum;
    }
    return Math.log(sum) + largest - logits.get(row, label);
  }

  private static int best(double[] p) {
    int best = 0;
    for (int k = 1; k < p.length; k++) {
      best = p[k] > p[best] ? k : best;
    }
    return best;
  }

  @Override
  protected Evaluation evaluation(Listener listener) {
    Report report = report();
    Map<String, Double> metrics = new LinkedHashMap<>();
    metrics.put("accuracy", report.calibration.accuracy());
    metrics.put("ece", report.calibration.ece());
    metrics.put("brier", report.brier);
    return new Evaluation(report.loss, metrics);
  }

  /** Evaluates the present model on the held-out texts. */
  public Report report() {
    List<LabelledExample> texts = heldOut();
    int n = texts.size();
    double[] confidences = new double[n];
    double[] right = new double[n];
    int[] present = new int[labels.size()];
    int[] named = new int[labels.size()];
    int[] found = new int[labels.size()];
    double loss = 0;
    double brier = 0;
    double[] p = new double[labels.size()];
    List<double[]> all = new ArrayList<>();
    for (int at = 0; at < n; at += options().batchSize()) {
      List<LabelledExample> micro = texts.subList(at, Math.min(n, at + options().batchSize()));
      Tensor logits = logits(micro);
      for (int i = 0; i < micro.size(); i++) {
        int label = micro.get(i).label();
        loss += probabilities(logits, i, label, p);
        int best = best(p);
        all.add(p.clone());
        confidences[at + i] = p[best];
        right[at + i] = best == label ? 1 : 0;
        present[label]++;
        named[best]++;
        found[label] += best == label ? 1 : 0;
        for (int k = 0; k < p.length; k++) {
          double error = p[k] - (k == label ? 1 : 0);
          brier += error * error;
        }
      }
    }
    Map<String, ClassReport> classes = new LinkedHashMap<>();
    for (int k = 0; k < p.length; k++) {
      classes.put(
          labels.get(k),
          new ClassReport(
              present[k], (double) found[k] / named[k], (double) found[k] / present[k]));
    }
    return new Report(
        n,
        loss / n,
        brier / n,
        Calibration.of(1.0 / labels.size(), confidences, right),
        classes,
        all);
  }
}
