package dev.precis.ffi;

import dev.precis.device.Device;
import dev.precis.device.DeviceInfo;
import dev.precis.device.DeviceOptions;
import dev.precis.device.GpuInfo;
import dev.precis.device.NativeException;
import dev.precis.ffi.generated.Precis;
import dev.precis.ffi.generated.precis_context_args;
import dev.precis.ffi.generated.precis_context_info;
import dev.precis.ffi.generated.precis_tensor;
import dev.precis.ffi.generated.precis_zero_args;
import dev.precis.io.InvalidInputException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A device, its threads and the memory that its operations borrow.
 *
 * <p><b>Threads.</b> A context serves one thread at a time; a second one that calls meanwhile gets
 * a {@link NativeException} with {@code INVALID_STATE}. With more than one thread, the calling
 * thread works as the first of them and stays pinned to a core until {@link #release}, until
 * another thread calls, or until the context is closed. Different contexts are independent of each
 * other.
 *
 * <p><b>Time.</b> On the CPU an operation is done when it returns. On a GPU it is launched: {@link
 * #synchronize}, which {@link dev.precis.tensor.Tensor#memory} calls, waits before the host looks
 * at shared memory, and {@link #download} before it copies the GPU's.
 *
 * <p><b>Lifetime.</b> {@link #close} frees the threads and the scratch memory. Memory from {@link
 * #allocate} belongs to the arena that was passed and must be closed before the context.
 */
public final class Context implements Device, AutoCloseable {
  private MemorySegment handle;
  private final DeviceInfo info;
  private boolean gpu;
  private boolean pending; // work on a GPU, or a thread that a CPU's work has pinned

  /**
   * Opens a device.
   *
   * @throws NativeException if the processor or the build lacks what was asked for
   * @throws InvalidInputException if there is no such GPU, with the reason
   */
  public Context(DeviceOptions options) {
    Native.library();
    MemorySegment made = null;
    if (options.device().equals("auto")) {
      try {
        made = create(options, 0);
      } catch (InvalidInputException e) {
        // Without a GPU that can be used, the CPU is what "auto" means.
      }
    } else if (!options.device().equals("cpu")) {
      made = create(options, options.gpuIndex());
    }
    gpu = made != null;
    handle = gpu ? made : create(options, -1);
    info = describe();
  }

  /** Makes a context on the GPU of that index, or on the CPU if it is negative. */
  private static MemorySegment create(DeviceOptions options, int gpu) {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment args = precis_context_args.allocate(call);
      precis_context_args.device(args, gpu < 0 ? Precis.PRECIS_CPU() : Precis.PRECIS_CUDA());
      precis_context_args.device_index(args, Math.max(gpu, 0));
      precis_context_args.many_rows(args, options.manyRows() ? 1 : 0);
      precis_context_args.threads(args, options.threads());
      precis_context_args.isa(args, text(call, options.isa()));
      precis_context_args.matmul(args, text(call, options.matmul()));
      MemorySegment error = call.allocate(1024);
      precis_context_args.error(args, error);
      precis_context_args.error_bytes(args, error.byteSize());
      MemorySegment out = call.allocate(ValueLayout.ADDRESS);
      int status = Precis.precis_context_create(args, out);
      if (status != Precis.PRECIS_OK()) {
        if (gpu >= 0) {
          throw new InvalidInputException(
              "Device %s cannot be used: %s".formatted(options.device(), error.getString(0)));
        }
        throw new NativeException(NativeException.Status.of(status), error.getString(0));
      }
      return out.get(ValueLayout.ADDRESS, 0);
    }
  }

  private static MemorySegment text(Arena arena, String text) {
    return text == null ? MemorySegment.NULL : arena.allocateFrom(text);
  }

  /** Returns the native handle, for the operations of {@code dev.precis.ops}. */
  public MemorySegment handle() {
    if (handle == null) {
      throw new IllegalStateException("This context is closed.");
    }
    return handle;
  }

  @Override
  public DeviceInfo info() {
    return info;
  }

  @Override
  public DeviceInfo describe() {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment raw = precis_context_info.allocate(call);
      check(Precis.precis_context_describe(handle(), raw));
      return new DeviceInfo(
          precis_context_info.threads(raw),
          precis_context_info.isa(raw).getString(0),
          precis_context_info.features(raw).getString(0),
          precis_context_info.cores(raw).getString(0),
          precis_context_info.onednn(raw) != 0,
          precis_context_info.onednn_version(raw).getString(0),
          precis_context_info.onednn_path(raw).getString(0),
          precis_context_info.onednn_error(raw).getString(0),
          precis_context_info.scratch_bytes(raw),
          precis_context_info.allocations(raw),
          precis_context_info.replays(raw),
          precis_context_info.launches(raw),
          gpu ? gpu(raw) : null);
    }
  }

  private static GpuInfo gpu(MemorySegment raw) {
    return new GpuInfo(
        precis_context_info.device_index(raw),
        precis_context_info.device_name(raw).getString(0),
        precis_context_info.compute_capability(raw),
        precis_context_info.driver_version(raw),
        precis_context_info.device_bytes(raw),
        precis_context_info.free_bytes(raw),
        precis_context_info.cublaslt_version(raw).getString(0),
        precis_context_info.cublaslt_path(raw).getString(0),
        precis_context_info.cublaslt_error(raw).getString(0));
  }

  @Override
  public boolean onGpu() {
    return gpu;
  }

  @Override
  public void synchronize() {
    if (gpu && pending) {
      pending = false;
      check(Precis.precis_synchronize(handle()));
      pending = false;
    }
  }

  @Override
  public void release() {
    if (gpu) {
      synchronize();
    } else if (pending) {
      check(Precis.precis_synchronize(handle()));
      pending = false;
    }
  }

  /** Cancels operations, or allows them again; any thread may call this at any time. */
  public void cancel(boolean cancelled) {
    Precis.precis_cancel(handle(), cancelled ? 1 : 0);
  }

  /** Sets memory of this context to zero, in the order of the operations. */
  public void zero(MemorySegment memory) {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment args = precis_zero_args.allocate(call);
      MemorySegment y = precis_zero_args.y(args);
      precis_tensor.data(y, memory);
      precis_tensor.dims(y).set(ValueLayout.JAVA_LONG, 0, memory.byteSize());
      precis_tensor.rank(y, 1);
      precis_tensor.dtype(y, Precis.PRECIS_UINT8());
      check(Precis.precis_zero(handle(), args));
    }
  }

  @Override
  public MemorySegment allocate(Arena owner, long bytes) {
    return allocate(owner, bytes, false);
  }

  @Override
  public void upload(MemorySegment to, MemorySegment from) {
    copy(to, from, true);
  }

  @Override
  public void download(MemorySegment to, MemorySegment from) {
    copy(to, from, false);
  }

  private void copy(MemorySegment to, MemorySegment from, boolean up) {
    if (to.byteSize() != from.byteSize()) {
      throw new IllegalArgumentException(
          "%d bytes are not copied to %d".formatted(from.byteSize(), to.byteSize()));
    }
    if (!gpu) {
      to.copyFrom(from);
      return;
    }
    long bytes = from.byteSize();
    check(
        up
            ? Precis.precis_upload(handle(), to, from, bytes)
            : Precis.precis_download(handle(), to, from, bytes));
    pending = up;
  }

  @Override
  public MemorySegment allocateShared(Arena owner, long bytes) {
    return allocate(owner, bytes, true);
  }

  private MemorySegment allocate(Arena owner, long bytes, boolean shared) {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment out = call.allocate(ValueLayout.ADDRESS);
      check(
          shared
              ? Precis.precis_allocate_shared(handle(), bytes, out)
              : Precis.precis_allocate(handle(), bytes, out));
      MemorySegment memory = out.get(ValueLayout.ADDRESS, 0);
      return memory.reinterpret(bytes, owner, m -> Precis.precis_free(handle(), m, bytes));
    }
  }

  /** Throws the library's message if a status is not {@code PRECIS_OK}. */
  public void check(int status) {
    pending = true;
    if (status != 0) {
      throw failure(status);
    }
  }

  private NativeException failure(int status) {
    NativeException.Status kind = NativeException.Status.of(status);
    String message =
        kind == NativeException.Status.INVALID_STATE
            ? "Another thread is using this context: give each thread its own, or serialize the"
                + " calls."
            : Precis.precis_last_error(handle()).reinterpret(4096).getString(0);
    return new NativeException(kind, message);
  }

  @Override
  public void close() {
    if (handle != null) {
      Precis.precis_context_destroy(handle);
      handle = null;
    }
  }
}
