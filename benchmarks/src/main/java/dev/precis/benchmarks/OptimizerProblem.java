package dev.precis.benchmarks;

import dev.precis.tensor.Tensor;

/** Steps of optimizers, and the norm that clips their gradients. All tensors are float32. */
public sealed interface OptimizerProblem extends Problem {
  /**
   * The tensors that a step changes.
   *
   * @param parameter (N), or (N, K) for Adafactor
   * @param first Adam's m, SGD's buffer, Adafactor's moments of rows
   * @param second Adam's v, Adafactor's moments of columns; null for SGD
   */
  record State(Tensor parameter, Tensor first, Tensor second) {}

  /**
   * The settings that all optimizers have.
   *
   * @param number from 1; every call makes the step of the same number
   */
  record Step(long number, float learningRate, float weightDecay, float gradientScale) {}

  /** A step of AdamW, whose weight decay is decoupled. */
  record Adam(
      State state,
      State before,
      Tensor gradient,
      Step step,
      float beta1,
      float beta2,
      float epsilon)
      implements OptimizerProblem {}

  /** A step of SGD with momentum. */
  record Sgd(State state, State before, Tensor gradient, Step step, float momentum)
      implements OptimizerProblem {}

  /** A step of Adafactor on a matrix, with a learning rate relative to the parameter's size. */
  record Adafactor(State state, State before, Tensor gradient, Step step)
      implements OptimizerProblem {}

  /** The sum of a vector's squares; result (1). */
  record SumOfSquares(Tensor x, Tensor result) implements OptimizerProblem {}
}
