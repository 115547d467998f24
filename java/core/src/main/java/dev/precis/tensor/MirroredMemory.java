package dev.precis.tensor;

import dev.precis.device.Device;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Memory that the host and a device work on in turns. On the CPU there is one memory, and nothing
 * is copied. On a GPU each has its own: {@link #upload} brings what the host has written to the
 * GPU, and {@link #download} brings back what operations have written, in one copy each.
 *
 * <p>Arrays are laid out by {@link #take}, one behind the other, so that those that travel together
 * are neighbors. Not thread-safe.
 */
public final class MirroredMemory {
  private final Device device;
  private final MemorySegment onDevice;
  private final MemorySegment onHost;
  private long taken;

  /**
   * Allocates memory.
   *
   * @param bytes the sum of {@link #size} of the arrays
   * @param workspace owns the device's memory; it must not be reset while this is in use
   */
  public MirroredMemory(long bytes, Workspace workspace) {
    device = workspace.owner();
    onDevice = workspace.device(DType.UINT8, bytes).address();
    onHost = device.onGpu() ? Arena.ofAuto().allocate(bytes, Workspace.ALIGNMENT) : onDevice;
  }

  /** Returns the bytes that an array of so many elements takes. */
  public static long size(DType dtype, long elements) {
    return Workspace.size(Math.multiplyExact(elements, dtype.bytes()));
  }

  /** Lays out an array behind those that there are. */
  public Array take(DType dtype, long elements) {
    long begin = taken;
    taken += size(dtype, elements);
    return new Array(begin, dtype, elements);
  }

  /** Brings the first {@code bytes} bytes from the host to the device. */
  public void upload(long bytes) {
    if (onHost != onDevice) {
      device.upload(onDevice.asSlice(0, bytes), onHost.asSlice(0, bytes));
    }
  }

  /** Brings everything from the host to the device. */
  public void upload() {
    upload(taken);
  }

  /** Brings everything from the device to the host, after all operations before. */
  public void download() {
    if (onHost != onDevice) {
      device.download(onHost.asSlice(0, taken), onDevice.asSlice(0, taken));
    }
  }

  /** An array of the memory. */
  public final class Array {
    private final long begin;
    private final DType dtype;
    private final long bytes;
    private final MemorySegment host;

    private Array(long begin, DType dtype, long elements) {
      this.begin = begin;
      this.dtype = dtype;
      bytes = elements * dtype.bytes();
      host = onHost.asSlice(begin, bytes);
    }

    /** Returns the elements on the host, which does not wait for operations. */
    public MemorySegment host() {
      return host;
    }

    /** Returns the first byte of the array in the memory. */
    public long begin() {
      return begin;
    }

    /** Views elements on the device from one on, for operations. */
    public Tensor tensor(long from, long... dims) {
      long skipped = from * dtype.bytes();
      MemorySegment memory = onDevice.asSlice(begin + skipped, bytes - skipped);
      return Tensor.of(memory, dtype, dims).on(device);
    }

    /** Brings {@code count} elements from the host to the device, from one on. */
    public void upload(long from, long count) {
      if (onHost != onDevice) {
        device.upload(slice(onDevice, from, count), slice(onHost, from, count));
      }
    }

    /** Brings {@code count} elements from the device to the host, from one on. */
    public void download(long from, long count) {
      if (onHost != onDevice) {
        device.download(slice(onHost, from, count), slice(onDevice, from, count));
      }
    }

    private MemorySegment slice(MemorySegment memory, long from, long count) {
      return memory.asSlice(begin + from * dtype.bytes(), count * dtype.bytes());
    }
  }
}
