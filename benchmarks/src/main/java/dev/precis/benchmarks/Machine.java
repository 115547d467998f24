package dev.precis.benchmarks;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Properties of the processor, as Linux reports them. */
final class Machine {
  private static final long USUAL_CACHE = 32L << 20;

  private Machine() {}

  /** Returns the model's name, as in /proc/cpuinfo. */
  static String cpu() {
    try (var lines = Files.lines(Path.of("/proc/cpuinfo"))) {
      return lines
          .filter(line -> line.startsWith("model name"))
          .map(line -> line.substring(line.indexOf(':') + 1).strip())
          .findFirst()
          .orElse(System.getProperty("os.arch"));
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot read /proc/cpuinfo", e);
    }
  }

  /** Returns the bytes of the largest cache; 32 MB where the system does not report them. */
  static long lastLevelCacheBytes() {
    try {
      String size =
          Files.readString(Path.of("/sys/devices/system/cpu/cpu0/cache/index3/size")).strip();
      return Long.parseLong(size.substring(0, size.length() - 1)) << 10;
    } catch (IOException | NumberFormatException e) {
      return USUAL_CACHE;
    }
  }
}
