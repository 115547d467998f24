package dev.precis.ffi;

import dev.precis.ffi.generated.Precis;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Operations that a GPU is given all at once, as a CUDA graph, instead of one by one; made by
 * {@link Context#record}. What lies in the memory that they read may change from one time to the
 * next.
 */
public final class Recording implements AutoCloseable {
  private final Context context;
  private final Arena arena = Arena.ofShared();
  private final MemorySegment replayed = arena.allocate(ValueLayout.JAVA_INT);
  private MemorySegment handle;

  Recording(Context context, MemorySegment handle) {
    this.context = context;
    this.handle = handle;
  }

  /**
   * Orders the operations.
   *
   * @return false where memory of the context was freed since they were noted: nothing is done
   *     then, and they must be recorded again
   */
  public boolean replay() {
    context.check(Precis.precis_replay(context.handle(), handle, replayed));
    return replayed.get(ValueLayout.JAVA_INT, 0) != 0;
  }

  /** Waits for the GPU, and frees the recording; before the context is closed. */
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
