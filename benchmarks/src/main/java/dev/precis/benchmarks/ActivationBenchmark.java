package dev.precis.benchmarks;

import dev.precis.ops.Activation;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import org.openjdk.jmh.annotations.Param;

/**
 * The activation between the two products of a feed-forward layer: FLAN-T5's gated GELU and T5
 * v1.0's ReLU.
 */
public class ActivationBenchmark extends KernelBenchmark<ElementwiseProblem.ActivationFunction> {
  /** The shape of the result: rows x width. */
  @Param({"1x2048", "8x2048", "256x2048", "2048x2048"})
  String shape;

  @Param({"float32", "bfloat16"})
  String dtype;

  @Param({"gated-gelu", "relu"})
  String kind;

  private boolean gated() {
    return kind.equals("gated-gelu");
  }

  @Override
  ElementwiseProblem.ActivationFunction problem(int copy) {
    DType type = activationType();
    Tensor x = random(type, 1.5, 1, size(0), gated() ? 2L * size(1) : size(1));
    Activation activation = gated() ? Activation.GELU_TANH : Activation.RELU;
    return new ElementwiseProblem.ActivationFunction(
        x, activation, gated(), output(type, size(0), size(1)));
  }

  @Override
  void verify(ElementwiseProblem.ActivationFunction p) {
    verifyRows(p.y(), m -> ElementwiseReference.row(p, m), Tolerance.of(activationType()));
  }

  @Override
  String op() {
    return super.op() + "/" + kind;
  }

  @Override
  Work work() {
    double n = (double) size(0) * size(1);
    double bytes = n * activationType().bytes();
    return Work.ofMemory().hot(gated() ? 2 * bytes : bytes, bytes).operations(gated() ? 10 * n : n);
  }
}
