package dev.precis.tensor;

import dev.precis.device.Device;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.function.Consumer;

/**
 * A row-major view of native memory that somebody else owns: a {@link Workspace}, an arena, a
 * mapped file. The elements of a row (the last dimension) are contiguous; rows lie {@link
 * #rowStride} elements apart, so that columns of a matrix can be a tensor without a copy.
 */
public final class Tensor {
  /** The most dimensions of a tensor. */
  private static final int MAX_RANK = 4;

  private final Device device; // null: memory that the host may look into at any time
  private final boolean reachable; // the host may touch the memory, once the device is idle
  private final MemorySegment memory;
  private final DType dtype;
  private final long[] dims;
  private final long rowStride;

  private Tensor(
      Device device,
      boolean reachable,
      MemorySegment memory,
      DType dtype,
      long[] dims,
      long rowStride) {
    this.device = device;
    this.reachable = reachable;
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
    return new Tensor(null, true, memory, dtype, dims.clone(), dims[dims.length - 1]);
  }

  /** Returns the same tensor in memory of a device: that of a GPU is out of the host's reach. */
  public Tensor on(Device device) {
    return device.onGpu() ? new Tensor(device, false, memory, dtype, dims, rowStride) : this;
  }

  /**
   * Returns the same tensor in memory that a device shares with the host, which synchronizes before
   * it looks.
   */
  public Tensor sharedWith(Device device) {
    return device.onGpu() ? new Tensor(device, true, memory, dtype, dims, rowStride) : this;
  }

  /**
   * Views the same elements with other dims; of a matrix with gaps between its rows, the first row.
   */
  public Tensor as(long... dims) {
    return here(of(memory, dtype, dims));
  }

  private Tensor here(Tensor view) {
    return new Tensor(device, reachable, view.memory, view.dtype, view.dims, view.rowStride);
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
    return here(of(memory.asSlice(from * dtype.bytes(), bytes), dtype, dims));
  }

  /** Copies values to new float32 memory. */
  public static Tensor ofFloats(Arena arena, float[] values, long... dims) {
    return of(arena.allocateFrom(ValueLayout.JAVA_FLOAT, values), DType.FLOAT32, dims);
  }

  /** Copies values to new int32 memory, of rank 1. */
  public static Tensor ofInts(Arena arena, int... values) {
    return of(arena.allocateFrom(ValueLayout.JAVA_INT, values), DType.INT32, values.length);
  }

  /**
   * Returns the elements, for the host to read and write, after operations on them are done.
   *
   * @throws IllegalStateException if they lie in memory of a GPU, where {@link #toHost} reads and
   *     {@link #write} writes them
   */
  public MemorySegment memory() {
    if (!reachable) {
      throw new IllegalStateException(
          "The host cannot touch "
              + this
              + " in memory of the GPU: read it with toHost, or write it with write.");
    }
    if (device != null) {
      device.synchronize();
    }
    return memory;
  }

  /**
   * Returns the elements for the host to read, after operations on them are done: the memory itself
   * where the host reaches it, otherwise a copy.
   */
  public MemorySegment toHost() {
    return reachable ? memory() : downloaded(0, span());
  }

  private MemorySegment downloaded(long from, long bytes) {
    MemorySegment copy = Arena.ofAuto().allocate(Math.max(bytes, 1), Long.BYTES).asSlice(0, bytes);
    device.download(copy, memory.asSlice(from, bytes));
    return copy;
  }

  /**
   * Has the host write the elements: in place where it reaches them, otherwise in memory that is
   * then copied to the GPU.
   *
   * @param writer writes every element of the contiguous memory that it gets
   */
  public void write(Consumer<MemorySegment> writer) {
    if (reachable) {
      writer.accept(memory());
      return;
    }
    try (Arena call = Arena.ofConfined()) {
      MemorySegment staged = call.allocate(Math.max(span(), 1), Long.BYTES).asSlice(0, span());
      writer.accept(staged);
      device.upload(memory.asSlice(0, span()), staged);
    }
  }

  /** Returns the bytes from the first element to the last. */
  private long span() {
    long rows = rows();
    return rows == 0 || columns() == 0 ? 0 : ((rows - 1) * rowStride + columns()) * dtype.bytes();
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
        reachable,
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
        reachable,
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
    return get(elements(row, column, 1), 0);
  }

  /** Returns elements of a row for the host to read. */
  private MemorySegment elements(long row, long column, long count) {
    long from = (row * rowStride + column) * dtype.bytes();
    long bytes = count * dtype.bytes();
    return reachable ? memory().asSlice(from, bytes) : downloaded(from, bytes);
  }

  private float get(MemorySegment elements, long i) {
    return switch (dtype) {
      case FLOAT32 -> elements.get(ValueLayout.JAVA_FLOAT_UNALIGNED, i * 4);
      case BFLOAT16 ->
          Float.intBitsToFloat(elements.get(ValueLayout.JAVA_SHORT_UNALIGNED, i * 2) << 16);
      case INT32 -> elements.get(ValueLayout.JAVA_INT_UNALIGNED, i * 4);
      default -> throw new IllegalStateException(dtype + " is not read element by element");
    };
  }

  /** Copies a row as float32. */
  public float[] row(long row) {
    checkRange(row, 1, rows());
    float[] values = new float[Math.toIntExact(columns())];
    MemorySegment elements = elements(row, 0, values.length);
    for (int i = 0; i < values.length; i++) {
      values[i] = get(elements, i);
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
