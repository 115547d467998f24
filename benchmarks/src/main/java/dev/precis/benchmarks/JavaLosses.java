package dev.precis.benchmarks;

import static dev.precis.benchmarks.JavaArrays.addProduct;
import static dev.precis.benchmarks.JavaArrays.call;
import static dev.precis.benchmarks.JavaArrays.copy;
import static dev.precis.benchmarks.JavaArrays.ints;
import static dev.precis.benchmarks.JavaArrays.logOfSum;
import static dev.precis.benchmarks.JavaArrays.size;
import static dev.precis.benchmarks.JavaArrays.transposed;

import dev.precis.benchmarks.Provider.Call;
import dev.precis.ops.DistillationLoss;
import dev.precis.ops.PpoLoss;
import dev.precis.tensor.Tensor;
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
      case LossProblem.LinearCrossEntropy p -> linearCrossEntropy(p);
      case LossProblem.LogProbability p -> logProbability(p);
      case LossProblem.DistillationLoss p -> distillationLoss(p);
    };
  }

  /** The logits of a problem, all at once, and the way back from their gradient. */
  private final class Logits {
    private final int rows;
    private final int vocabulary;
    private final int width;
    private final float[] x;
    private final float[] w;
    private final float[] transposed;
    private final float[] values;

    Logits(Tensor x, Tensor w) {
      rows = size(x.rows());
      width = size(x.columns());
      vocabulary = size(w.rows());
      this.x = arrays.of(x);
      this.w = arrays.of(w);
      transposed = transposed(w);
      values = new float[rows * vocabulary];
    }

    /** Returns the logits, which the caller may overwrite with their gradient. */
    float[] compute() {
      Arrays.fill(values, 0);
      addProduct(x, transposed, values, rows, width, vocabulary, 1);
      return values;
    }

    /** Computes the gradient of x from that of the logits. */
    void back(float[] dx) {
      Arrays.fill(dx, 0);
      addProduct(values, w, dx, rows, vocabulary, width, 1);
    }
  }

  private Call ppoLoss(LossProblem.PpoLoss p) {
    Logits logits = new Logits(p.x(), p.w());
    int v = logits.vocabulary;
    PpoLoss.Coefficients c = p.coefficients();
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
    return new Call() {
      @Override
      public void run() {
        float[] all = logits.compute();
        for (int row = 0; row < logits.rows; row++) {
          int at = row * v;
          double logOfSum = logOfSum(all, at, v);
          double entropy = 0;
          for (int i = 0; i < v; i++) {
            double logP = all[at + i] - logOfSum;
            entropy -= Math.exp(logP) * logP;
          }
          double logP = all[at + actions[row]] - logOfSum;
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
            double l = all[at + i] - logOfSum;
            all[at + i] = (float) (Math.exp(l) * (bonus * (l + entropy) - slope));
          }
          all[at + actions[row]] += (float) slope;
        }
        logits.back(dx);
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

  /** Works on padded rows, as batches are. */
  private Call gae(LossProblem.Gae p) {
    int sequences = size(p.rewards().rows());
    int length = size(p.rewards().columns());
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

  private Call linearCrossEntropy(LossProblem.LinearCrossEntropy p) {
    Logits logits = new Logits(p.x(), p.w());
    int v = logits.vocabulary;
    int[] labels = ints(p.labels());
    float[] losses = arrays.of(p.losses());
    float[] dx = arrays.of(p.dx());
    float others = p.smoothing() / v;
    return new Call() {
      @Override
      public void run() {
        float[] all = logits.compute();
        for (int row = 0; row < logits.rows; row++) {
          int at = row * v;
          double logOfSum = logOfSum(all, at, v);
          double sum = 0;
          for (int i = 0; i < v; i++) {
            sum += all[at + i] - logOfSum;
          }
          double logP = all[at + labels[row]] - logOfSum;
          losses[row] = (float) (-(1 - p.smoothing()) * logP - others * sum);
          for (int i = 0; i < v; i++) {
            double probability = Math.exp(all[at + i] - logOfSum);
            all[at + i] = (float) (p.gradScale() * (probability - others));
          }
          all[at + labels[row]] -= p.gradScale() * (1 - p.smoothing());
        }
        logits.back(dx);
      }

      @Override
      public void publish() {
        copy(losses, p.losses());
        copy(dx, p.dx());
      }
    };
  }

  private Call logProbability(LossProblem.LogProbability p) {
    Logits logits = new Logits(p.x(), p.w());
    int v = logits.vocabulary;
    int[] labels = ints(p.labels());
    float[] logProbabilities = arrays.of(p.logProbabilities());
    float[] entropies = arrays.of(p.entropies());
    float[] slopes = p.dx() == null ? null : arrays.of(p.dlogProbabilities());
    float[] dx = p.dx() == null ? null : arrays.of(p.dx());
    return new Call() {
      @Override
      public void run() {
        float[] all = logits.compute();
        for (int row = 0; row < logits.rows; row++) {
          int at = row * v;
          double logOfSum = logOfSum(all, at, v);
          logProbabilities[row] = (float) (all[at + labels[row]] - logOfSum);
          double entropy = 0;
          for (int i = 0; i < v; i++) {
            double logP = all[at + i] - logOfSum;
            double probability = Math.exp(logP);
            entropy -= probability * logP;
            all[at + i] = dx == null ? 0 : (float) (-slopes[row] * probability);
          }
          entropies[row] = (float) entropy;
          if (dx != null) {
            all[at + labels[row]] += slopes[row];
          }
        }
        if (dx != null) {
          logits.back(dx);
        }
      }

      @Override
      public void publish() {
        copy(logProbabilities, p.logProbabilities());
        copy(entropies, p.entropies());
        if (dx != null) {
          copy(dx, p.dx());
        }
      }
    };
  }

  private Call distillationLoss(LossProblem.DistillationLoss p) {
    Logits student = new Logits(p.x(), p.w());
    Logits teacher = new Logits(p.teacherX(), p.teacherW());
    int v = student.vocabulary;
    DistillationLoss.Coefficients c = p.coefficients();
    float temperature = c.temperature();
    int[] labels = ints(p.labels());
    float[] divergences = arrays.of(p.divergences());
    float[] crossEntropies = arrays.of(p.crossEntropies());
    float[] dx = arrays.of(p.dx());
    return new Call() {
      @Override
      public void run() {
        float[] z = student.compute();
        float[] u = teacher.compute();
        for (int row = 0; row < student.rows; row++) {
          int at = row * v;
          double ofAll = logOfSum(z, at, v);
          crossEntropies[row] = (float) (ofAll - z[at + labels[row]]);
          double labelWeight = c.labelWeight();
          double[] g = new double[v];
          for (int i = 0; i < v; i++) {
            g[i] = labelWeight * Math.exp(z[at + i] - ofAll);
            z[at + i] /= temperature;
            u[at + i] /= temperature;
          }
          g[labels[row]] -= labelWeight;
          double ofStudent = logOfSum(z, at, v);
          double ofTeacher = logOfSum(u, at, v);
          double divergence = 0;
          double mean = 0;
          double weight = c.divergenceWeight() / temperature;
          for (int i = 0; i < v; i++) {
            double logQ = z[at + i] - ofStudent;
            double logP = u[at + i] - ofTeacher;
            double q = Math.exp(logQ);
            double teachers = Math.exp(logP);
            if (c.beta() == 0) {
              divergence += teachers * (logP - logQ);
              g[i] += weight * (q - teachers);
            } else {
              // At beta 1, r is p.
              double r = c.beta() * teachers + (1 - c.beta()) * q;
              double logR = c.beta() == 1 ? logP : Math.log(r);
              double own = c.beta() == 1 ? 1 : 1 - c.beta();
              divergence += own * q * (logQ - logR);
              divergence += c.beta() == 1 ? 0 : c.beta() * teachers * (logP - logR);
              u[at + i] = (float) (own * (logQ - logR));
              mean += q * u[at + i];
            }
          }
          if (c.beta() != 0) {
            for (int i = 0; i < v; i++) {
              g[i] += weight * Math.exp(z[at + i] - ofStudent) * (u[at + i] - mean);
            }
          }
          divergences[row] = (float) divergence;
          for (int i = 0; i < v; i++) {
            z[at + i] = (float) g[i];
          }
        }
        student.back(dx);
      }

      @Override
      public void publish() {
        copy(divergences, p.divergences());
        copy(crossEntropies, p.crossEntropies());
        copy(dx, p.dx());
      }
    };
  }
}
