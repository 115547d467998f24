package dev.precis.ffi;

import dev.precis.ffi.generated.Precis;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Operations that are launched together instead of one by one: a CUDA graph, or a recording of the
 * CPU's. The addresses that the operations read and write are fixed; the contents of that memory
 * may change between two replays.
 */
public final class CapturedGraph implements AutoCloseable {
  private final Context context;
  private final Arena arena = Arena.ofShared();
  private final MemorySegment replayed = arena.allocate(ValueLayout.JAVA_INT);
  private MemorySegment handle;

  private CapturedGraph(Context context, MemorySegment handle) {
    this.context = context;
    this.handle = handle;
  }

  /**
   * Captures operations without running them. They must have run before with the same shapes, so
   * that their scratch memory has been allocated.
   *
   * @param operations launches the operations on the context; it may neither allocate memory nor
   *     read results
   * @return the graph, which the caller must close before the context
   * @throws NativeException if one of the operations fails
   */
  public static CapturedGraph capture(Context context, Runnable operations) {
    context.check(Precis.precis_record_begin(context.handle()));
    try {
      operations.run();
    } catch (RuntimeException | Error e) {
      Precis.precis_record_end(context.handle(), MemorySegment.NULL);
      throw e;
    }
    try (Arena call = Arena.ofConfined()) {
      MemorySegment out = call.allocate(ValueLayout.ADDRESS);
      context.check(Precis.precis_record_end(context.handle(), out));
      return new CapturedGraph(context, out.get(ValueLayout.ADDRESS, 0));
    }
  }

  /**
   * Launches the operations.
   *
   * @return false if memory of the context was freed since the capture: the graph is invalid then,
   *     nothing runs, and the operations must be captured again
   * @throws NativeException if the launch fails
   */
  public boolean replay() {
    context.check(Precis.precis_replay(context.handle(), handle, replayed));
    return replayed.get(ValueLayout.JAVA_INT, 0) != 0;
  }

  /** Waits for the GPU and frees the graph. The context must still be open. */
  @Override
  public void close() {
    if (handle != null) {
      MemorySegment own = handle;
      handle = null;
      arena.close();
      context.check(Precis.precis_recording_destroy(context.handle(), own));
    }
  }
}
