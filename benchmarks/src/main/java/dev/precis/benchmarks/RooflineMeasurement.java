package dev.precis.benchmarks;

import dev.precis.device.DeviceInfo;
import dev.precis.device.DeviceOptions;
import dev.precis.ops.Ceilings;
import dev.precis.ops.Ceilings.Loop;
import dev.precis.ops.Ops;
import java.io.PrintStream;
import java.util.Locale;

/**
 * Prints the roofline of this machine as CSV: {@code threads,kind,footprint,rate}. The lines for
 * one thread come first, then those for the threads asked for, pinned as the engine's are. A kind
 * of arithmetic has a line for each instruction.
 */
public final class RooflineMeasurement {
  private static final long SMALLEST = 256 << 10;

  /** Arrays are at most this many times the last-level cache: little of them is found there. */
  private static final long BEYOND_CACHE = 4;

  private static final double SECONDS = 0.15;

  private RooflineMeasurement() {}

  /**
   * Prints the measurements.
   *
   * @param args the threads
   */
  public static void main(String[] args) {
    if (args.length != 1 || !args[0].matches("[1-9][0-9]{0,3}")) {
      System.err.println("usage: RooflineMeasurement THREADS");
      System.exit(2);
    }
    print(Integer.parseInt(args[0]), SECONDS, Long.MAX_VALUE, System.out);
  }

  /**
   * Measures and prints.
   *
   * @param seconds of each measurement
   * @param largest bytes of an array
   */
  static void print(int threads, double seconds, long largest, PrintStream out) {
    DeviceInfo info;
    try (Ops ops = Ops.open(new DeviceOptions().threads(threads))) {
      info = ops.device().info();
    }
    Ceilings ceilings = new Ceilings();
    out.println("threads,kind,footprint,rate");
    for (int n : threads == 1 ? new int[] {1} : new int[] {1, threads}) {
      int[] cores = Ceilings.cores(info.cores(), n);
      for (Loop loop : ceilings.loops()) {
        long bytes = loop.touchesMemory() ? SMALLEST : 0;
        while (true) {
          double rate = ceilings.measure(loop, cores, n, bytes, seconds);
          out.printf(Locale.ROOT, "%d,%s,%d,%.4g%n", n, loop.kind(), bytes, rate);
          if (bytes == 0 || bytes >= BEYOND_CACHE * ceilings.cacheBytes() || 4 * bytes > largest) {
            break;
          }
          bytes *= 4;
        }
      }
    }
  }
}
