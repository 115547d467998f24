package dev.precis.tools.gpu;

import java.util.ArrayList;
import java.util.List;

/**
 * One operation of a stream, a line of the emulator's log.
 *
 * @param name of the kernel, or {@code fill} or {@code copy}
 * @param x blocks in the grid's first dimension
 * @param y in its second
 * @param z in its third
 * @param threads of a block; 0: no kernel
 * @param shared bytes of dynamic shared memory of a block
 * @param bytes of a fill or a copy; 0 for a kernel
 * @param cluster blocks of a cluster; 1 without clusters
 * @param dependent it may begin before the kernel before it has ended
 */
record Launch(
    String name,
    long x,
    long y,
    long z,
    int threads,
    int shared,
    long bytes,
    int cluster,
    boolean dependent) {
  /** A launch without clusters, after the end of what is before it. */
  Launch(String name, long x, long y, long z, int threads, int shared, long bytes) {
    this(name, x, y, z, threads, shared, bytes, 1, false);
  }

  boolean isKernel() {
    return threads > 0;
  }

  long blocks() {
    return x * y * z;
  }

  long clusters() {
    return blocks() / cluster;
  }

  /** Returns the launch in words, such as {@code rms_norm 16x1x1 of 128}. */
  String text() {
    String blocks = name + " " + x + "x" + y + "x" + z + " of " + threads;
    return isKernel()
        ? cluster > 1 ? blocks + ", clusters of " + cluster : blocks
        : name + " " + bytes;
  }

  /**
   * Reads a log. Lines that begin with # are comments.
   *
   * @throws IllegalArgumentException with a sentence if a line is damaged
   */
  static List<Launch> parse(List<String> lines) {
    List<Launch> launches = new ArrayList<>();
    for (String line : lines) {
      if (line.isBlank() || line.startsWith("#")) {
        continue;
      }
      String[] f = line.split("\t");
      try {
        launches.add(
            switch (f[0]) {
              case "kernel" ->
                  new Launch(
                      f[1],
                      Long.parseLong(f[2]),
                      Long.parseLong(f[3]),
                      Long.parseLong(f[4]),
                      Integer.parseInt(f[5]),
                      Integer.parseInt(f[6]),
                      0,
                      Integer.parseInt(f[7]),
                      f[8].equals("1"));
              case "fill", "copy" -> new Launch(f[0], 1, 1, 1, 0, 0, Long.parseLong(f[1]));
              default -> throw new IllegalArgumentException(f[0]);
            });
      } catch (IllegalArgumentException | ArrayIndexOutOfBoundsException e) {
        throw new IllegalArgumentException("This is no line of a log of launches: " + line, e);
      }
    }
    return launches;
  }
}
