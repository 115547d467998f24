package dev.precis.benchmarks;

import dev.precis.ops.Activation;
import dev.precis.tensor.DType;
import org.openjdk.jmh.annotations.Param;

/** The gradient between the two products of a feed-forward layer. */
public class ActivationBackwardBenchmark
    extends KernelBenchmark<ElementwiseProblem.ActivationBackward> {
  /** The shape of dy: rows x width. */
  @Param({"8x2048", "256x2048", "2048x2048"})
  String shape;

  @Param({"float32", "bfloat16"})
  String dtype;

  @Param({"gated-gelu", "relu"})
  String kind;

  private boolean gated() {
    return kind.equals("gated-gelu");
  }

  @Override
  ElementwiseProblem.ActivationBackward problem(int copy) {
    DType type = activationType();
    long width = gated() ? 2L * size(1) : size(1);
    return new ElementwiseProblem.ActivationBackward(
        random(type, 1.5, 1, size(0), width),
        gated() ? Activation.GELU_TANH : Activation.RELU,
        gated(),
        random(type, 1, 2, size(0), size(1)),
        output(type, size(0), width));
  }

  @Override
  void verify(ElementwiseProblem.ActivationBackward p) {
    verifyRows(p.dx(), m -> ElementwiseReference.row(p, m), Tolerance.of(activationType()));
  }

  @Override
  String op() {
    return super.op() + "/" + kind;
  }

  @Override
  Work work() {
    double n = (double) size(0) * size(1);
    double bytes = n * activationType().bytes();
    return gated()
        ? Work.ofMemory().hot(3 * bytes, 2 * bytes).operations(20 * n)
        : Work.ofMemory().hot(2 * bytes, bytes).operations(n);
  }
}
