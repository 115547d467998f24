package dev.precis.tools.gpu;

import dev.precis.tools.sass.Table;
import java.util.List;

/**
 * Resources of a kernel's machine code, from {@code cuda-kernels/sass.tsv}.
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
    return Table.parse(text).kernels().stream()
        .map(
            each ->
                new Code(
                    each.source(),
                    each.name(),
                    each.registers(),
                    Math.max(each.loads(), each.copies())))
        .toList();
  }

  /** Returns the first kernel of a file whose name begins so, or {@link #UNKNOWN}. */
  static Code find(List<Code> codes, String source, String name) {
    return codes.stream()
        .filter(each -> each.source().equals(source) && each.name().startsWith(name))
        .findFirst()
        .orElse(UNKNOWN);
  }
}
