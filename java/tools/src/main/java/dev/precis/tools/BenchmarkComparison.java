package dev.precis.tools;

import de.siegmar.fastcsv.reader.CsvParseException;
import de.siegmar.fastcsv.reader.CsvReader;
import de.siegmar.fastcsv.reader.NamedCsvRecord;
import dev.precis.io.BoundedFile;
import dev.precis.io.InvalidInputException;
import dev.precis.io.Json;
import dev.precis.io.JsonObject;
import dev.precis.random.SplitMix64;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.NoSuchElementException;
import tools.jackson.databind.JsonNode;

/**
 * Compares two results of the same benchmarks: two tables of {@code benchmarks/run}, or two files
 * of {@code precis bench roofline --json}.
 *
 * <p>The ratio of a row is the second file's median time over the first one's; of a ceiling, whose
 * rate was measured, that of the times for a byte or an operation. Its interval is
 *
 * <ul>
 *   <li>for a table, from its percentiles: with spread {@code s = ln(p80 / p20) / (2 x 0.8416)} of
 *       each file, {@code exp(ln ratio +- 1.96 x 1.2533 sqrt(sA^2 / nA + sB^2 / nB))}, the 95 %
 *       interval of the ratio of two medians of log-normal samples
 *   <li>for samples, the 2.5th and 97.5th percentile of the ratios of medians of 10,000 bootstrap
 *       resamples (Efron 1979) of a fixed seed
 *   <li>where a file has fewer than six samples, the ratios of the extremes, which are wider: the
 *       range of n samples misses their median with a probability of {@code 2^(1-n)}
 * </ul>
 */
public final class BenchmarkComparison {
  private static final String USAGE = "usage: benchmarks/compare [--noise PERCENT] A B";
  private static final double DEFAULT_NOISE = 2;
  private static final int RESAMPLES = 10_000;
  private static final int FEW = 6;

  /** The 80th percentile of the standard normal distribution. */
  private static final double NORMAL_P80 = 0.8416;

  /** The standard error of a median over that of a mean, of normal samples. */
  private static final double MEDIAN_ERROR = 1.2533;

  private static final double NORMAL_P975 = 1.96;

  private static final List<String> KEY =
      List.of("op", "provider", "dtype", "shape", "device", "threads");

  /** An interval of a ratio; NaN where nothing is known of the spread. */
  record Interval(double low, double high) {}

  /** The times of one row. */
  sealed interface Times {
    double median();
  }

  /** Percentiles of n samples. */
  record Percentiles(double p20, double median, double p80, long n) implements Times {}

  /** Samples, in ascending order. */
  record Samples(double[] sorted) implements Times {
    @Override
    public double median() {
      return medianOf(sorted);
    }
  }

  /** A row of both files. */
  record Row(String name, double first, double second, Interval interval) {
    double ratio() {
      return second / first;
    }

    /** Returns whether the difference is small, or the interval has no difference in it. */
    boolean withinNoise(double percent) {
      return !(interval.low > 1 || interval.high < 1) || Math.abs(ratio() - 1) < percent / 100;
    }
  }

  private BenchmarkComparison() {}

  /**
   * Prints the comparison and ends the process: 0, or 2 where an argument or a file makes no sense.
   */
  public static void main(String[] args) {
    System.exit(run(args, System.out, System.err));
  }

  /** Prints the comparison; returns the exit code. */
  static int run(String[] args, PrintStream out, PrintStream err) {
    List<String> files = new ArrayList<>(List.of(args));
    double noise = DEFAULT_NOISE;
    int option = files.indexOf("--noise");
    if (option >= 0) {
      if (option + 1 == files.size() || !files.get(option + 1).matches("\\d{1,3}(\\.\\d{1,6})?")) {
        err.println("compare: --noise needs a number of percent, such as 2.");
        return 2;
      }
      noise = Double.parseDouble(files.get(option + 1));
      files.subList(option, option + 2).clear();
    }
    if (files.size() != 2 || files.stream().anyMatch(each -> each.startsWith("-"))) {
      err.println(USAGE);
      return 2;
    }
    try {
      print(Path.of(files.get(0)), Path.of(files.get(1)), noise, out);
      return 0;
    } catch (InvalidInputException e) {
      err.println("compare: " + e.getMessage());
      return 2;
    }
  }

