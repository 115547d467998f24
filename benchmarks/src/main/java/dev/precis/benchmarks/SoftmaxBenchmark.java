package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import org.openjdk.jmh.annotations.Param;

/** Softmax and its logarithm over the vocabulary of T5. */
public class SoftmaxBenchmark extends KernelBenchmark<SamplingProblem.Softmax> {
  /** The shape: rows x vocabulary. */
  @Param({"1x32128", "8x32128", "256x32128"})
  String shape;

  @Param({"softmax", "log_softmax"})
  String function;

  @Override
  SamplingProblem.Softmax problem(int copy) {
    Tensor x = random(DType.FLOAT32, 3, 1, size(0), size(1));
    return new SamplingProblem.Softmax(
        x, function.equals("log_softmax"), output(DType.FLOAT32, size(0), size(1)));
  }

  @Override
  void verify(SamplingProblem.Softmax p) {
    verifyRows(p.y(), m -> SamplingReference.row(p, m), Tolerance.of(DType.FLOAT32));
  }

  @Override
  String op() {
    return super.op() + "/" + function;
  }

  @Override
  Work work() {
    double n = (double) size(0) * size(1);
    return Work.ofMemory().hot(4 * n, 4 * n).operations(5 * n);
  }
}
