package dev.precis.ffi;

import dev.precis.ffi.generated.Precis;
import dev.precis.ffi.generated.precis_context_args;
import dev.precis.ffi.generated.precis_context_info;
import dev.precis.ffi.generated.precis_tensor;
import dev.precis.ffi.generated.precis_zero_args;
import dev.precis.io.InvalidInputException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A device, its threads and the memory that its operations borrow.
 *
 * <p><b>Threads.</b> A context serves one thread at a time; a second one that calls meanwhile gets
 * a {@link NativeException} with {@code INVALID_STATE}. With more than one thread, the calling
 * thread works as the first of them and stays pinned to a core until another thread calls or the
 * context is closed. Different contexts are independent of each other.
 *
 * <p><b>Time.</b> On the CPU an operation is done when it returns. On a GPU it is launched: {@link
 * #synchronize}, which {@link dev.precis.tensor.Tensor#memory} calls, waits before the host looks.
 *
 * <p><b>Lifetime.</b> {@link #close} frees the threads and the scratch memory. Memory from {@link
 * #allocate} belongs to the arena that was passed and must be closed before the context.
 */
public final class Context implements AutoCloseable {
  private MemorySegment handle;
  private final Info info;
  private boolean gpu;
  private boolean pending;

  /** The description that {@code precis_context_describe} returns. */
  public record Info(
      int threads,
      String isa,
      String features,
      String cores,
      boolean onednn,
      String onednnVersion,
      String onednnPath,
      String onednnError,
      long scratchBytes,
      long allocations,
      long replays,
      Gpu gpu) {}

  /**
   * The GPU that a context runs on.
   *
   * @param computeCapability as 90
   * @param driver the CUDA version that the driver supports, as 13000
   * @param cublasltVersion empty if cuBLASLt is not used
   * @param cublasltError reason why it could not be loaded; empty if nobody tried
   */
  public record Gpu(
      int index,
      String name,
      int computeCapability,
      int driver,
      long bytes,
      long freeBytes,
      String cublasltVersion,
      String cublasltPath,
      String cublasltError) {}

  private Context(Options options) {
    Native.library();
    MemorySegment made = null;
    if (options.device.equals("auto")) {
      try {
        made = create(options, 0);
      } catch (InvalidInputException e) {
        // Without a GPU that can be used, the CPU is what "auto" means.
      }
    } else if (!options.device.equals("cpu")) {
      made = create(options, options.index());
    }
    gpu = made != null;
    handle = gpu ? made : create(options, -1);
    info = describe();
  }

  /** Makes a context on the GPU of that index, or on the CPU if it is negative. */
  private static MemorySegment create(Options options, int gpu) {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment args = precis_context_args.allocate(call);
      precis_context_args.device(args, gpu < 0 ? Precis.PRECIS_CPU() : Precis.PRECIS_CUDA());
      precis_context_args.device_index(args, Math.max(gpu, 0));
      precis_context_args.many_rows(args, options.manyRows ? 1 : 0);
      precis_context_args.threads(args, options.threads);
      precis_context_args.isa(args, text(call, options.isa));
      precis_context_args.matmul(args, text(call, options.matmul));
      MemorySegment error = call.allocate(1024);
      precis_context_args.error(args, error);
      precis_context_args.error_bytes(args, error.byteSize());
      MemorySegment out = call.allocate(ValueLayout.ADDRESS);
      int status = Precis.precis_context_create(args, out);
      if (status != Precis.PRECIS_OK()) {
        if (gpu >= 0) {
          throw new InvalidInputException(
              "Device %s cannot be used: %s".formatted(options.device, error.getString(0)));
        }
        throw new NativeException(NativeException.Status.of(status), error.getString(0));
      }
      return out.get(ValueLayout.ADDRESS, 0);
    }
  }

  /** Options of a context; the defaults are the best of this machine. */
  public static final class Options {
    private static final Pattern CUDA = Pattern.compile("cuda(?::(\\d{1,3}))?");

    private String device = "cpu";
    private boolean manyRows;
    private int threads;
    private String isa;
    private String matmul;

    /**
     * Sets the device: {@code cpu}, {@code cuda} (the first GPU), {@code cuda:N}, or {@code auto}:
     * a GPU if there is one that the library can use, otherwise the CPU. The default is the CPU.
     *
     * @throws IllegalArgumentException if it is none of them
     */
    public Options device(String device) {
      if (!device.equals("auto") && !device.equals("cpu") && !CUDA.matcher(device).matches()) {
        throw new IllegalArgumentException(
            "A device is auto, cpu or cuda[:N], not '" + device + "'");
      }
      this.device = device;
      return this;
    }

    private int index() {
      Matcher cuda = CUDA.matcher(device);
      return cuda.matches() && cuda.group(1) != null ? Integer.parseInt(cuda.group(1)) : 0;
    }

    /**
     * Sets whether whole sequences are processed at a time, as in training: for cuBLASLt on a GPU.
     */
    public Options manyRows(boolean manyRows) {
      this.manyRows = manyRows;
      return this;
    }

    /**
     * Sets the number of threads; 0, the default: one for each physical core that the process may
     * use.
     */
    public Options threads(int threads) {
      this.threads = threads;
      return this;
    }

    /**
     * Sets the instruction set: {@code portable}, {@code avx2}, {@code avx512} or {@code
     * avx512_bf16}; null: the best.
     */
    public Options isa(String isa) {
      this.isa = isa;
      return this;
    }

    /**
     * Sets the kernels for matrix products of many rows: {@code native} or {@code onednn}; null:
     * the faster.
     */
    public Options matmul(String matmul) {
      this.matmul = matmul;
      return this;
    }

    /**
     * Makes the context.
     *
     * @throws NativeException if the processor or the build lacks what was asked for
     * @throws InvalidInputException if there is no such GPU, with the reason
     */
    public Context create() {
      return new Context(this);
    }
  }

  /** Makes a context on the CPU with every core. */
  public static Context cpu() {
    return new Options().create();
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

  /** Returns the description from when the context was made. */
  public Info info() {
    return info;
  }

  /** Reads the description again, with its counters as they are now. */
  public Info describe() {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment raw = precis_context_info.allocate(call);
      check(Precis.precis_context_describe(handle(), raw));
      return new Info(
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
          gpu ? gpu(raw) : null);
    }
  }

  private static Gpu gpu(MemorySegment raw) {
    return new Gpu(
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

  /**
   * Returns true if it runs on a GPU: its operations then reach no memory but that of {@link
   * #allocate}.
   */
  public boolean onGpu() {
    return gpu;
  }

  /**
   * Waits until all launched operations are complete; on the CPU they always are.
   *
   * @throws NativeException if an operation failed meanwhile
   */
  public void synchronize() {
    if (pending) {
      pending = false;
      check(Precis.precis_synchronize(handle()));
      pending = false;
    }
  }

  /** Sets memory of this context to zero, in the order of the operations. */
  public void zero(MemorySegment memory) {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment args = precis_zero_args.allocate(call);
      MemorySegment y = precis_zero_args.y(args);
      precis_tensor.data(y, memory);
      precis_tensor.dims(y, 0, memory.byteSize());
      precis_tensor.rank(y, 1);
      precis_tensor.dtype(y, Precis.PRECIS_UINT8());
      check(Precis.precis_zero(handle(), args));
    }
  }

  /**
   * Allocates zero-filled device memory, aligned to 4096 bytes.
   *
   * @param owner frees it when closed
   */
  public MemorySegment allocate(Arena owner, long bytes) {
    return allocate(owner, bytes, false);
  }

  /** Allocates memory that the host writes and reads often: ids, offsets, tokens, losses. */
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
    pending = gpu;
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
