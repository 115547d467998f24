package dev.precis.generation;

import dev.precis.ffi.Context;
import dev.precis.ffi.Recording;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;

/**
 * Runs the steps of one decoding. On a GPU a step is some two hundred small operations, which take
 * the host longer to order than the GPU to do: from the second step of a kind on they are replayed
 * as one. On the CPU they just run.
 */
final class Steps implements AutoCloseable {
  /** Kinds of steps that are kept in mind. */
  private static final int MOST = 4;

  /**
   * What a step's operations depend on beside the contents of their memory.
   *
   * @param rows sequences
   * @param table where beams' pasts are, or 0
   */
  private record Kind(int rows, long table) {}

  private final Context context;

  /** The kinds of late, the least used first; null: has run once. */
  private final Map<Kind, Recording> kinds = new LinkedHashMap<>(16, 0.75f, true);

  Steps(Context context) {
    this.context = context;
  }

  /**
   * Runs a step, or replays it.
   *
   * @param table changes when the step reads another table of ancestors
   * @param step orders the same operations on the same memory whenever rows and table are the same,
   *     allocates nothing from the second time on, and looks at no result
   */
  void run(int rows, long table, Runnable step) {
    if (!context.onGpu()) {
      step.run();
      return;
    }
    Kind kind = new Kind(rows, table);
    Recording recording = kinds.get(kind);
    if (recording != null) {
      if (recording.replay()) {
        return;
      }
      kinds.remove(kind);
      recording.close();
    }
    if (!kinds.containsKey(kind)) {
      // What works in memory of its own takes it now, and a step that does not come again is not
      // recorded.
      step.run();
      makeRoom();
      kinds.put(kind, null);
      return;
    }
    Recording made = context.record(step);
    kinds.put(kind, made);
    if (!made.replay()) {
      throw new IllegalStateException("Memory was freed while a step was recorded.");
    }
  }

  private void makeRoom() {
    if (kinds.size() < MOST) {
      return;
    }
    Iterator<Recording> all = kinds.values().iterator();
    Recording oldest = all.next();
    all.remove();
    if (oldest != null) {
      oldest.close();
    }
  }

  @Override
  public void close() {
    kinds.values().stream().filter(Objects::nonNull).forEach(Recording::close);
    kinds.clear();
  }
}
