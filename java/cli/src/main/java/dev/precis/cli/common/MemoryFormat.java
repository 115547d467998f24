package dev.precis.cli.common;

import dev.precis.tensor.MemoryPlan;
import java.util.Locale;
import java.util.stream.Collectors;

/** Formats numbers of bytes. */
public final class MemoryFormat {
  private MemoryFormat() {}

  /** Formats a plan as "1.9 GB: weights 0.9 GB, activations 0.7 GB, ...". */
  public static String of(MemoryPlan plan) {
    return of(plan.total())
        + ": "
        + plan.parts().entrySet().stream()
            .filter(part -> part.getValue() > 0)
            .map(part -> part.getKey() + " " + of(part.getValue()))
            .collect(Collectors.joining(", "));
  }

  public static String of(long bytes) {
    return bytes >= 1e9
        ? String.format(Locale.ROOT, "%.1f GB", bytes / 1e9)
        : bytes >= 1e6
            ? String.format(Locale.ROOT, "%.0f MB", bytes / 1e6)
            : String.format(Locale.ROOT, "%.0f kB", bytes / 1e3);
  }
}
