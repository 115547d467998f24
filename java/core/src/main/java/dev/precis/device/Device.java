package dev.precis.device;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * A CPU with its threads, or a GPU, and the memory that kernels reach. Models open theirs from
 * {@link DeviceOptions} and close it.
 *
 * <p>A device serves one thread at a time; a second one that calls meanwhile gets a {@link
 * NativeException} with {@code INVALID_STATE}.
 */
public interface Device {
  /** Returns the description from when the device was opened. */
  DeviceInfo info();

  /** Reads the description again, with its counters as they are now. */
  DeviceInfo describe();

  /**
   * Returns true on a GPU: its operations then reach no memory but that of {@link #allocate} and
   * {@link #allocateShared}.
   */
  boolean onGpu();

  /**
   * Waits until all launched operations are complete; on the CPU they always are.
   *
   * @throws NativeException if an operation failed meanwhile
   */
  void synchronize();

  /**
   * Ends a step: restores the affinity of the calling thread, which operations on the CPU pin to a
   * core. The next operation pins it again. On a GPU, waits as {@link #synchronize} does.
   */
  void release();

  /**
   * Allocates zero-filled device memory, aligned to 4096 bytes; on a GPU to 256 bytes, and out of
   * the host's reach: {@link #upload} writes it and {@link #download} reads it.
   *
   * @param owner frees it when closed, which must happen before the device is closed
   */
  MemorySegment allocate(Arena owner, long bytes);

  /**
   * Copies host memory to memory of the device, in the order of the operations.
   *
   * @param to memory of {@link #allocate} or {@link #allocateShared}, of the size of {@code from}
   * @param from may change afterwards
   */
  void upload(MemorySegment to, MemorySegment from);

  /**
   * Copies memory of the device to host memory of the same size, after all operations before.
   *
   * @throws NativeException if an operation failed meanwhile
   */
  void download(MemorySegment to, MemorySegment from);

  /** Allocates memory that the host writes and reads often: ids, offsets, tokens, losses. */
  MemorySegment allocateShared(Arena owner, long bytes);
}
