package dev.precis.benchmarks;

import dev.precis.tensor.DType;

/**
 * How far a result may be from the reference, relative to its size: one rounding and a bit more.
 */
final class Tolerance {
  private Tolerance() {}

  /** Results of this type from sums in float32 over operands that are exact. */
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

  /** libtorch rounds the logits to bfloat16 before it takes their softmax. */
  static double ofPpoLoss(DType type) {
    return type == DType.BFLOAT16 ? 5e-2 : of(type);
  }

  /** libtorch takes the bias in bfloat16, and rounds weights before they meet the values. */
  static double ofAttention(DType type) {
    return type == DType.BFLOAT16 ? 3e-2 : of(type);
  }
}
