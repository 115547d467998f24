package dev.precis.benchmarks;

import static dev.precis.benchmarks.Reference.logSoftmax;
import static dev.precis.benchmarks.Reference.product;
import static dev.precis.benchmarks.Reference.rowOf;

import dev.precis.tensor.Tensor;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/** States the formulas of {@link LossProblem} in double precision: the ground truth. */
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
    double[] g = new double[logP.length];
    for (int v = 0; v < g.length; v++) {
      double all = Math.exp(logP[v]) * (bonus * (logP[v] + entropy) - slope);
      g[v] = weight * (v == action ? all + slope : all);
    }
    return new PpoRow(logP[action], entropy, policyLoss, valueLoss, dvalue, back(g, p.w()));
  }

  /** Follows the definition: a sum of all later errors, each discounted. */
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

  /**
   * One row's losses and their gradient.
   *
   * @param loss the cross-entropy, or the logarithm of the label's probability
   */
  record LabelRow(double loss, double entropy, double[] dx) {}

  static LabelRow row(LossProblem.LinearCrossEntropy p, long m) {
    double[] logP = logSoftmax(product(rowOf(p.x(), m), p.w()));
    int label = p.labels().memory().getAtIndex(ValueLayout.JAVA_INT, m);
    double others = p.smoothing() / logP.length;
    double loss = -(1 - p.smoothing()) * logP[label] - others * Arrays.stream(logP).sum();
    double[] g = new double[logP.length];
    Arrays.setAll(
        g,
        v -> p.gradScale() * (Math.exp(logP[v]) - others - (v == label ? 1 - p.smoothing() : 0)));
    return new LabelRow(loss, Double.NaN, back(g, p.w()));
  }

  static LabelRow row(LossProblem.LogProbability p, long m) {
    double[] logP = logSoftmax(product(rowOf(p.x(), m), p.w()));
    int label = p.labels().memory().getAtIndex(ValueLayout.JAVA_INT, m);
    double entropy = -Arrays.stream(logP).map(l -> Math.exp(l) * l).sum();
    if (p.dx() == null) {
      return new LabelRow(logP[label], entropy, null);
    }
    double d = p.dlogProbabilities().get(0, m);
    double[] g = new double[logP.length];
    Arrays.setAll(g, v -> d * ((v == label ? 1 : 0) - Math.exp(logP[v])));
    return new LabelRow(logP[label], entropy, back(g, p.w()));
  }

  /** One row's terms, not weighted, and the gradient of the weighted loss. */
  record DistilledRow(double divergence, double crossEntropy, double[] dx) {}

  static DistilledRow row(LossProblem.DistillationLoss p, long m) {
    double temperature = p.coefficients().temperature();
    double beta = p.coefficients().beta();
    double[] z = product(rowOf(p.x(), m), p.w());
    double[] u = product(rowOf(p.teacherX(), m), p.teacherW());
    double[] logS = logSoftmax(z);
    double[] logQ = logSoftmax(Arrays.stream(z).map(l -> l / temperature).toArray());
    double[] logP = logSoftmax(Arrays.stream(u).map(l -> l / temperature).toArray());
    int label = p.labels().memory().getAtIndex(ValueLayout.JAVA_INT, m);
    // The divergence's derivative by q, but for a constant, which the softmax takes away.
    double[] slopes = new double[z.length];
    double divergence = 0;
    double mean = 0;
    for (int v = 0; v < z.length; v++) {
      double ofTeacher = Math.exp(logP[v]);
      double ofStudent = Math.exp(logQ[v]);
      if (beta == 0) {
        divergence += ofTeacher * (logP[v] - logQ[v]);
        slopes[v] = -ofTeacher / ofStudent;
      } else if (beta == 1) {
        divergence += ofStudent * (logQ[v] - logP[v]);
        slopes[v] = logQ[v] - logP[v];
      } else {
        double logR = Math.log(beta * ofTeacher + (1 - beta) * ofStudent);
        divergence += beta * ofTeacher * (logP[v] - logR);
        divergence += (1 - beta) * ofStudent * (logQ[v] - logR);
        slopes[v] = (1 - beta) * (logQ[v] - logR);
      }
      mean += ofStudent * slopes[v];
    }
    double[] g = new double[z.length];
    for (int v = 0; v < g.length; v++) {
      double ofDivergence = Math.exp(logQ[v]) * (slopes[v] - mean) / temperature;
      double ofLabel = Math.exp(logS[v]) - (v == label ? 1 : 0);
      g[v] =
          p.coefficients().divergenceWeight() * ofDivergence
              + p.coefficients().labelWeight() * ofLabel;
    }
    return new DistilledRow(divergence, -logS[label], back(g, p.w()));
  }

  /** Returns {@code g W}: from the gradient of a row's logits to that of its input. */
  private static double[] back(double[] g, Tensor w) {
    double[] dx = new double[Math.toIntExact(w.columns())];
    for (int v = 0; v < g.length; v++) {
      for (int d = 0; d < dx.length; d++) {
        dx[d] += g[v] * w.get(v, d);
      }
    }
    return dx;
  }
}
