package dev.precis.benchmarks;

import de.siegmar.fastcsv.reader.CsvReader;
import de.siegmar.fastcsv.reader.NamedCsvRecord;
import dev.precis.tensor.DType;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * The measured roofline (Williams et al. 2009) of this machine, as {@link RooflineMeasurement}
 * prints it: the bandwidths of memory and caches and the rates of arithmetic, for one thread and
 * for several.
 */
final class Roofline {
  private static final String FLOAT32 = "float32";

  /** One line of the file; footprint 0 where no memory is touched. */
  private record Line(int threads, String kind, long footprint, double rate) {}

  /**
   * The shortest time that some work can take.
   *
   * @param limit memory or arithmetic, whichever takes longer
   */
  record Bound(double seconds, String limit) {}

  private final List<Line> lines = new ArrayList<>();

  private Roofline() {}

  /** Returns a roofline without measurements. */
  static Roofline unknown() {
    return new Roofline();
  }

  /** Reads what {@link RooflineMeasurement} has printed. */
  static Roofline read(Path file) throws IOException {
    Roofline roofline = new Roofline();
    try (CsvReader<NamedCsvRecord> csv = CsvReader.builder().ofNamedCsvRecord(file)) {
      for (NamedCsvRecord line : csv) {
        roofline.lines.add(
            new Line(
                Integer.parseInt(line.getField("threads")),
                line.getField("kind"),
                Long.parseLong(line.getField("footprint")),
                Double.parseDouble(line.getField("rate"))));
      }
    }
    return roofline;
  }

  /**
   * Returns the shortest time of some work on so many threads; empty where the work is not counted
   * in bytes and operations, or where the roofline of so many threads is unknown.
   */
  Optional<Bound> bound(Work work, int threads) {
    double bytes = work.hotRead() + work.hotWritten() + work.coldRead() + work.coldWritten();
    if (lines.stream().noneMatch(line -> line.threads == threads)
        || (bytes == 0 && work.operations() == 0)) {
      return Optional.empty();
    }
    // Reading from the cache overlaps with reading from memory.
    double memory =
        Math.max(
            seconds(work.coldRead(), work.coldWritten(), Long.MAX_VALUE, threads),
            seconds(
                work.hotRead(),
                work.hotWritten(),
                (long) (work.hotRead() + work.hotWritten()),
                threads));
    double arithmetic = work.operations() / arithmeticRate(work.type(), threads);
    return Optional.of(
        memory >= arithmetic ? new Bound(memory, "memory") : new Bound(arithmetic, "arithmetic"));
  }

  /**
   * Returns how long reading and writing takes at least: a byte that is written counts as updated
   * together with one that is read, and what is left over as read or as updated.
   */
  private double seconds(double read, double written, long footprint, int threads) {
    double updated = read > written ? 2 * written : read + written;
    return updated / bandwidth("update", footprint, threads)
        + (read + written - updated) / bandwidth("read", footprint, threads);
  }

  /**
   * Returns the largest bandwidth over arrays of at least the footprint: what holds more cannot be
   * faster, unless the measurement was disturbed. Beyond the largest array, that one's counts.
   */
  private double bandwidth(String kind, long footprint, int threads) {
    long largest = lines.stream().mapToLong(line -> line.footprint).max().orElseThrow();
    return lines.stream()
        .filter(line -> line.threads == threads && line.kind.equals(kind))
        .filter(line -> line.footprint >= Math.min(footprint, largest))
        .mapToDouble(line -> line.rate)
        .max()
        .orElseThrow(() -> new IllegalArgumentException("The roofline has no line " + kind + "."));
  }

  /**
   * Returns the type's rate; that of float32 where the processor has no instruction for the type.
   */
  private double arithmeticRate(DType type, int threads) {
    String name = type.name().toLowerCase(Locale.ROOT);
    return lines.stream()
        .filter(line -> line.threads == threads)
        .filter(line -> line.kind.equals(name) || line.kind.equals(FLOAT32))
        .mapToDouble(line -> line.rate)
        .max()
        .orElseThrow(
            () -> new IllegalArgumentException("The roofline has no line " + FLOAT32 + "."));
  }
}
