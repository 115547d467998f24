package dev.precis.tensor;

/** Element types; the ordinals of the first eight are those of {@code precis_dtype} in precis.h. */
public enum DType {
  FLOAT32(4),
  BFLOAT16(2),
  INT8(1),
  UINT8(1),
  INT32(4),
  INT64(8),
  /** Only read from files and converted at once: T5 overflows in it. */
  FLOAT16(2),
  /** Only of packed weights, in groups of 32 that share a scale; on the CPU alone. */
  INT4(0),
  /** Only read from files. */
  FLOAT64(8),
  /** Only read from files. */
  BOOL(1);

  private final int bytes;

  DType(int bytes) {
    this.bytes = bytes;
  }

  /**
   * Returns the bytes of one element.
   *
   * @throws UnsupportedOperationException for int4, which has no elements of whole bytes
   */
  public int bytes() {
    if (this == INT4) {
      throw new UnsupportedOperationException("int4 is a type of packed weights, not of tensors");
    }
    return bytes;
  }

  /**
   * Returns the bytes of packed weights of this type, without padding: those of the elements and,
   * for int4, a bfloat16 scale for each 32 of them.
   */
  public double packedBytes(double weights) {
    return weights * (this == INT4 ? 0.5 + 2.0 / 32 : bytes);
  }

  /** Returns whether weights of this type are rounded to integers, which frozen weights may be. */
  public boolean quantized() {
    return this == INT8 || this == INT4;
  }

  /**
   * Returns the type of the values between operations of a model whose weights have this type:
   * float32 for float32, else bfloat16.
   */
  public DType activations() {
    return this == FLOAT32 ? FLOAT32 : BFLOAT16;
  }
}
