package dev.precis.checkpoint;

import dev.precis.io.InvalidInputException;
import dev.precis.tensor.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;

/**
 * Finds weights that are infinite or no number: a model with one computes nothing else, or silently
 * nonsense. Weights are checked when they are packed, in pieces that stay in a core's cache, so
 * that a start is not noticeably slower; packed weights that an earlier run has kept were checked
 * then. The calling thread does it alone: it may be pinned, and so would be a pool that it starts.
 */
final class FiniteCheck {
  private static final int PIECE = 1 << 15;
  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private FiniteCheck() {}

  /**
   * Makes sure that all elements are finite; types without infinity pass.
   *
   * @throws InvalidInputException if one is not; the sentence names file, tensor and element
   */
  static void require(Path path, TensorView tensor) {
    long n = tensor.elements();
    long pieces = (n + PIECE - 1) / PIECE;
    long bad = -1;
    for (long piece = 0; piece < pieces && bad < 0; piece++) {
      if (!finite(tensor, piece * PIECE, (int) Math.min(PIECE, n - piece * PIECE))) {
        bad = piece;
      }
    }
    if (bad >= 0) {
      long first = bad * PIECE;
      while (finite(tensor, first, 1)) {
        first++;
      }
      int width = tensor.dtype().bytes();
      MemorySegment element = tensor.data().asSlice(first * width, width);
      float value =
          new TensorView(tensor.name(), tensor.dtype(), new long[0], element).toFloat32()[0];
      throw TensorFile.invalid(
          path,
          "holds %s, whose element %d is %s: the weights are damaged or of a training that diverged"
              .formatted(tensor, first, Float.isNaN(value) ? "NaN" : "infinite"));
    }
  }

  /** Compares the largest exponent: that of all ones belongs to infinities and NaNs. */
  private static boolean finite(TensorView tensor, long first, int count) {
    MemorySegment data = tensor.data();
    switch (tensor.dtype()) {
      case FLOAT32 -> {
        int[] bits = new int[count];
        MemorySegment.copy(data, INT, first * 4, bits, 0, count);
        int largest = 0;
        for (int each : bits) {
          largest = Math.max(largest, each & 0x7fffffff);
        }
        return largest < 0x7f800000;
      }
      case BFLOAT16, FLOAT16 -> {
        short[] bits = new short[count];
        MemorySegment.copy(data, SHORT, first * 2, bits, 0, count);
        int largest = 0;
        for (short each : bits) {
          largest = Math.max(largest, each & 0x7fff);
        }
        return largest < (tensor.dtype() == DType.BFLOAT16 ? 0x7f80 : 0x7c00);
      }
      case FLOAT64 -> {
        for (int i = 0; i < count; i++) {
          // A double that float32 cannot hold becomes infinite where it is read.
          double value = Double.longBitsToDouble(data.get(LONG, (first + i) * 8));
          if (!(Math.abs(value) <= Float.MAX_VALUE)) {
            return false;
          }
        }
        return true;
      }
      default -> {
        return true;
      }
    }
  }
}
