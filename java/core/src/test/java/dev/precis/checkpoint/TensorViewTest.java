package dev.precis.checkpoint;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.precis.tensor.DType;
import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.Test;

class TensorViewTest {
  @Test
  void widensEveryFloatingPointType() {
    assertArrayEquals(
        new float[] {1, -2.5f, Float.POSITIVE_INFINITY, 1e-40f},
        view(
                DType.FLOAT32,
                MemorySegment.ofArray(new float[] {1, -2.5f, Float.POSITIVE_INFINITY, 1e-40f}))
            .toFloat32());
    assertArrayEquals(
        new float[] {1, -2.5f, Float.NEGATIVE_INFINITY, 0},
        view(
                DType.BFLOAT16,
                MemorySegment.ofArray(new short[] {0x3f80, (short) 0xc020, (short) 0xff80, 0}))
            .toFloat32());
    assertArrayEquals(
        new float[] {1, -2.5f, 65504, 0x1p-24f},
        view(DType.FLOAT16, MemorySegment.ofArray(new short[] {0x3c00, (short) 0xc100, 0x7bff, 1}))
            .toFloat32());
    assertArrayEquals(
        new float[] {1, -2.5f, 0.1f, Float.POSITIVE_INFINITY},
        view(DType.FLOAT64, MemorySegment.ofArray(new double[] {1, -2.5, 0.1, 1e300})).toFloat32());
  }

  @Test
  void refusesDataThatDoesNotFitItsShape() {
    MemorySegment data = MemorySegment.ofArray(new float[4]);
    for (long[] shape : new long[][] {{3}, {5}, {-2, -2}, {}}) {
      assertThrows(
          IllegalArgumentException.class, () -> new TensorView("a", DType.FLOAT32, shape, data));
    }
  }

  private static TensorView view(DType dtype, MemorySegment data) {
    return new TensorView("a", dtype, new long[] {2, 2}, data);
  }
}
