package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.openjdk.jmh.annotations.Param;

/**
 * The rules for scores before a token is chosen: repetition penalty, no trigram twice, a minimum
 * length.
 */
public class ProcessLogitsBenchmark extends KernelBenchmark<SamplingProblem.ProcessLogits> {
  private static final int END_TOKEN = 1;
  private static final int NGRAM = 3;
  private static final int CHECKED_ROWS = 4;

  /**
   * Calls change the scores in place, again and again: halving ends in zeros and doubling in
   * infinities, none of which are slower to compute with, whereas 1.2 would end in denormals.
   */
  private static final float PENALTY = 2;

  /** The shape: rows x vocabulary x tokens so far. */
  @Param({"1x32128x64", "8x32128x64", "8x32128x200"})
  String shape;

  @Override
  SamplingProblem.ProcessLogits problem(int copy) {
    int rows = size(0);
    int vocabulary = size(1);
    int length = size(2);
    SplittableRandom random = new SplittableRandom(3);
    Tensor history = output(DType.INT32, rows, length);
    for (int row = 0; row < rows; row++) {
      int[] tokens = random.ints(length, 2, vocabulary).toArray();
      // The last two tokens came before: what followed them then must not follow now.
      tokens[length - 2] = tokens[5];
      tokens[length - 1] = tokens[6];
      MemorySegment.copy(
          tokens, 0, history.memory(), ValueLayout.JAVA_INT, 4L * row * length, length);
    }
    int[] lengths = new int[rows];
    Arrays.fill(lengths, length);
    Tensor scores = random(DType.FLOAT32, 2, 1, rows, vocabulary);
    return new SamplingProblem.ProcessLogits(
        scores, copyOf(scores), history, ints(lengths), ints(END_TOKEN), PENALTY, NGRAM, length);
  }

  @Override
  void verify(SamplingProblem.ProcessLogits p) {
    for (int row = 0; row < Math.min(size(0), CHECKED_ROWS); row++) {
      double[] want = SamplingReference.row(p, row);
      for (int i = 0; i < want.length; i++) {
        float got = p.scores().get(row, i);
        check(
            got == (float) want[i], "token %d has the score %g, not %g".formatted(i, got, want[i]));
      }
    }
  }

  /** Counts a row's history and the scores of its tokens, which are read and written. */
  @Override
  Work work() {
    double tokens = (double) size(0) * size(2);
    return Work.ofMemory().hot(8 * tokens, 4 * tokens).operations(2 * tokens);
  }
}
