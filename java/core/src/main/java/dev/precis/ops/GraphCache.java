package dev.precis.ops;

import dev.precis.ffi.CapturedGraph;
import dev.precis.ffi.Context;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;

/**
 * Captures steps that come again and replays them. A decoding step is some two hundred small
 * operations: on a GPU they take the host longer to launch than the GPU to run, and a CUDA graph is
 * one launch; on the CPU their calls from Java are a few percent of a step of one row, and a
 * recording is one call.
 *
 * <p>Not thread-safe.
 */
public final class GraphCache implements AutoCloseable {
  /** Graphs that are kept on a GPU; the least recently used one makes room. */
  private static final int GPU_CAPACITY = 4;

  /** The same on the CPU: recordings are small, and drafts change the rows of a step. */
  private static final int CPU_CAPACITY = 12;

  private final Context context;
  private final OpTimer timer;
  private final int capacity;

  /** By kind, the least recently used first; null: has run once, but is not captured yet. */
  private final Map<Object, CapturedGraph> graphs = new LinkedHashMap<>(16, 0.75f, true);

  /** Makes an empty cache for the context of these operations, which must outlive it. */
  public GraphCache(Ops ops) {
    this.context = ops.context();
    this.timer = ops.timer();
    capacity = ops.onGpu() ? GPU_CAPACITY : CPU_CAPACITY;
  }

  /**
   * Runs a step, or replays its graph.
   *
   * @param kind compared with {@code equals}: a step of the same kind launches the same operations
   *     on the same memory
   * @param step launches operations; from the second time on it must not allocate memory, and it
   *     must not read results
   * @throws dev.precis.device.NativeException if one of the operations fails
   */
  public void run(Object kind, Runnable step) {
    if (timer.isOn()) {
      step.run();
      return;
    }
    CapturedGraph graph = graphs.get(kind);
    if (graph != null) {
      if (graph.replay()) {
        return;
      }
      graphs.remove(kind);
      graph.close();
    }
    if (!graphs.containsKey(kind)) {
      // The first run allocates scratch memory, which a capture must not; and a step that does not
      // come again is not worth a capture.
      step.run();
      makeRoom();
      graphs.put(kind, null);
      return;
    }
    CapturedGraph captured = CapturedGraph.capture(context, step);
    graphs.put(kind, captured);
    if (!captured.replay()) {
      throw new IllegalStateException("Memory was freed while a step was captured.");
    }
  }

  private void makeRoom() {
    if (graphs.size() < capacity) {
      return;
    }
    Iterator<CapturedGraph> all = graphs.values().iterator();
    CapturedGraph oldest = all.next();
    all.remove();
    if (oldest != null) {
      oldest.close();
    }
  }

  @Override
  public void close() {
    graphs.values().stream().filter(Objects::nonNull).forEach(CapturedGraph::close);
    graphs.clear();
  }
}
