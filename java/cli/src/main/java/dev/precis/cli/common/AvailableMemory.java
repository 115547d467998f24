package dev.precis.cli.common;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.OptionalLong;

/**
 * The memory that this process can still take: what the machine has available, or what the limits
 * of the cgroups leave, version 1 and 2, of this process's group and of those around it.
 *
 * @param root folder that holds {@code proc} and {@code sys}
 */
public record AvailableMemory(Path root) {
  /**
   * Bytes that are left.
   *
   * @param source what sets the limit
   */
  public record Limit(long bytes, String source) {}

  /** Returns what this process finds. */
  public static AvailableMemory ofThisProcess() {
    return new AvailableMemory(Path.of("/"));
  }

  /** Returns the bytes that this process has in memory; 0 where the system does not tell. */
  public long resident() {
    return kilobytes("proc/self/status", "VmRSS:").orElse(0);
  }

  /** Returns the smallest limit; the largest number where the system tells none. */
  public Limit smallest() {
    List<Limit> limits = new ArrayList<>();
    kilobytes("proc/meminfo", "MemAvailable:")
        .ifPresent(bytes -> limits.add(new Limit(bytes, "the machine has available")));
    for (String line : lines("proc/self/cgroup")) {
      String[] parts = line.split(":", 3);
      if (parts.length < 3) {
        continue;
      }
      if (parts[1].isEmpty()) {
        groups("sys/fs/cgroup", parts[2], limits, true);
        groups("sys/fs/cgroup/unified", parts[2], limits, true);
      } else if (List.of(parts[1].split(",")).contains("memory")) {
        groups("sys/fs/cgroup/memory", parts[2], limits, false);
      }
    }
    return limits.stream()
        .min(Comparator.comparingLong(Limit::bytes))
        .orElse(new Limit(Long.MAX_VALUE, "the system tells of no limit"));
  }

  /** Looks at a group and all around it: the limit of each holds for those inside. */
  private void groups(String mount, String path, List<Limit> limits, boolean second) {
    Path top = root.resolve(mount);
    // In a container the path may be that on the host: then only the mounted group is found.
    Path group = top.resolve(path.replaceFirst("^/+", "")).normalize();
    if (!group.startsWith(top)) {
      group = top;
    }
    for (; group.startsWith(top); group = group.getParent()) {
      String limitName = second ? "memory.max" : "memory.limit_in_bytes";
      OptionalLong limit = number(group.resolve(limitName));
      OptionalLong used =
          number(group.resolve(second ? "memory.current" : "memory.usage_in_bytes"));
      if (limit.isPresent() && used.isPresent()) {
        // The kernel gives file pages that nobody uses back before it ends a process.
        String key = second ? "inactive_file " : "total_inactive_file ";
        long cached = value(group.resolve("memory.stat"), key, 1).orElse(0);
        long left = limit.getAsLong() - used.getAsLong() + cached;
        limits.add(
            new Limit(Math.max(0, left), "%s of the control group leaves".formatted(limitName)));
      }
    }
  }

  private OptionalLong kilobytes(String file, String key) {
    return value(root.resolve(file), key, 1024);
  }

  private static OptionalLong value(Path file, String key, long unit) {
    for (String line : lines(file)) {
      String value = line.startsWith(key) ? line.substring(key.length()).strip() : "";
      value = value.replaceFirst(" kB$", "");
      if (value.matches("\\d{1,15}")) {
        return OptionalLong.of(Long.parseLong(value) * unit);
      }
    }
    return OptionalLong.empty();
  }

  private static OptionalLong number(Path file) {
    List<String> lines = lines(file);
    // "max" is no limit, and so is version 1's largest multiple of a page.
    return lines.isEmpty() || !lines.getFirst().strip().matches("\\d{1,18}")
        ? OptionalLong.empty()
        : OptionalLong.of(Long.parseLong(lines.getFirst().strip()));
  }

  private List<String> lines(String file) {
    return lines(root.resolve(file));
  }

  private static List<String> lines(Path file) {
    try {
      return Files.exists(file) ? Files.readAllLines(file) : List.of();
    } catch (IOException | UncheckedIOException e) {
      return List.of();
    }
  }
}
