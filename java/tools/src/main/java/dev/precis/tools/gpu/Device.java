package dev.precis.tools.gpu;

import java.util.ArrayList;
import java.util.List;

/**
 * A GPU, as a row of {@code cuda-kernels/devices.tsv} describes it.
 *
 * @param name in lower case, such as {@code h100}
 * @param multiprocessors streaming multiprocessors (SMs)
 * @param bandwidth of memory, in bytes a microsecond
 * @param cacheBandwidth of the L2 cache, in bytes a microsecond
 * @param tensorRate of tensor cores in bfloat16, in operations a microsecond; a multiply-add is two
 * @param floatRate of float32 without tensor cores, likewise
 * @param graphGap from the end of a kernel of a graph to the start of the next one, in microseconds
 * @param dependentGap the same to the start of a dependent launch, beyond what it does before it
 *     waits
 * @param launchTime from one launch outside a graph to the next one, in microseconds
 * @param latency of a load from memory under load, in microseconds
 * @param sharedBytes shared memory of a multiprocessor
 */
record Device(
    String name,
    int multiprocessors,
    double bandwidth,
    double cacheBandwidth,
    double tensorRate,
    double floatRate,
    double graphGap,
    double dependentGap,
    double launchTime,
    double latency,
    int sharedBytes) {
  private static final int COLUMNS = 11;
  static final int REGISTERS = 65_536;
  static final int THREADS = 2048;
  static final int BLOCKS = 32;

  /** Shared memory that the system takes for each block. */
  static final int RESERVED_SHARED = 1024;

  /**
   * Reads the table, whose header names the columns and their units.
   *
   * @throws IllegalArgumentException with a sentence if a row is damaged
   */
  static List<Device> parse(String text) {
    List<Device> devices = new ArrayList<>();
    List<String> lines = text.lines().filter(each -> !each.startsWith("#")).toList();
    for (String line : lines.subList(Math.min(1, lines.size()), lines.size())) {
      String[] f = line.split("\t");
      if (f.length != COLUMNS) {
        throw new IllegalArgumentException(
            "The table of devices has "
                + f.length
                + " columns in place of "
                + COLUMNS
                + ": "
                + line);
      }
      double[] v = new double[f.length];
      for (int i = 1; i < f.length; i++) {
        try {
          v[i] = Double.parseDouble(f[i]);
        } catch (NumberFormatException e) {
          throw new IllegalArgumentException("The table of devices has no number here: " + line, e);
        }
        if (!(v[i] > 0)) {
          throw new IllegalArgumentException("The table of devices needs numbers above 0: " + line);
        }
      }
      devices.add(
          new Device(
              f[0],
              (int) v[1],
              v[2] * 1e3,
              v[3] * 1e3,
              v[4] * 1e6,
              v[5] * 1e6,
              v[6],
              v[7],
              v[8],
              v[9],
              (int) v[10] << 10));
    }
    return devices;
  }
}
