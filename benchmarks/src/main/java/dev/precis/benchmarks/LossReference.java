package dev.precis.benchmarks;

import static dev.precis.benchmarks.Reference.logSoftmax;
import static dev.precis.benchmarks.Reference.product;
import static dev.precis.benchmarks.Reference.rowOf;

import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/** The truth: the formulas of {@link LossProblem}, in double precision. */
final class LossReference {
  private LossReference() {}

  /** One row's losses and their gradients. */
  record PpoRow(
      double logProbability,
      double entropy,
      double policyLoss,
      double valueLoss,
      double dvalue,
      double[] dx) {}

  static PpoRow row(LossProblem.PpoLoss p, long m) {
    double[] logP = logSoftmax(product(rowOf(p.x(), m), p.w()));
    int action = p.actions().memory().getAtIndex(ValueLayout.JAVA_INT, m);
    double entropy = -Arrays.stream(logP).map(l -> Math.exp(l) * l).sum();
    double weight = p.weights().get(0, m);
    double advantage = p.advantages().get(0, m);
    double ratio = Math.exp(logP[action] - p.oldLogProbabilities().get(0, m));
    double low = 1.0 - p.coefficients().clipRangeLow();
    double high = 1.0 + p.coefficients().clipRangeHigh();
    double policyLoss = Math.max(-advantage * ratio, -advantage * Math.clamp(ratio, low, high));
    // Beyond a bound the gradient passes only where the loss is the unclipped one.
    boolean inside = low <= ratio && ratio <= high;
    double slope = inside || (ratio < low ? advantage > 0 : advantage < 0) ? -advantage * ratio : 0;
    double range = p.coefficients().clipRangeValue();
    double value = p.values().get(0, m);
    double old = p.oldValues().get(0, m);
    double error = value - p.returns().get(0, m);
    double other = Math.clamp(value, old - range, old + range) - p.returns().get(0, m);
    double valueLoss = Math.max(error * error, other * other) / 2;
    boolean moves = Math.abs(value - old) <= range || Math.abs(error) > Math.abs(other);
    double dvalue = moves ? weight * p.coefficients().valueCoefficient() * error : 0;
    double bonus = p.coefficients().entropyCoefficient();
    double[] dx = new double[Math.toIntExact(p.x().columns())];
    for (int v = 0; v < logP.length; v++) {
      double g = Math.exp(logP[v]) * (bonus * (logP[v] + entropy) - slope);
      g = weight * (v == action ? g + slope : g);
      for (int d = 0; d < dx.length; d++) {
        dx[d] += g * p.w().get(v, d);
      }
    }
    return new PpoRow(logP[action], entropy, policyLoss, valueLoss, dvalue, dx);
  }

  /** The definition: a sum of all later errors, each discounted. */
  static double[] row(LossProblem.Gae p, long s) {
    int length = p.lengths().memory().getAtIndex(ValueLayout.JAVA_INT, s);
    double[] advantages = new double[Math.toIntExact(p.rewards().columns())];
    for (int t = 0; t < length; t++) {
      for (int later = t; later < length; later++) {
        double next = later + 1 < length ? p.values().get(s, later + 1) : 0;
        double error = p.rewards().get(s, later) + p.gamma() * next - p.values().get(s, later);
        advantages[t] += Math.pow(p.gamma() * p.lambda(), later - t) * error;
      }
    }
    return advantages;
  }
}
