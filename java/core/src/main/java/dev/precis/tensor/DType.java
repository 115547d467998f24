package dev.precis.tensor;

/** Element types; the ordinals of the first seven are those of {@code precis_dtype} in precis.h. */
public enum DType {
  FLOAT32(4),
  BFLOAT16(2),
  INT8(1),
  UINT8(1),
  INT32(4),
  INT64(8),
  /** Only read from files and converted at once: T5 overflows in it. */
  FLOAT16(2),
  /** Only read from files. */
  FLOAT64(8),
  /** Only read from files. */
  BOOL(1);

  private final int bytes;

  DType(int bytes) {
    this.bytes = bytes;
  }

  /** Returns the bytes of one element. */
  public int bytes() {
    return bytes;
  }

  /**
   * Returns the type of the values between operations of a model whose weights have this type:
   * float32 for float32, else bfloat16.
   */
  public DType activations() {
    return this == FLOAT32 ? FLOAT32 : BFLOAT16;
  }
}
