package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import java.util.SplittableRandom;
import org.openjdk.jmh.annotations.Param;

/** Advantages of a rollout's tokens, which {@code dev.precis.alignment} computes in Java. */
public class GaeBenchmark extends KernelBenchmark<LossProblem.Gae> {
  /** The shape: sequences x tokens of the longest. */
  @Param({"64x48", "64x512"})
  String shape;

  @Override
  LossProblem.Gae problem(int copy) {
    SplittableRandom random = new SplittableRandom(3);
    int[] lengths = random.ints(size(0), size(1) / 2, size(1) + 1).toArray();
    lengths[0] = size(1);
    return new LossProblem.Gae(
        random(DType.FLOAT32, 1, 1, size(0), size(1)),
        random(DType.FLOAT32, 1, 2, size(0), size(1)),
        ints(lengths),
        0.99,
        0.95,
        output(DType.FLOAT32, size(0), size(1)));
  }

  @Override
  void verify(LossProblem.Gae p) {
    verifyRows(p.advantages(), s -> LossReference.row(p, s), Tolerance.of(DType.FLOAT32));
  }

  /** The work is too small to be split among threads. */
  @Override
  int threads() {
    return 1;
  }

  @Override
  Work work() {
    double n = (double) size(0) * size(1);
    return Work.ofMemory().hot(8 * n, 4 * n).operations(6 * n);
  }
}