  private static void print(Path first, Path second, double noise, PrintStream out) {
    Map<String, Times> before = read(first);
    Map<String, Times> after = read(second);
    List<Row> rows = rows(before, after);
    if (rows.isEmpty()) {
      throw new InvalidInputException(
          "%s and %s have no row in common: compare two results of the same kind"
              .formatted(first, second));
    }
    out.println("Ratio: the time of " + second + " over that of " + first + "; below 1 is faster.");
    out.println();
    out.printf("%7s  %-17s %12s %12s  %s%n", "ratio", "95 % interval", "A", "B", "row");
    for (Row row : rows) {
      out.printf(
          Locale.ROOT,
          "%7.3f  %-17s %12.4g %12.4g  %s%s%n",
          row.ratio(),
          Double.isNaN(row.interval.low)
              ? "unknown"
              : String.format(Locale.ROOT, "%.3f to %.3f", row.interval.low, row.interval.high),
          row.first,
          row.second,
          row.name,
          row.withinNoise(noise) ? "  (within noise)" : "");
    }
    printMissing(before, after, first, out);
    printMissing(after, before, second, out);
  }

  private static void printMissing(
      Map<String, Times> rows, Map<String, Times> others, Path file, PrintStream out) {
    List<String> alone = rows.keySet().stream().filter(each -> !others.containsKey(each)).toList();
    if (!alone.isEmpty()) {
      out.println();
      out.println("Only in " + file + ": " + String.join("; ", alone));
    }
  }

  /** Returns the rows of both, the largest effect first. */
  static List<Row> rows(Map<String, Times> before, Map<String, Times> after) {
    List<Row> rows = new ArrayList<>();
    before.forEach(
        (name, first) -> {
          Times second = after.get(name);
          if (second != null) {
            rows.add(new Row(name, first.median(), second.median(), interval(first, second)));
          }
        });
    rows.sort(
        Comparator.<Row>comparingDouble(row -> -Math.abs(Math.log(row.ratio())))
            .thenComparing(Row::name));
    return rows;
  }

  /** Returns the interval of the ratio of two medians, second over first. */
  static Interval interval(Times first, Times second) {
    if (first instanceof Percentiles a && second instanceof Percentiles b) {
      double error = Math.sqrt(variance(a) + variance(b));
      double ratio = b.median / a.median;
      double factor = Math.exp(NORMAL_P975 * MEDIAN_ERROR * error);
      return new Interval(ratio / factor, ratio * factor);
    }
    if (first instanceof Samples a && second instanceof Samples b) {
      return interval(a.sorted, b.sorted);
    }
    throw new InvalidInputException(
        "A table of benchmarks/run and a file of precis bench roofline cannot be compared: name two"
            + " of one kind");
  }

  /** Returns the variance of a mean of logarithms. */
  private static double variance(Percentiles times) {
    double spread = Math.log(times.p80 / times.p20) / (2 * NORMAL_P80);
    return spread * spread / times.n;
  }

  private static Interval interval(double[] a, double[] b) {
    int least = Math.min(a.length, b.length);
    if (least < 2) {
      return new Interval(Double.NaN, Double.NaN);
    }
    if (least < FEW) {
      return new Interval(b[0] / a[a.length - 1], b[b.length - 1] / a[0]);
    }
    SplitMix64 random = new SplitMix64(0);
    double[] ratios = new double[RESAMPLES];
    for (int i = 0; i < RESAMPLES; i++) {
      ratios[i] = resampledMedian(b, random) / resampledMedian(a, random);
    }
    Arrays.sort(ratios);
    return new Interval(ratios[(int) (0.025 * RESAMPLES)], ratios[(int) (0.975 * RESAMPLES) - 1]);
  }

  private static double resampledMedian(double[] values, SplitMix64 random) {
    double[] drawn = new double[values.length];
    for (int i = 0; i < drawn.length; i++) {
      drawn[i] = values[(int) (random.uniform() * values.length)];
    }
    Arrays.sort(drawn);
    return medianOf(drawn);
  }

