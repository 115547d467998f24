package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;

/** Matrix products, their packed weights and their gradients. */
public sealed interface ProductProblem extends Problem {
  /**
   * {@code y = x W'}.
   *
   * @param x (M, K)
   * @param w (N, K)
   * @param weightType the type that the provider packs W as; x, w and y are float32 for int8
   * @param y (M, N)
   */
  record Matmul(Tensor x, Tensor w, DType weightType, Tensor y) implements ProductProblem {}

  /**
   * {@code y = x W' + scaling (x A') B'}.
   *
   * @param x (M, K)
   * @param w (N, K)
   * @param a (R, K)
   * @param b (N, R)
   * @param y (M, N) float32
   */
  record LoraMatmul(Tensor x, Tensor w, Tensor a, Tensor b, float scaling, Tensor y)
      implements ProductProblem {}

  /**
   * The gradients of {@link LoraMatmul} with a frozen W: {@code dx = dy W + dt A}, {@code da = dt'
   * x}, {@code db = dy' t}, where {@code t = scaling x A'} and {@code dt = scaling dy B}.
   *
   * @param x (M, K)
   * @param dy (M, N)
   * @param w (N, K)
   * @param a (R, K)
   * @param b (N, R)
   * @param t (M, R) float32, kept from the forward
   * @param dx (M, K) float32
   * @param da (R, K) float32
   * @param db (N, R) float32
   */
  record LoraBackward(
      Tensor x,
      Tensor dy,
      Tensor w,
      Tensor a,
      Tensor b,
      float scaling,
      Tensor t,
      Tensor dx,
      Tensor da,
      Tensor db)
      implements ProductProblem {}

  /**
   * Packs a weight once, for all products to come.
   *
   * @param w (N, K)
   * @param weightType the type to pack it as
   * @param unpacked (K, N) float32: what the packed weight gives for the rows of the identity
   */
  record MatmulPack(Tensor w, DType weightType, Tensor unpacked) implements ProductProblem {}

  /**
   * Packs W' from W packed.
   *
   * @param w (N, K)
   * @param unpacked (N, K) float32: what the packed W' gives for the rows of the identity
   */
  record TransposePacked(Tensor w, Tensor unpacked) implements ProductProblem {}

  /** {@code dw = dy' x}; dy (M, N), x (M, K), dw (N, K) float32. */
  record WeightGradient(Tensor dy, Tensor x, Tensor dw) implements ProductProblem {}
}
