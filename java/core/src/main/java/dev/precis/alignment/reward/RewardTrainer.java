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
 * Trains a reward model, a RoBERTa with one logit, on preference pairs with the mean loss of {@link
 * BradleyTerry}.
 *
 * <p>Not thread-safe, except {@link #stop}.
 */
public final class RewardTrainer extends ClassifierLoop<PairExample> {
  private final double centering;

  /**
   * Quality of a reward model on held-out pairs.
   *
   * @param loss mean loss
   * @param brier Brier score: mean of (1 - p)^2, where p is the probability of the chosen side
   * @param chosen mean reward of the chosen side
   * @param rejected mean reward of the rejected side
   * @param calibration calibration of the predicted side's probability, from 0.5
   * @param rewards of each held-out pair, in their order
   */
  public record Report(
      int pairs,
      double loss,
      double brier,
      double chosen,
      double rejected,
      Calibration calibration,
      List<PairReward> rewards) {
    /** Copies the rewards. */
    public Report {
      rewards = List.copyOf(rewards);
    }
  }

  /** The rewards of the two sides of a pair. */
  public record PairReward(double chosen, double rejected) {}

  /**
   * Prepares a run, which starts from the beginning unless it is resumed.
   *
   * @param evaluation pairs to evaluate on; may be empty
   * @param centering coefficient of the centering, see {@link BradleyTerry}; 0: off
   * @param run folder that everything is written to; the caller owns it and must close it
   */
  public RewardTrainer(
      TrainableEncoder roberta,
      TrainingOptions options,
      List<PairExample> training,
      List<PairExample> evaluation,
      double centering,
      RunFolder run) {
    super(roberta, options, training, evaluation, PairExample::tokens, 2, run);
    this.centering = centering;
  }

  /** Returns all chosen sides, then all rejected ones. */
  @Override
  List<int[]> sequences(List<PairExample> examples) {
    List<int[]> all = new ArrayList<>(2 * examples.size());
    examples.forEach(each -> all.add(each.chosen()));
    examples.forEach(each -> all.add(each.rejected()));
    return all;
  }

  @Override
  double loss(
      List<PairExample> examples,
      Tensor logits,
      double scale,
      Tensor gradient,
      Map<String, Double> metrics) {
    double sum = 0;
    double right = 0;
    double margin = 0;
    int n = examples.size();
    float[] derivatives = new float[2 * n];
    for (int i = 0; i < n; i++) {
      double chosen = logits.get(i, 0);
      double rejected = logits.get(n + i, 0);
      BradleyTerry loss = BradleyTerry.of(chosen, rejected, examples.get(i).margin(), centering);
      sum += loss.loss();
      right += right(chosen, rejected);
      margin += chosen - rejected;
      derivatives[i] = (float) (scale * loss.dChosen());
      derivatives[n + i] = (float) (scale * loss.dRejected());
    }
    if (gradient != null) {
      gradient.write(to -> to.copyFrom(MemorySegment.ofArray(derivatives)));
    }
    metrics.merge("accuracy", right, Double::sum);
    metrics.merge("margin", margin, Double::sum);
    return sum;
  }

  private static double right(double chosen, double rejected) {
    return chosen > rejected ? 1 : chosen < rejected ? 0 : 0.5;
  }

  @Override
  protected Evaluation evaluation(Listener listener) {
    Report report = report();
    Map<String, Double> metrics = new LinkedHashMap<>();
    metrics.put("accuracy", report.calibration.accuracy());
    metrics.put("margin", report.chosen - report.rejected);
    metrics.put("ece", report.calibration.ece());
    metrics.put("brier", report.brier);
    return new Evaluation(report.loss, metrics);
  }

  /** Evaluates the present model on the held-out pairs. */
  public Report report() {
    List<PairExample> pairs = heldOut();
    double[] confidences = new double[pairs.size()];
    double[] right = new double[pairs.size()];
    List<PairReward> rewards = new ArrayList<>();
    double loss = 0;
    double brier = 0;
    double chosen = 0;
    double rejected = 0;
    for (int at = 0; at < pairs.size(); at += options().batchSize()) {
      List<PairExample> micro =
          pairs.subList(at, Math.min(pairs.size(), at + options().batchSize()));
      Tensor logits = logits(micro);
      for (int i = 0; i < micro.size(); i++) {
        double c = logits.get(i, 0);
        double r = logits.get(micro.size() + i, 0);
        double p = BradleyTerry.probability(c, r);
        rewards.add(new PairReward(c, r));
        confidences[at + i] = Math.max(p, 1 - p);
        right[at + i] = right(c, r);
        loss += BradleyTerry.of(c, r, micro.get(i).margin(), centering).loss();
        brier += (1 - p) * (1 - p);
        chosen += c;
        rejected += r;
      }
    }
    int n = pairs.size();
    return new Report(
        n,
        loss / n,
        brier / n,
        chosen / n,
        rejected / n,
        Calibration.of(0.5, confidences, right),
        rewards);
  }
}
