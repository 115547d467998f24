package dev.precis.ops;

import dev.precis.ffi.generated.Precis;
import dev.precis.tensor.DType;
import java.lang.foreign.MemorySegment;

/**
 * A weight in the layout that {@link Ops#matmul} reads; made by {@link Ops#pack}.
 *
 * @param outputs N, the length of a result's row
 * @param inputs K, the length of an input's row
 * @param dtype float32, bfloat16, int8 or int4
 */
public record PackedMatrix(MemorySegment memory, long outputs, long inputs, DType dtype) {
  /** The most weights that are stacked in one matrix. */
  public static final int MAX_WEIGHTS = Precis.PRECIS_MAX_STACKED_WEIGHTS();
}