  private static double medianOf(double[] sorted) {
    int n = sorted.length;
    return (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
  }

  /**
   * Reads the rows of a file.
   *
   * @throws InvalidInputException if it is of neither kind
   */
  static Map<String, Times> read(Path file) {
    String text = BoundedFile.readText(file, Json.MAX_BYTES, "results");
    return text.stripLeading().startsWith("{") ? readJson(file, text) : readCsv(file, text);
  }

  private static Map<String, Times> readCsv(Path file, String text) {
    Map<String, Times> rows = new LinkedHashMap<>();
    try {
      for (NamedCsvRecord line : CsvReader.builder().ofNamedCsvRecord(text)) {
        StringBuilder name = new StringBuilder();
        for (String field : KEY) {
          // Older tables have no device.
          String value =
              field.equals("device")
                  ? line.findField(field).filter(each -> !each.equals("cpu")).orElse("")
                  : line.getField(field);
          name.append(value.isEmpty() ? "" : (name.isEmpty() ? "" : " ") + value);
        }
        name.append(" threads, ").append(line.getField("unit"));
        double p20 = positive(line.getField("p20"));
        double p50 = positive(line.getField("p50"));
        double p80 = positive(line.getField("p80"));
        long n = (long) positive(line.getField("samples"));
        if (p20 > p50 || p50 > p80) {
          throw new InvalidInputException(
              "%s: the percentiles of %s do not ascend".formatted(file, name));
        }
        add(rows, file, name.toString(), new Percentiles(p20, p50, p80, Math.max(1, n)));
      }
      if (rows.isEmpty()) {
        throw new NoSuchElementException("no rows");
      }
    } catch (NoSuchElementException | CsvParseException | NumberFormatException e) {
      throw new InvalidInputException(
          file
              + " is neither a table of benchmarks/run, whose columns op, provider, dtype, shape,"
              + " threads, p20, p50, p80, unit and samples it must have, nor a file of precis bench"
              + " roofline --json");
    }
    return rows;
  }

  private static Map<String, Times> readJson(Path file, String text) {
    JsonObject root = Json.parseObject(text, file.toString());
    if (!root.optionalText("mode").orElse("").equals("roofline")) {
      throw new InvalidInputException(file + " is no file of precis bench roofline --json");
    }
    Map<String, Times> rows = new LinkedHashMap<>();
    JsonNode node = Json.mapper().readTree(text);
    try {
      for (JsonNode mode : node.path("modes")) {
        double[] samples = samples(mode);
        add(rows, file, mode.path("name").stringValue() + ", seconds", ascending(samples));
      }
      for (JsonNode ceiling : node.path("ceilings")) {
        boolean memory = ceiling.path("footprint").longValue() > 0;
        String name =
            "ceiling %s %s %s%s, %d threads"
                .formatted(
                    ceiling.path("kind").stringValue(),
                    ceiling.path("set").stringValue(),
                    ceiling.path("instruction").stringValue(),
                    memory ? " of " + ceiling.path("footprint").longValue() + " bytes" : "",
                    ceiling.path("threads").intValue());
        double[] rates = samples(ceiling);
        add(rows, file, name, ascending(Arrays.stream(rates).map(each -> 1e9 / each).toArray()));
      }
    } catch (NumberFormatException | tools.jackson.databind.exc.JsonNodeException e) {
      throw new InvalidInputException(
          file + " has a mode or a ceiling without a name or without positive samples");
    }
    return rows;
  }

  private static double[] samples(JsonNode of) {
    JsonNode list = of.path("samples");
    double[] samples = new double[list.size()];
    for (int i = 0; i < samples.length; i++) {
      samples[i] = positive(list.get(i).asString());
    }
    if (samples.length == 0) {
      throw new NumberFormatException("no samples");
    }
    return samples;
  }

  private static Samples ascending(double[] samples) {
    Arrays.sort(samples);
    return new Samples(samples);
  }

  private static void add(Map<String, Times> rows, Path file, String name, Times times) {
    if (rows.putIfAbsent(name, times) != null) {
      throw new InvalidInputException("%s has two rows of %s".formatted(file, name));
    }
  }

  private static double positive(String text) {
    double value = Double.parseDouble(text);
    if (!(value > 0) || Double.isInfinite(value)) {
      throw new NumberFormatException(text);
    }
    return value;
  }
}
