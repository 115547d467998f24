package dev.precis.benchmarks;

import dev.precis.tensor.DType;

/** The tolerance of a result relative to its size: one rounding and a bit more. */
final class Tolerance {
  private Tolerance() {}

  /** Returns the tolerance of results of this type: sums in float32 over exact operands. */
  static double of(DType type) {
    return switch (type) {
      case FLOAT32 -> 2e-5;
      // Half a unit in the last of 8 bits is 2^-9; libraries may round an intermediate result too.
      case BFLOAT16 -> 1e-2;
      // Both operands of a product in 8 bits: the sum over a row is off by 1 % of its size, a few
      // of 32128 columns by five times that.
      case INT8 -> 8e-2;
      default -> throw new IllegalArgumentException(type + " has no kernels");
    };
  }

  /** Returns a wider tolerance: libtorch rounds the logits to bfloat16 before their softmax. */
  static double ofPpoLoss(DType type) {
    return type == DType.BFLOAT16 ? 5e-2 : of(type);
  }

  /** Returns a wider tolerance: libtorch rounds the bias and the probabilities to bfloat16. */
  static double ofAttention(DType type) {
    return type == DType.BFLOAT16 ? 3e-2 : of(type);
  }
}
