package dev.precis.ops;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.precis.ffi.Context;
import dev.precis.ffi.generated.precis_lora_segment;
import dev.precis.ffi.generated.precis_packed_matrix;
import dev.precis.ffi.generated.precis_tensor;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;

/**
 * Base of a family of kernels: the context that they run on, one argument block for each of them,
 * which every call overwrites, and the writing of tensors and packed matrices into such blocks.
 */
abstract class Kernels {
  private static final long DATA = precis_tensor.data$offset();
  private static final long DIMS = precis_tensor.dims$offset();
  private static final long ROW_STRIDE = precis_tensor.row_stride$offset();
  private static final long RANK = precis_tensor.rank$offset();
  private static final long DTYPE = precis_tensor.dtype$offset();

  final Context context;
  final OpTimer timer;
  private final MemorySegment handle;
  private final Arena arena;

  /**
   * Kernels on a context.
   *
   * @param arena frees the argument blocks
   */
  Kernels(Context context, OpTimer timer, Arena arena) {
    this.context = context;
    this.timer = timer;
    this.handle = context.handle();
    this.arena = arena;
  }

  /** Allocates the argument block of a kernel. */
  final MemorySegment block(MemoryLayout layout) {
    return arena.allocate(layout);
  }

  /** Returns the context for a call that begins now, and ends with {@link #check}. */
  final MemorySegment begin() {
    if (timer.isOn()) {
      timer.begin();
    }
    return handle;
  }

  /** Ends a call that {@link #begin} has begun: throws the library's message if it has failed. */
  final void check(String op, int status) {
    if (timer.isOn()) {
      timer.end(op);
    }
    context.check(status);
  }

  /** Returns the multiply-adds of x with a matrix: x (M, K), w (N, K). */
  static double products(Tensor x, PackedMatrix w) {
    return (double) x.rows() * w.outputs() * w.inputs();
  }

  /** Returns the bytes of a matrix without the padding of its layout. */
  static double bytes(PackedMatrix w) {
    return w.dtype().packedBytes((double) w.outputs() * w.inputs());
  }

  /** Returns C's truth value. */
  static int flag(boolean value) {
    return value ? 1 : 0;
  }

  /** Returns the address of an optional vector that crosses as a bare pointer. */
  static MemorySegment address(Tensor tensor) {
    return tensor == null ? MemorySegment.NULL : tensor.address();
  }

  /** Writes a {@code precis_tensor}; null is an optional tensor that is absent. */
  static void put(MemorySegment to, long offset, Tensor t) {
    if (t == null) {
      to.set(JAVA_LONG, offset + DATA, 0);
      to.set(JAVA_INT, offset + RANK, 0);
      return;
    }
    // As a number: an address would be checked and wrapped again by every call.
    to.set(JAVA_LONG, offset + DATA, t.address().address());
    int rank = t.rank();
    for (int i = 0; i < rank; i++) {
      to.set(JAVA_LONG, offset + DIMS + 8L * i, t.dim(i));
    }
    to.set(JAVA_LONG, offset + ROW_STRIDE, t.rowStride());
    to.set(JAVA_INT, offset + RANK, rank);
    to.set(JAVA_INT, offset + DTYPE, t.dtype().ordinal());
  }

  /** Writes a matrix of float32 that has a shape and no memory. */
  static void putShape(MemorySegment to, long offset, long rows, long columns) {
    to.set(JAVA_LONG, offset + DATA, 0);
    to.set(JAVA_LONG, offset + DIMS, rows);
    to.set(JAVA_LONG, offset + DIMS + 8, columns);
    to.set(JAVA_LONG, offset + ROW_STRIDE, columns);
    to.set(JAVA_INT, offset + RANK, 2);
    to.set(JAVA_INT, offset + DTYPE, DType.FLOAT32.ordinal());
  }

  /** Writes the outputs and ranks that low-rank terms have. */
  static void put(MemorySegment to, LoraWeights.Segment segment) {
    precis_lora_segment.output_begin(to, segment.outputBegin());
    precis_lora_segment.output_end(to, segment.outputEnd());
    precis_lora_segment.rank_begin(to, segment.rankBegin());
    precis_lora_segment.rank_end(to, segment.rankEnd());
    precis_lora_segment.scaling(to, segment.scaling());
  }

  /** Writes a {@code precis_packed_matrix}; null is an optional matrix that is absent. */
  static void put(MemorySegment to, long offset, PackedMatrix m) {
    if (m == null) {
      to.asSlice(offset, precis_packed_matrix.sizeof()).fill((byte) 0);
      return;
    }
    to.set(JAVA_LONG, offset + precis_packed_matrix.data$offset(), m.memory().address());
    to.set(JAVA_LONG, offset + precis_packed_matrix.bytes$offset(), m.memory().byteSize());
    to.set(JAVA_LONG, offset + precis_packed_matrix.outputs$offset(), m.outputs());
    to.set(JAVA_LONG, offset + precis_packed_matrix.inputs$offset(), m.inputs());
    to.set(JAVA_INT, offset + precis_packed_matrix.dtype$offset(), m.dtype().ordinal());
  }
}
