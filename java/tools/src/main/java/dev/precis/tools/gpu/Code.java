package dev.precis.tools.gpu;

import java.util.ArrayList;
import java.util.List;

/**
 * What {@code cuda-kernels/sass.tsv} says about a kernel's machine code.
 *
 * @param source its file
 * @param name with template arguments
 * @param registers of a thread
 * @param inFlight 16-byte loads or asynchronous copies of a thread before it waits for one; 0 where
 *     they are narrower, or where one thread has the tensor memory accelerator copy
 */
record Code(String source, String name, int registers, int inFlight) {
  /** Of a kernel that the table does not have: few registers, one load. */
  static final Code UNKNOWN = new Code("", "", 32, 1);

  /**
   * Reads the table.
   *
   * @throws IllegalArgumentException with a sentence if a row is damaged
   */
  static List<Code> parse(String text) {
    List<Code> codes = new ArrayList<>();
    for (String line : text.lines().toList()) {
      if (line.isBlank() || line.startsWith("#") || line.startsWith("source\t")) {
        continue;
      }
      String[] f = line.split("\t");
      try {
        int loads = Integer.parseInt(f[6]);
        int copies = Integer.parseInt(f[7]);
        codes.add(new Code(f[0], f[1], Integer.parseInt(f[2]), Math.max(loads, copies)));
      } catch (NumberFormatException | ArrayIndexOutOfBoundsException e) {
        throw new IllegalArgumentException("sass.tsv has a row that is damaged: " + line, e);
      }
    }
    return codes;
  }

  /** Returns the first kernel of a file whose name begins so, or {@link #UNKNOWN}. */
  static Code find(List<Code> codes, String source, String name) {
    return codes.stream()
        .filter(each -> each.source().equals(source) && each.name().startsWith(name))
        .findFirst()
        .orElse(UNKNOWN);
  }
}
