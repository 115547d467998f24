package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import org.openjdk.jmh.annotations.Param;

/** Softmax and its logarithm over the vocabulary of T5. */
public class SoftmaxBenchmark extends KernelBenchmark {
  /** Rows x vocabulary. */
  @Param({"1x32128", "8x32128", "256x32128"})
  String shape;

  @Param({"softmax", "log_softmax"})
  String function;

  @Override
  Problem problem(int copy) {
    Tensor x = random(DType.FLOAT32, 3, 1, size(0), size(1));
    return new SamplingProblem.Softmax(
        x, function.equals("log_softmax"), output(DType.FLOAT32, size(0), size(1)));
  }

  @Override
  void verify(Problem problem) {
    SamplingProblem.Softmax p = (SamplingProblem.Softmax) problem;
    verifyRows(p.y(), m -> SamplingReference.row(p, m), Tolerance.of(DType.FLOAT32));
  }

  @Override
  String op() {
    return super.op() + "/" + function;
  }

  @Override
  String dtype() {
    return "float32";
  }

  @Override
  String shape() {
    return shape;
  }

  @Override
  Work work() {
    return Work.bytes(8.0 * size(0) * size(1));
  }
}
