package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import java.lang.foreign.ValueLayout;

/**
 * A step of an optimizer over one tensor of T5-base: an adapter's matrix (32 x 768) or a
 * feed-forward weight. Everything is cold, because a step updates one tensor after the other.
 */
public abstract class OptimizerBenchmark<P extends Problem> extends KernelBenchmark<P> {
  static final OptimizerProblem.Step STEP = new OptimizerProblem.Step(10, 1e-3f, 0.01f, 0.5f);

  private OptimizerProblem.State before;
  private Tensor gradient;

  /** Returns the state before the first call; the parameter has these dims. */
  abstract OptimizerProblem.State start(long... dims);

  abstract P problem(OptimizerProblem.State state, OptimizerProblem.State before, Tensor gradient);

  /** Returns the dims of the parameter. */
  long[] dims() {
    return new long[] {(long) size(0) * size(1)};
  }

  @Override
  final P problem(int copy) {
    if (copy == 0) {
      before = start(dims());
      gradient = random(DType.FLOAT32, 1, 4, dims());
    }
    Tensor second = before.second() == null ? null : copyOf(before.second());
    OptimizerProblem.State state =
        new OptimizerProblem.State(copyOf(before.parameter()), copyOf(before.first()), second);
    return problem(state, before, copy == 0 ? gradient : copyOf(gradient));
  }

  final void verify(OptimizerProblem.State got, OptimizerReference.Result want) {
    double tolerance = Tolerance.of(DType.FLOAT32);
    verifyAll(got.parameter(), want.parameter(), tolerance);
    verifyAll(got.first(), want.first(), tolerance);
    if (got.second() != null) {
      verifyAll(got.second(), want.second(), tolerance);
    }
  }

  private void verifyAll(Tensor got, double[] want, double tolerance) {
    verifyRow(Tensor.of(got.memory(), got.dtype(), want.length), 0, want, tolerance);
  }

  /** Returns random numbers above zero, as moments of squares are. */
  final Tensor positive(long seed, long... dims) {
    Tensor tensor = random(DType.FLOAT32, 1, seed, dims);
    for (long i = 0; i < tensor.rows() * tensor.columns(); i++) {
      float value = tensor.memory().getAtIndex(ValueLayout.JAVA_FLOAT, i);
      tensor.memory().setAtIndex(ValueLayout.JAVA_FLOAT, i, 0.1f + value * value);
    }
    return tensor;
  }
}
