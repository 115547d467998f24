package dev.precis.ffi;

import dev.precis.ffi.generated.Precis;
import dev.precis.ffi.generated.precis_context_args;
import dev.precis.ffi.generated.precis_context_info;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A device, its threads and the memory that its operations borrow.
 *
 * <p><b>Threads.</b> A context serves one thread at a time; a second one that calls meanwhile gets
 * a {@link NativeException} with {@code INVALID_STATE}. With more than one thread, the calling
 * thread works as the first of them and stays pinned to a core until another thread calls or the
 * context is closed. Different contexts are independent of each other.
 *
 * <p><b>Lifetime.</b> {@link #close} frees the threads and the scratch memory. Memory from {@link
 * #allocate} belongs to the arena that was passed and must be closed before the context.
 */
public final class Context implements AutoCloseable {
  private MemorySegment handle;
  private final Info info;

  /** What {@code precis_context_describe} says. */
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
      long allocations) {}

  private Context(Options options) {
    Native.library();
    try (Arena call = Arena.ofConfined()) {
      MemorySegment args = precis_context_args.allocate(call);
      precis_context_args.device(args, Precis.PRECIS_CPU());
      precis_context_args.threads(args, options.threads);
      precis_context_args.isa(args, text(call, options.isa));
      precis_context_args.matmul(args, text(call, options.matmul));
      MemorySegment error = call.allocate(1024);
      precis_context_args.error(args, error);
      precis_context_args.error_bytes(args, error.byteSize());
      MemorySegment out = call.allocate(ValueLayout.ADDRESS);
      int status = Precis.precis_context_create(args, out);
      if (status != Precis.PRECIS_OK()) {
        throw new NativeException(NativeException.Status.of(status), error.getString(0));
      }
      handle = out.get(ValueLayout.ADDRESS, 0);
    }
    info = describe();
  }

  /** How a context is made; the defaults are the best this machine has. */
  public static final class Options {
    private int threads;
    private String isa;
    private String matmul;

    /** Threads; 0, the default: one for each physical core that the process may use. */
    public Options threads(int threads) {
      this.threads = threads;
      return this;
    }

    /** {@code portable}, {@code avx2}, {@code avx512} or {@code avx512_bf16}; null: the best. */
    public Options isa(String isa) {
      this.isa = isa;
      return this;
    }

    /** {@code native} or {@code onednn} for matrix products of many rows; null: the faster. */
    public Options matmul(String matmul) {
      this.matmul = matmul;
      return this;
    }

    /**
     * Makes the context.
     *
     * @throws NativeException when the processor or the build lacks what was asked for
     */
    public Context create() {
      return new Context(this);
    }
  }

  /** A context on the CPU with every core. */
  public static Context cpu() {
    return new Options().create();
  }

  private static MemorySegment text(Arena arena, String text) {
    return text == null ? MemorySegment.NULL : arena.allocateFrom(text);
  }

  /** The native handle, for the operations of {@code dev.precis.ops}. */
  public MemorySegment handle() {
    if (handle == null) {
      throw new IllegalStateException("This context is closed.");
    }
    return handle;
  }

  /** What the context was made with. */
  public Info info() {
    return info;
  }

  /** The same, read anew: the counters move. */
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
          precis_context_info.allocations(raw));
    }
  }

  /**
   * Zero-filled device memory, aligned to 4096 bytes.
   *
   * @param owner frees it when closed
   */
  public MemorySegment allocate(Arena owner, long bytes) {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment out = call.allocate(ValueLayout.ADDRESS);
      check(Precis.precis_allocate(handle(), bytes, out));
      MemorySegment memory = out.get(ValueLayout.ADDRESS, 0);
      return memory.reinterpret(bytes, owner, m -> Precis.precis_free(handle(), m, bytes));
    }
  }

  /** Throws what the library says when a status is not {@code PRECIS_OK}. */
  public void check(int status) {
    if (status != 0) {
      throw failure(status);
    }
  }

  private NativeException failure(int status) {
    NativeException.Status kind = NativeException.Status.of(status);
    String message =
        kind == NativeException.Status.INVALID_STATE
            ? "Another thread is using this context: give each thread its own, or take turns."
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
