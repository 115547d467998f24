package dev.precis.tensor;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The memory that a run needs, by part, known before it starts.
 *
 * @param parts bytes by the name of the part
 */
public record MemoryPlan(Map<String, Long> parts) {
  /** Keeps its own copy of the parts. */
  public MemoryPlan {
    parts = new LinkedHashMap<>(parts);
  }

  /** Returns the bytes of all parts together. */
  public long total() {
    return parts.values().stream().mapToLong(Long::longValue).sum();
  }
}
