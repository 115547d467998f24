package dev.precis.checkpoint;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.io.InvalidInputException;
import dev.precis.tensor.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Each element of a word is looked at, and those behind the last whole word. */
class FiniteCheckTest {
  private static final int ELEMENTS = 16_391; // more than a piece, and no multiple of a word

  private static void put(MemorySegment data, DType dtype, int i, float value) {
    switch (dtype) {
      case FLOAT32 -> data.set(ValueLayout.JAVA_FLOAT_UNALIGNED, 4L * i, value);
      case BFLOAT16 ->
          data.set(
              ValueLayout.JAVA_SHORT_UNALIGNED,
              2L * i,
              (short) (Float.floatToRawIntBits(value) >>> 16));
      default -> data.set(ValueLayout.JAVA_SHORT_UNALIGNED, 2L * i, Float.floatToFloat16(value));
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      names = {"FLOAT32", "BFLOAT16", "FLOAT16"})
  void findsEachElement(DType dtype) {
    float[] finite = {0, -0.0f, 1, -1, 6e4f, -6e4f, 1e-7f};
    float[] others = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY};
    MemorySegment data = MemorySegment.ofArray(new byte[ELEMENTS * dtype.bytes()]).asSlice(0);
    for (int i = 0; i < ELEMENTS; i++) {
      put(data, dtype, i, finite[i % finite.length]);
    }
    TensorView tensor = new TensorView("w", dtype, new long[] {ELEMENTS}, data);
    FiniteCheck.require(Path.of("file"), tensor);
    for (int i = 0; i < ELEMENTS; i += i < 9 || i > ELEMENTS - 9 ? 1 : 1021) {
      put(data, dtype, i, others[i % 3]);
      String message =
          assertThrows(
                  InvalidInputException.class, () -> FiniteCheck.require(Path.of("file"), tensor))
              .getMessage();
      assertTrue(message.contains("element " + i + " is "), message);
      put(data, dtype, i, finite[i % finite.length]);
    }
  }
}
