package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import org.openjdk.jmh.annotations.Param;

/** Drops a tenth of what a layer adds to the residual stream, as in training. */
public class DropoutBenchmark extends KernelBenchmark<ElementwiseProblem.Dropout> {
  private static final float PROBABILITY = 0.1f;

  /** Standard errors; a correct mask exceeds them once in a million set-ups. */
  private static final double SIGMAS = 5;

  /** The shape: rows x width. */
  @Param({"1x768", "256x768", "2048x768"})
  String shape;

  @Param({"float32", "bfloat16"})
  String dtype;

  @Override
  ElementwiseProblem.Dropout problem(int copy) {
    DType type = activationType();
    return new ElementwiseProblem.Dropout(
        random(type, 1, 1, size(0), size(1)), PROBABILITY, 7, output(type, size(0), size(1)));
  }

  /** Checks that each element is dropped or scaled, and that the right fraction is dropped. */
  @Override
  void verify(ElementwiseProblem.Dropout p) {
    double tolerance = Tolerance.of(activationType());
    int dropped = 0;
    for (long m = 0; m < size(0); m++) {
      for (long i = 0; i < size(1); i++) {
        double kept = p.x().get(m, i) / (1.0 - PROBABILITY);
        double y = p.y().get(m, i);
        check(
            y == 0 || Math.abs(y - kept) <= tolerance * Math.abs(kept),
            "row %d, column %d is %g, not 0 or %g".formatted(m, i, y, kept));
        dropped += y == 0 ? 1 : 0;
      }
    }
    double n = (double) size(0) * size(1);
    double expected = n * PROBABILITY;
    check(
        Math.abs(dropped - expected) <= SIGMAS * Math.sqrt(expected * (1 - PROBABILITY)),
        "%d of %.0f elements are dropped, not about %.0f".formatted(dropped, n, expected));
  }

  @Override
  Work work() {
    double n = (double) size(0) * size(1);
    double bytes = n * activationType().bytes();
    return Work.ofMemory().hot(bytes, bytes).operations(2 * n);
  }
}
