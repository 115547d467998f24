package dev.precis.checkpoint;

import dev.precis.io.InvalidInputException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;

/**
 * Finds weights that are infinite or no number: a model with one computes nothing else, or silently
 * nonsense. Weights are checked when they are packed, eight bytes at a time in pieces that stay in
 * a core's cache, so that a start is not noticeably slower; packed weights that an earlier run has
 * kept were checked then. The calling thread does it alone: it may be pinned, and so would be a
 * pool that it starts.
 */
final class FiniteCheck {
  private static final int PIECE = 1 << 12; // words
  private static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private FiniteCheck() {}

  /**
   * Makes sure that all elements are finite; types without infinity pass.
   *
   * @throws InvalidInputException if one is not; the sentence names file, tensor and element
   */
  static void require(Path path, TensorView tensor) {
    boolean good =
        switch (tensor.dtype()) {
          case FLOAT32 -> finite(tensor, 0x7f8000007f800000L, 0x0000000100000001L);
          case BFLOAT16 -> finite(tensor, 0x7f807f807f807f80L, 0x0001000100010001L);
          case FLOAT16 -> finite(tensor, 0x7c007c007c007c00L, 0x0001000100010001L);
          case FLOAT64 -> finiteAsFloats(tensor);
          default -> true;
        };
    if (good) {
      return;
    }
    long first = 0;
    while (Float.isFinite(element(tensor, first))) {
      first++;
    }
    throw TensorFile.invalid(
        path,
        "holds %s, whose element %d is %s: the weights are damaged or of a training that diverged"
            .formatted(tensor, first, Float.isNaN(element(tensor, first)) ? "NaN" : "infinite"));
  }

  private static float element(TensorView tensor, long i) {
    int width = tensor.dtype().bytes();
    MemorySegment data = tensor.data().asSlice(i * width, width);
    return new TensorView(tensor.name(), tensor.dtype(), new long[0], data).toFloat32()[0];
  }

  /**
   * Looks for exponents of all ones, which infinities and NaNs have, in all elements of a word at
   * once: such an exponent is zero when it is inverted, and one less than zero borrows the sign.
   *
   * @param exponents the exponent's bits of each element in a word
   * @param ones the lowest bit of each
   */
  private static boolean finite(TensorView tensor, long exponents, long ones) {
    MemorySegment data = tensor.data();
    long signs = ones << (8 * tensor.dtype().bytes() - 1);
    long[] words = new long[(int) Math.min(PIECE, data.byteSize() / 8)];
    long whole = data.byteSize() / 8;
    for (long at = 0; at < whole; at += words.length) {
      int n = (int) Math.min(words.length, whole - at);
      MemorySegment.copy(data, LONG, at * 8, words, 0, n);
      long borrowed = 0;
      for (int i = 0; i < n; i++) {
        borrowed |= ((words[i] & exponents) ^ exponents) - ones;
      }
      if ((borrowed & signs) != 0) {
        return false;
      }
    }
    for (long i = whole * 8 / tensor.dtype().bytes(); i < tensor.elements(); i++) {
      if (!Float.isFinite(element(tensor, i))) {
        return false;
      }
    }
    return true;
  }

  /** A double that float32 cannot hold becomes infinite where it is read. */
  private static boolean finiteAsFloats(TensorView tensor) {
    for (long i = 0; i < tensor.elements(); i++) {
      double value = Double.longBitsToDouble(tensor.data().get(LONG, i * 8));
      if (!(Math.abs(value) <= Float.MAX_VALUE)) {
        return false;
      }
    }
    return true;
  }
}
