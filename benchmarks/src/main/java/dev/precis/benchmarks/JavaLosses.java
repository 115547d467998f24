package dev.precis.benchmarks;

import static dev.precis.benchmarks.JavaArrays.addProduct;
import static dev.precis.benchmarks.JavaArrays.call;
import static dev.precis.benchmarks.JavaArrays.copy;
import static dev.precis.benchmarks.JavaArrays.ints;
import static dev.precis.benchmarks.JavaArrays.logOfSum;
import static dev.precis.benchmarks.JavaArrays.transposed;

import dev.precis.benchmarks.Provider.Call;
import dev.precis.ops.PpoLoss;
import java.util.Arrays;

/** Losses over the vocabulary, and the advantages that one of them needs in plain Java. */
final class JavaLosses {
  private final JavaArrays arrays;

  JavaLosses(JavaArrays arrays) {
    this.arrays = arrays;
  }

  Call prepare(LossProblem problem) {
    return switch (problem) {
      case LossProblem.PpoLoss p -> ppoLoss(p);
      case LossProblem.Gae p -> gae(p);
    };
  }

  private Call ppoLoss(LossProblem.PpoLoss p) {
    int m = Math.toIntExact(p.x().rows());
    int d = Math.toIntExact(p.x().columns());
    int v = Math.toIntExact(p.w().rows());
    PpoLoss.Coefficients c = p.coefficients();
    float[] x = arrays.of(p.x());
    float[] w = arrays.of(p.w());
    float[] transposed = transposed(p.w());
    int[] actions = ints(p.actions());
    float[] weights = arrays.of(p.weights());
    float[] old = arrays.of(p.oldLogProbabilities());
    float[] advantages = arrays.of(p.advantages());
    float[] values = arrays.of(p.values());
    float[] oldValues = arrays.of(p.oldValues());
    float[] returns = arrays.of(p.returns());
    float[] logProbabilities = arrays.of(p.logProbabilities());
    float[] entropies = arrays.of(p.entropies());
    float[] policyLosses = arrays.of(p.policyLosses());
    float[] valueLosses = arrays.of(p.valueLosses());
    float[] dvalues = arrays.of(p.dvalues());
    float[] dx = arrays.of(p.dx());
    float[] logits = new float[m * v];
    return new Call() {
      @Override
      public void run() {
        Arrays.fill(logits, 0);
        Arrays.fill(dx, 0);
        addProduct(x, transposed, logits, m, d, v, 1);
        for (int row = 0; row < m; row++) {
          int at = row * v;
          double logOfSum = logOfSum(logits, at, v);
          double entropy = 0;
          for (int i = 0; i < v; i++) {
            double logP = logits[at + i] - logOfSum;
            entropy -= Math.exp(logP) * logP;
          }
          double logP = logits[at + actions[row]] - logOfSum;
          logProbabilities[row] = (float) logP;
          entropies[row] = (float) entropy;

          double ratio = Math.exp(logP - old[row]);
          double plain = -advantages[row] * ratio;
          double near = Math.clamp(ratio, 1 - c.clipRangeLow(), 1 + c.clipRangeHigh());
          policyLosses[row] = (float) Math.max(plain, -advantages[row] * near);
          boolean counts = near == ratio || plain > -advantages[row] * near;
          double slope = counts ? weights[row] * plain : 0;

          double error = values[row] - returns[row];
          double clipped =
              Math.clamp(
                  values[row],
                  oldValues[row] - c.clipRangeValue(),
                  oldValues[row] + c.clipRangeValue());
          double other = clipped - returns[row];
          valueLosses[row] = (float) (Math.max(error * error, other * other) / 2);
          boolean moves = clipped == values[row] || error * error > other * other;
          dvalues[row] = moves ? (float) (weights[row] * c.valueCoefficient() * error) : 0;

          double bonus = weights[row] * c.entropyCoefficient();
          for (int i = 0; i < v; i++) {
            double l = logits[at + i] - logOfSum;
            logits[at + i] = (float) (Math.exp(l) * (bonus * (l + entropy) - slope));
          }
          logits[at + actions[row]] += (float) slope;
        }
        addProduct(logits, w, dx, m, v, d, 1);
      }

      @Override
      public void publish() {
        copy(logProbabilities, p.logProbabilities());
        copy(entropies, p.entropies());
        copy(policyLosses, p.policyLosses());
        copy(valueLosses, p.valueLosses());
        copy(dvalues, p.dvalues());
        copy(dx, p.dx());
      }
    };
  }

  /** Over padded rows, as batches come. */
  private Call gae(LossProblem.Gae p) {
    int sequences = Math.toIntExact(p.rewards().rows());
    int length = Math.toIntExact(p.rewards().columns());
    int[] lengths = ints(p.lengths());
    float[] rewards = arrays.of(p.rewards());
    float[] values = arrays.of(p.values());
    float[] advantages = arrays.of(p.advantages());
    float gamma = (float) p.gamma();
    float decay = (float) (p.gamma() * p.lambda());
    return call(
        () -> {
          for (int s = 0; s < sequences; s++) {
            float next = 0;
            float last = 0;
            for (int t = length - 1; t >= 0; t--) {
              int at = s * length + t;
              float value = t < lengths[s] ? values[at] : 0;
              float reward = t < lengths[s] ? rewards[at] : 0;
              last = reward + gamma * next - value + decay * last;
              advantages[at] = last;
              next = value;
            }
          }
        },
        advantages,
        p.advantages());
  }
}
