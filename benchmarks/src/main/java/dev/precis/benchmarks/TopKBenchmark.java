package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import java.util.Arrays;
import org.openjdk.jmh.annotations.Param;

/** The best continuations of each beam (8 for four beams) and the k of top-k sampling. */
public class TopKBenchmark extends KernelBenchmark<SamplingProblem.TopK> {
  /** The shape: rows x vocabulary x k. */
  @Param({"1x32128x8", "8x32128x8", "8x32128x50"})
  String shape;

  @Override
  SamplingProblem.TopK problem(int copy) {
    Tensor x = random(DType.FLOAT32, 2, 1, size(0), size(1));
    return new SamplingProblem.TopK(
        x, output(DType.FLOAT32, size(0), size(2)), output(DType.INT32, size(0), size(2)));
  }

  @Override
  void verify(SamplingProblem.TopK p) {
    verifyRows(p.indices(), m -> SamplingReference.row(p, m), 0);
    verifyRows(
        p.values(),
        m -> Arrays.stream(SamplingReference.row(p, m)).map(i -> p.x().get(m, (long) i)).toArray(),
        0);
  }

  @Override
  Work work() {
    double n = (double) size(0) * size(1);
    return Work.ofMemory().hot(4 * n, 0).operations(n);
  }
}
