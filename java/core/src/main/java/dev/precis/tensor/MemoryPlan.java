package dev.precis.tensor;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What a run needs, by part, before it starts.
 *
 * @param parts bytes by the name of the part
 */
public record MemoryPlan(Map<String, Long> parts) {
  public MemoryPlan {
    parts = new LinkedHashMap<>(parts);
  }

  /** All parts together, in bytes. */
  public long total() {
    return parts.values().stream().mapToLong(Long::longValue).sum();
  }
}
