package dev.precis.tensor;

import dev.precis.device.Device;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * A row-major view of native memory that somebody else owns: a {@link Workspace}, an arena, a
 * mapped file. The elements of a row (the last dimension) are contiguous; rows lie {@link
 * #rowStride} elements apart, so that columns of a matrix can be a tensor without a copy.
 */
public final class Tensor {
  /** The most dimensions of a tensor. */
  private static final int MAX_RANK = 4;

  private final Device device; // null: memory that the host may look into at any time
  private final MemorySegment memory;
  private final DType dtype;
  private final long[] dims;
  private final long rowStride;

  private Tensor(Device device, MemorySegment memory, DType dtype, long[] dims, long rowStride) {
    this.device = device;
    this.memory = memory;
    this.dtype = dtype;
    this.dims = dims;
    this.rowStride = rowStride;
  }

  /**
   * Views contiguous memory as a tensor.
   *
   * @throws IllegalArgumentException when the memory is too small
   */
  public static Tensor of(MemorySegment memory, DType dtype, long... dims) {
    if (dims.length == 0 || dims.length > MAX_RANK) {
      throw new IllegalArgumentException(
          "A tensor has 1 to " + MAX_RANK + " dimensions, not " + dims.length);
    }
    long elements = 1;
    for (long dim : dims) {
      elements = Math.multiplyExact(elements, dim);
    }
    long bytes = Math.multiplyExact(elements, dtype.bytes());
    if (memory.byteSize() < bytes) {
      throw new IllegalArgumentException(
          Arrays.toString(dims)
              + " "
              + dtype
              + " needs "
              + bytes
              + " bytes, not "
              + memory.byteSize());
    }
    return new Tensor(null, memory, dtype, dims.clone(), dims[dims.length - 1]);
  }

  /** Returns the same tensor in memory of a device: the host synchronizes before it looks. */
  public Tensor on(Device device) {
    return device.onGpu() ? new Tensor(device, memory, dtype, dims, rowStride) : this;
  }

  /**
   * Views the same elements with other dims; of a matrix with gaps between its rows, the first row.
   */
  public Tensor as(long... dims) {
    Tensor view = of(memory, dtype, dims);
    return device == null ? view : view.on(device);
  }

  /**
   * Views contiguous elements with other dims.
   *
   * @param from the first of them
   */
  public Tensor slice(long from, long... dims) {
    long bytes = dtype.bytes();
    for (long dim : dims) {
      bytes = Math.multiplyExact(bytes, dim);
    }
    Tensor view = of(memory.asSlice(from * dtype.bytes(), bytes), dtype, dims);
    return device == null ? view : view.on(device);
  }

  /** Copies values to new float32 memory. */
  public static Tensor ofFloats(Arena arena, float[] values, long... dims) {
    return of(arena.allocateFrom(ValueLayout.JAVA_FLOAT, values), DType.FLOAT32, dims);
  }

  /** Copies values to new int32 memory, of rank 1. */
  public static Tensor ofInts(Arena arena, int... values) {
    return of(arena.allocateFrom(ValueLayout.JAVA_INT, values), DType.INT32, values.length);
  }

  /** Returns the elements, for the host to read and write, after operations on them are done. */
  public MemorySegment memory() {
    if (device != null) {
      device.synchronize();
    }
    return memory;
  }

  /** Returns the address of the elements, for operations; does not synchronize. */
  public MemorySegment address() {
    return memory;
  }

  public DType dtype() {
    return dtype;
  }

  public int rank() {
    return dims.length;
  }

  /** Returns one of the {@link #rank} dimensions, outermost first. */
  public long dim(int i) {
    return dims[i];
  }

  /** Returns the elements of a row: the last dimension. */
  public long columns() {
    return dims[dims.length - 1];
  }

  /** Returns the number of rows: the product of all other dimensions. */
  public long rows() {
    long n = 1;
    for (int i = 0; i + 1 < dims.length; i++) {
      n *= dims[i];
    }
    return n;
  }

  /** Returns the number of elements between the starts of two rows. */
  public long rowStride() {
    return rowStride;
  }

  /** Views rows {@code [from, from + count)} of a matrix. */
  public Tensor rows(long from, long count) {
    requireMatrix();
    checkRange(from, count, dims[0]);
    return new Tensor(
        device,
        memory.asSlice(from * rowStride * dtype.bytes()),
        dtype,
        new long[] {count, dims[1]},
        rowStride);
  }

  /** Views columns {@code [from, from + count)} of a matrix. */
  public Tensor columns(long from, long count) {
    requireMatrix();
    checkRange(from, count, dims[1]);
    return new Tensor(
        device,
        memory.asSlice(from * dtype.bytes()),
        dtype,
        new long[] {dims[0], count},
        rowStride);
  }

  /**
   * Returns element {@code (row, column)} as float32, whichever type it has; for looking, not for
   * speed.
   */
  public float get(long row, long column) {
    checkRange(row, 1, rows());
    checkRange(column, 1, columns());
    long i = row * rowStride + column;
    MemorySegment memory = memory();
    return switch (dtype) {
      case FLOAT32 -> memory.get(ValueLayout.JAVA_FLOAT_UNALIGNED, i * 4);
      case BFLOAT16 ->
          Float.intBitsToFloat(memory.get(ValueLayout.JAVA_SHORT_UNALIGNED, i * 2) << 16);
      case INT32 -> memory.get(ValueLayout.JAVA_INT_UNALIGNED, i * 4);
      default -> throw new IllegalStateException(dtype + " is not read element by element");
    };
  }

  /** Copies a row as float32. */
  public float[] row(long row) {
    float[] values = new float[Math.toIntExact(columns())];
    for (int i = 0; i < values.length; i++) {
      values[i] = get(row, i);
    }
    return values;
  }

  private void requireMatrix() {
    if (dims.length != 2) {
      throw new IllegalStateException("Only a matrix has row and column views, not rank " + rank());
    }
  }

  private static void checkRange(long from, long count, long size) {
    if (from < 0 || count < 0 || from + count > size) {
      throw new IndexOutOfBoundsException(from + " + " + count + " is outside of " + size);
    }
  }

  @Override
  public String toString() {
    return dtype + Arrays.toString(dims);
  }
}
