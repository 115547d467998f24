package dev.precis.cli.common;

import dev.precis.io.InvalidInputException;
import dev.precis.ops.Ops;
import dev.precis.tensor.MemoryPlan;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Compares the plan of a run with the memory that there is, before its first step. */
public final class MemoryCheck {
  /** Parts of a plan that are in memory as soon as there is a plan. */
  private static final List<String> LOADED =
      List.of("weights", "reference", "teacher", "trained weights and gradients");

  /** Bytes of classes that are loaded and code that is compiled after a plan was made. */
  private static final long LATER = 48_000_000;

  private MemoryCheck() {}

  /**
   * Returns a plan with what the process takes beside the plan's parts: code, Java's own memory,
   * and the young objects that Java lets grow before it collects them for the first time.
   *
   * @param others bytes of other models of the plan, whose weights are in memory already
   */
  public static MemoryPlan withProcess(MemoryPlan plan, long others) {
    long inUse = others;
    for (String part : LOADED) {
      inUse += plan.parts().getOrDefault(part, 0L);
    }
    long resident = AvailableMemory.ofThisProcess().resident();
    if (resident == 0) {
      return plan;
    }
    Runtime java = Runtime.getRuntime();
    // A third of the heap is for young objects.
    long young = Math.max(0, java.totalMemory() / 3 - (java.totalMemory() - java.freeMemory()));
    Map<String, Long> parts = new LinkedHashMap<>(plan.parts());
    parts.put("Java and code", Math.max(0, resident - inUse) + young + LATER);
    return new MemoryPlan(parts);
  }

  /**
   * Refuses weights that do not fit, before any of them is loaded. On a GPU they take its memory,
   * which is another one.
   *
   * @param plan of the weights, from the model's configuration alone
   * @param changes options that make it smaller
   * @throws InvalidInputException where more memory is needed than is available
   */
  public static void requireBeforeLoading(
      MemoryPlan plan, AvailableMemory memory, BaseCommand command, String changes) {
    AvailableMemory.Limit limit = memory.smallest();
    if (plan.total() > limit.bytes() && !onGpu(command)) {
      throw new InvalidInputException(
          "The weights alone need %s, but %s only %s: change %s, or start it all the same with --no-memory-check"
              .formatted(
                  MemoryFormat.of(plan), limit.source(), MemoryFormat.of(limit.bytes()), changes));
    }
  }

  private static boolean onGpu(BaseCommand command) {
    if (command.common().gpu() == null) {
      return false;
    }
    try (Ops ops = command.common().ops()) {
      return ops.onGpu();
    }
  }

  /**
   * Refuses a plan that does not fit.
   *
   * @param changes options that make it smaller
   * @throws InvalidInputException where more memory is needed than is available
   */
  public static void require(MemoryPlan plan, AvailableMemory memory, String changes) {
    long needed = plan.total() - memory.resident();
    AvailableMemory.Limit limit = memory.smallest();
    if (needed > limit.bytes()) {
      throw new InvalidInputException(
          "The run needs %s of memory, %s more than it has now, but %s only %s: change %s, or start it all the same with --no-memory-check"
              .formatted(
                  MemoryFormat.of(plan.total()),
                  MemoryFormat.of(needed),
                  limit.source(),
                  MemoryFormat.of(limit.bytes()),
                  changes));
    }
  }
}
