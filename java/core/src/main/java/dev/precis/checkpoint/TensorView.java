package dev.precis.checkpoint;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import dev.precis.io.InvalidInputException;
import dev.precis.tensor.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * A named tensor in a checkpoint: row-major, contiguous, little endian.
 *
 * <p>What {@link Checkpoint#get} returns is a read-only view of the mapped file, aligned to its
 * element, and lives as long as the checkpoint.
 *
 * @param name its name in the file
 * @param dtype element type
 * @param shape dimensions, outermost first; empty for a scalar; not to be modified
 * @param data exactly {@link #elements} times {@code dtype.bytes()} bytes
 */
public record TensorView(String name, DType dtype, long[] shape, MemorySegment data) {
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfDouble DOUBLE =
      ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /**
   * Checks that data and shape agree.
   *
   * @throws IllegalArgumentException if they do not
   */
  public TensorView {
    if (Arrays.stream(shape).anyMatch(d -> d < 0)
        || data.byteSize() != elements(shape) * dtype.bytes()) {
      throw new IllegalArgumentException(
          "%s: %d bytes do not hold shape %s of %s"
              .formatted(name, data.byteSize(), Arrays.toString(shape), dtype));
    }
  }

  /** Returns the number of elements: the product of the dimensions. */
  public long elements() {
    return elements(shape);
  }

  /**
   * Returns the elements as {@code float}, from any floating-point type.
   *
   * @throws InvalidInputException if the tensor is not of a floating-point type
   * @throws IllegalStateException if it has more elements than an array can hold
   */
  public float[] toFloat32() {
    if (elements() > Integer.MAX_VALUE - 8) {
      throw new IllegalStateException(name + " has more elements than a Java array can hold");
    }
    float[] values = new float[(int) elements()];
    toFloat32(MemorySegment.ofArray(values));
    return values;
  }

  /**
   * Writes the elements as {@code float} in the machine's byte order. bfloat16 and float16 widen
   * exactly, float64 rounds to nearest.
   *
   * @param target at least 4 bytes an element
   * @throws InvalidInputException if the tensor is not of a floating-point type
   */
  public void toFloat32(MemorySegment target) {
    ValueLayout.OfFloat out = ValueLayout.JAVA_FLOAT_UNALIGNED;
    long n = elements();
    switch (dtype) {
      case FLOAT32 -> MemorySegment.copy(data, FLOAT, 0, target, out, 0, n);
      case BFLOAT16 -> {
        for (long i = 0; i < n; i++) {
          target.setAtIndex(out, i, Float.intBitsToFloat(data.getAtIndex(SHORT, i) << 16));
        }
      }
      case FLOAT16 -> {
        for (long i = 0; i < n; i++) {
          target.setAtIndex(out, i, Float.float16ToFloat(data.getAtIndex(SHORT, i)));
        }
      }
      case FLOAT64 -> {
        for (long i = 0; i < n; i++) {
          target.setAtIndex(out, i, (float) data.getAtIndex(DOUBLE, i));
        }
      }
      default ->
          throw new InvalidInputException(
              "tensor " + name + " is " + dtype + " where a floating-point tensor is needed");
    }
  }

  /** Returns a copy of the bytes. */
  public byte[] toBytes() {
    return data.toArray(JAVA_BYTE);
  }

  @Override
  public String toString() {
    return name + " " + dtype + Arrays.toString(shape);
  }

  /** Returns the product of the dimensions; throws ArithmeticException if it does not fit. */
  static long elements(long[] shape) {
    long product = 1;
    for (long dimension : shape) {
      product = Math.multiplyExact(product, dimension);
    }
    return product;
  }
}
