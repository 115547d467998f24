package dev.precis.tools.sass;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * One row of the table: the resources of a kernel and the instructions that decide on its speed.
 *
 * @param source the file's name, without a folder
 * @param name with template arguments
 * @param registers of a thread
 * @param spillStores bytes that a thread writes because it has too few registers
 * @param spillLoads bytes that it reads back
 * @param local instructions that load from or store into local memory, spills included
 * @param loads of 16 bytes in flight before the first wait for one
 * @param copies asynchronous, in flight before the first wait for one
 * @param early loads of 16 bytes in flight when it waits for the kernels before it
 * @param widths the numbers of global loads by their bytes, such as {@code 16:12 4:3}
 * @param hgmma instructions of wgmma
 * @param hmma instructions of mma on 16-bit floats
 * @param imma instructions of mma on 8-bit integers
 * @param bulk copies by the tensor memory accelerator
 * @param async instructions of cp.async
 */
public record Kernel(
    String source,
    String name,
    int registers,
    int spillStores,
    int spillLoads,
    int local,
    int loads,
    int copies,
    int early,
    String widths,
    int hgmma,
    int hmma,
    int imma,
    int bulk,
    int async) {
  private static final List<String> COLUMNS =
      List.of(
          "source",
          "kernel",
          "registers",
          "spill_stores",
          "spill_loads",
          "local",
          "loads_in_flight",
          "copies_in_flight",
          "early_loads",
          "load_widths",
          "hgmma",
          "hmma",
          "imma",
          "bulk",
          "async");

  /** The table's header. */
  static final String HEADER = String.join("\t", COLUMNS);

  private static final int WIDTHS = COLUMNS.indexOf("load_widths");

  private static final String NONE = "-";

  /** The resources of a kernel, as ptxas reports them. */
  record Resources(int registers, int spillStores, int spillLoads) {}

  /**
   * Reads a kernel's code.
   *
   * @param name as a reader knows it, see {@link #shortName}
   * @param capability that the code is for, such as 90
   */
  static Kernel of(
      String source, String name, Resources resources, Instruction[] code, int capability) {
    LoadsInFlight flights = new LoadsInFlight(code, capability);
    Map<Integer, Integer> widths = new TreeMap<>((a, b) -> b - a);
    int local = 0;
    int hgmma = 0;
    int hmma = 0;
    int imma = 0;
    int bulk = 0;
    int async = 0;
    for (Instruction each : code) {
      if (each.isGlobalLoad()) {
        widths.merge(each.bytes(), 1, Integer::sum);
      }
      local += each.isLocal() ? 1 : 0;
      hgmma += each.isHgmma() ? 1 : 0;
      hmma += each.isHmma() ? 1 : 0;
      imma += each.isImma() ? 1 : 0;
      bulk += each.isBulkCopy() ? 1 : 0;
      async += each.isAsyncCopy() ? 1 : 0;
    }
    List<String> parts = new ArrayList<>();
    widths.forEach((width, count) -> parts.add(width + ":" + count));
    return new Kernel(
        source,
        name,
        resources.registers(),
        resources.spillStores(),
        resources.spillLoads(),
        local,
        flights.loads(),
        flights.copies(),
        flights.early(),
        parts.isEmpty() ? NONE : String.join(" ", parts),
        hgmma,
        hmma,
        imma,
        bulk,
        async);
  }

  /** Returns source and name, which together name a kernel. */
  String key() {
    return source + ": " + name;
  }

  /** Returns the row of the table. */
  String row() {
    List<String> cells = new ArrayList<>(List.of(source, name));
    for (int each : new int[] {registers, spillStores, spillLoads, local, loads, copies, early}) {
      cells.add(Integer.toString(each));
    }
    cells.add(widths);
    for (int each : new int[] {hgmma, hmma, imma, bulk, async}) {
      cells.add(Integer.toString(each));
    }
    return String.join("\t", cells);
  }

  /**
   * Reads a row.
   *
   * @throws IllegalArgumentException with a sentence if it is none
   */
  static Kernel parse(String row) {
    String[] cells = row.split("\t", -1);
    if (cells.length != COLUMNS.size()) {
      throw new IllegalArgumentException(
          "'%s' has %d columns instead of %d".formatted(row, cells.length, COLUMNS.size()));
    }
    int[] n = new int[cells.length];
    for (int i = 2; i < cells.length; i++) {
      if (i != WIDTHS) {
        try {
          n[i] = Integer.parseInt(cells[i]);
        } catch (NumberFormatException e) {
          throw new IllegalArgumentException(
              "'%s' has '%s' as %s, which is no number".formatted(row, cells[i], COLUMNS.get(i)),
              e);
        }
      }
    }
    return new Kernel(
        cells[0],
        cells[1],
        n[2],
        n[3],
        n[4],
        n[5],
        n[6],
        n[7],
        n[8],
        cells[WIDTHS],
        n[10],
        n[11],
        n[12],
        n[13],
        n[14]);
  }

  /**
   * Returns the name of a kernel and its template arguments out of what c++filt says: without the
   * result, the parameters and our own namespaces.
   */
  static String shortName(String demangled) {
    String name = demangled.replace("(anonymous namespace)::", "").replace("precis::", "");
    if (name.endsWith(")")) {
      int depth = 0;
      int i = name.length() - 1;
      for (; i > 0; i--) {
        depth += name.charAt(i) == ')' ? 1 : name.charAt(i) == '(' ? -1 : 0;
        if (depth == 0) {
          break;
        }
      }
      name = name.substring(0, i);
    }
    return name.startsWith("void ") ? name.substring("void ".length()) : name;
  }
}
