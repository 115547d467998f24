package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import org.openjdk.jmh.annotations.Param;

/** Clears an activation's gradient before it is added to. */
public class ZeroBenchmark extends KernelBenchmark<ElementwiseProblem.Zero> {
  /** The shape: rows x width. */
  @Param({"1x768", "256x768", "2048x768"})
  String shape;

  @Override
  ElementwiseProblem.Zero problem(int copy) {
    return new ElementwiseProblem.Zero(output(DType.FLOAT32, size(0), size(1)));
  }

  @Override
  void verify(ElementwiseProblem.Zero p) {
    verifyRows(p.y(), m -> new double[size(1)], 0);
  }

  @Override
  Work work() {
    return Work.ofMemory().hot(0, 4.0 * size(0) * size(1));
  }
}
