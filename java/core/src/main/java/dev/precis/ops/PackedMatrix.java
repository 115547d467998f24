package dev.precis.ops;

import dev.precis.tensor.DType;
import java.lang.foreign.MemorySegment;

/**
 * A weight in the order in which {@link Ops#matmul} reads it; made by {@link Ops#pack}.
 *
 * @param outputs N, the length of a result's row
 * @param inputs K, the length of an input's row
 * @param dtype float32, bfloat16 or int8
 */
public record PackedMatrix(MemorySegment memory, long outputs, long inputs, DType dtype) {}
