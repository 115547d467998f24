package dev.precis.benchmarks;

import static dev.precis.benchmarks.JavaArrays.call;
import static dev.precis.benchmarks.JavaArrays.ints;
import static dev.precis.benchmarks.JavaArrays.size;

import dev.precis.benchmarks.Provider.Call;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Comparator;
import java.util.PriorityQueue;
import java.util.SplittableRandom;

/** Operations from logits to tokens in plain Java. */
final class JavaSampling {
  private final JavaArrays arrays;

  JavaSampling(JavaArrays arrays) {
    this.arrays = arrays;
  }

  Call prepare(SamplingProblem problem) {
    return switch (problem) {
      case SamplingProblem.Softmax p -> softmax(p);
      case SamplingProblem.Sample p -> sample(p);
      case SamplingProblem.TopK p -> topK(p);
      case SamplingProblem.ProcessLogits p -> processLogits(p);
    };
  }

  private Call softmax(SamplingProblem.Softmax p) {
    int rows = size(p.x().rows());
    int width = size(p.x().columns());
    float[] x = arrays.of(p.x());
    float[] y = arrays.of(p.y());
    return call(
        () -> {
          for (int row = 0; row < rows; row++) {
            int at = row * width;
            float largest = Float.NEGATIVE_INFINITY;
            for (int i = 0; i < width; i++) {
              largest = Math.max(largest, x[at + i]);
            }
            double sum = 0;
            for (int i = 0; i < width; i++) {
              y[at + i] = (float) Math.exp(x[at + i] - largest);
              sum += y[at + i];
            }
            float logOfSum = (float) Math.log(sum);
            float scale = (float) (1 / sum);
            for (int i = 0; i < width; i++) {
              y[at + i] = p.logarithm() ? x[at + i] - largest - logOfSum : y[at + i] * scale;
            }
          }
        },
        y,
        p.y());
  }

  private Call sample(SamplingProblem.Sample p) {
    int rows = size(p.logits().rows());
    int width = size(p.logits().columns());
    float[] logits = arrays.of(p.logits());
    int[] tokens = new int[rows];
    SplittableRandom random = new SplittableRandom(p.seed());
    return new Call() {
      @Override
      public void run() {
        for (int row = 0; row < rows; row++) {
          int at = row * width;
          if (p.greedy()) {
            tokens[row] = largest(logits, at, width);
          } else {
            int[] kept = p.topK() > 0 ? largest(logits, at, width, p.topK()) : all(width);
            tokens[row] = sampleOne(p, logits, at, kept, random.nextDouble());
          }
        }
      }

      @Override
      public void publish() {
        MemorySegment.copy(tokens, 0, p.tokens().memory(), ValueLayout.JAVA_INT, 0, rows);
      }
    };
  }

  private static int[] all(int n) {
    int[] indices = new int[n];
    Arrays.setAll(indices, i -> i);
    return indices;
  }

  private static int largest(float[] values, int at, int n) {
    int best = 0;
    for (int i = 1; i < n; i++) {
      if (values[at + i] > values[at + best]) {
        best = i;
      }
    }
    return best;
  }

  /** Returns the indices of the k largest, largest first, the lower index first among equals. */
  private static int[] largest(float[] values, int at, int n, int k) {
    Comparator<Integer> smallestFirst =
        Comparator.<Integer>comparingDouble(i -> values[at + i])
            .thenComparing(Comparator.reverseOrder());
    PriorityQueue<Integer> heap = new PriorityQueue<>(k, smallestFirst);
    for (int i = 0; i < n; i++) {
      if (heap.size() < k) {
        heap.add(i);
      } else if (values[at + i] > values[at + heap.peek()]) {
        heap.poll();
        heap.add(i);
      }
    }
    int[] indices = new int[heap.size()];
    for (int i = indices.length - 1; i >= 0; i--) {
      indices[i] = heap.poll();
    }
    return indices;
  }

  /** Samples from the kept tokens, cut at topP, by inverting their distribution at u in [0, 1). */
  private static int sampleOne(
      SamplingProblem.Sample p, float[] logits, int at, int[] kept, double u) {
    float largest = Float.NEGATIVE_INFINITY;
    for (int i : kept) {
      largest = Math.max(largest, logits[at + i]);
    }
    double[] mass = new double[kept.length];
    double total = 0;
    for (int i = 0; i < kept.length; i++) {
      mass[i] = Math.exp((logits[at + kept[i]] - largest) / p.temperature());
      total += mass[i];
    }
    int count = kept.length;
    if (p.topP() < 1) {
      double limit = p.topP() * total;
      total = 0;
      for (count = 0; count < kept.length && total < limit; count++) {
        total += mass[count];
      }
    }
    double left = u * total;
    int i = 0;
    while (i < count - 1 && left >= mass[i]) {
      left -= mass[i++];
    }
    return kept[i];
  }

  private Call topK(SamplingProblem.TopK p) {
    int rows = size(p.x().rows());
    int width = size(p.x().columns());
    int k = size(p.values().columns());
    float[] x = arrays.of(p.x());
    int[] indices = new int[rows * k];
    float[] values = new float[rows * k];
    return new Call() {
      @Override
      public void run() {
        for (int row = 0; row < rows; row++) {
          int[] best = largest(x, row * width, width, k);
          for (int i = 0; i < k; i++) {
            indices[row * k + i] = best[i];
            values[row * k + i] = x[row * width + best[i]];
          }
        }
      }

      @Override
      public void publish() {
        MemorySegment.copy(indices, 0, p.indices().memory(), ValueLayout.JAVA_INT, 0, rows * k);
        MemorySegment.copy(values, 0, p.values().memory(), ValueLayout.JAVA_FLOAT, 0, rows * k);
      }
    };
  }

  private Call processLogits(SamplingProblem.ProcessLogits p) {
    int rows = size(p.scores().rows());
    int width = size(p.scores().columns());
    int length = size(p.history().columns());
    int known = p.ngram() - 1;
    float[] scores = arrays.of(p.scores());
    int[] history = ints(p.history());
    int[] endTokens = ints(p.endTokens());
    return call(
        () -> {
          for (int row = 0; row < rows; row++) {
            int at = row * width;
            int from = row * length;
            BitSet seen = new BitSet(width);
            for (int i = from; i < from + length; i++) {
              if (!seen.get(history[i])) {
                seen.set(history[i]);
                float score = scores[at + history[i]];
                scores[at + history[i]] = score > 0 ? score / p.penalty() : score * p.penalty();
              }
            }
            int last = from + length - known;
            for (int i = from; i < last; i++) {
              if (Arrays.equals(history, i, i + known, history, last, from + length)) {
                scores[at + history[i + known]] = Float.NEGATIVE_INFINITY;
              }
            }
            if (length - 1 < p.minNewTokens()) {
              for (int token : endTokens) {
                scores[at + token] = Float.NEGATIVE_INFINITY;
              }
            }
          }
        },
        scores,
        p.scores());
  }
}
