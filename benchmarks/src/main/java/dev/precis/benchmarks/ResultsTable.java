package dev.precis.benchmarks;

import de.siegmar.fastcsv.writer.CsvWriter;
import dev.precis.ffi.Context;
import java.io.IOException;
import java.lang.reflect.Field;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * Makes {@code <date>-<cpu>.csv} of JMH's JSON files and prints the middle of it.
 *
 * <p>Runs of the same benchmark with the same parameters, in whichever files, are one line: their
 * samples are pooled.
 */
public final class ResultsTable {
  private static final List<String> HEADER =
      List.of(
          "commit",
          "date",
          "cpu",
          "isa",
          "device",
          "threads",
          "jdk",
          "op",
          "provider",
          "dtype",
          "shape",
          "p20",
          "p50",
          "p80",
          "unit",
          "samples",
          "rate",
          "rate_unit");

  /** What one line is about. */
  private record Key(
      String op,
      String dtype,
      String shape,
      String provider,
      String device,
      int threads,
      String jdk) {
    /** What providers are compared on. */
    String subject() {
      return op + " " + dtype + " " + shape + " " + device;
    }
  }

  /** Times and how often each occurred. */
  private static final class Samples {
    private final TreeMap<Double, Long> counts = new TreeMap<>();
    private final String unit;
    private final Work work;

    Samples(String unit, Work work) {
      this.unit = unit;
      this.work = work;
    }

    long size() {
      return counts.values().stream().mapToLong(n -> n).sum();
    }

    /** The smallest time that at least this share of the samples does not exceed. */
    double percentile(double share) {
      long rank = (long) Math.ceil(share * size());
      for (Map.Entry<Double, Long> each : counts.entrySet()) {
        rank -= each.getValue();
        if (rank <= 0) {
          return each.getKey();
        }
      }
      return counts.lastKey();
    }

    double seconds() {
      return percentile(0.5)
          * switch (unit) {
            case "ns/op" -> 1e-9;
            case "us/op" -> 1e-6;
            case "ms/op" -> 1e-3;
            default ->
                throw new IllegalArgumentException("A unit of time is expected, not " + unit);
          };
    }

    double rate() {
      return work.amount() / seconds();
    }
  }

  private ResultsTable() {}

  /**
   * Reads and writes.
   *
   * @param args the commit, the folder of results, then JSON files
   */
  public static void main(String[] args) throws IOException, ReflectiveOperationException {
    if (args.length < 3) {
      System.err.println("usage: ResultsTable COMMIT FOLDER JMH.json...");
      System.exit(2);
    }
    Map<Key, Samples> results = new LinkedHashMap<>();
    for (int i = 2; i < args.length; i++) {
      for (JsonNode run : JsonMapper.shared().readTree(Path.of(args[i]))) {
        add(run, results);
      }
    }
    results = bySubject(results);
    Path file = write(results, args[0], Files.createDirectories(Path.of(args[1])));
    print(results);
    System.out.println(file);
  }

  /** Providers of the same thing one below the other; else the order of the runs. */
  private static Map<Key, Samples> bySubject(Map<Key, Samples> results) {
    Map<String, Map<Key, Samples>> subjects = new LinkedHashMap<>();
    results.forEach(
        (key, samples) ->
            subjects.computeIfAbsent(key.subject(), s -> new LinkedHashMap<>()).put(key, samples));
    Map<Key, Samples> ordered = new LinkedHashMap<>();
    subjects.values().forEach(ordered::putAll);
    return ordered;
  }

  private static void add(JsonNode run, Map<Key, Samples> results)
      throws ReflectiveOperationException {
    String name = run.get("benchmark").asString();
    int dot = name.lastIndexOf('.');
    MeasuredBenchmark benchmark =
        (MeasuredBenchmark)
            Class.forName(name.substring(0, dot)).getDeclaredConstructor().newInstance();
    for (Map.Entry<String, JsonNode> each : run.get("params").properties()) {
      setParameter(benchmark, each.getKey(), each.getValue().asString());
    }
    String op = benchmark.op();
    if (benchmark instanceof DowncallOverheadBenchmark) {
      op += "/" + name.substring(dot + 1);
    }
    Key key =
        new Key(
            op,
            benchmark.dtype(),
            benchmark.shape(),
            benchmark.provider(),
            benchmark.device,
            benchmark.threads(),
            run.get("jdkVersion").asString());
    JsonNode metric = run.get("primaryMetric");
    Samples samples =
        results.computeIfAbsent(
            key, k -> new Samples(metric.get("scoreUnit").asString(), benchmark.work()));
    boolean histogram = metric.has("rawDataHistogram");
    for (JsonNode fork : metric.get(histogram ? "rawDataHistogram" : "rawData")) {
      for (JsonNode iteration : fork) {
        if (histogram) {
          for (JsonNode bin : iteration) {
            samples.counts.merge(bin.get(0).asDouble(), bin.get(1).asLong(), Long::sum);
          }
        } else {
          samples.counts.merge(iteration.asDouble(), 1L, Long::sum);
        }
      }
    }
  }

  /** Sets a parameter as JMH does. */
  static void setParameter(MeasuredBenchmark benchmark, String name, String value)
      throws ReflectiveOperationException {
    Class<?> type = benchmark.getClass();
    while (true) {
      try {
        Field field = type.getDeclaredField(name);
        field.setAccessible(true);
        field.set(
            benchmark, field.getType() == int.class ? (Object) Integer.valueOf(value) : value);
        return;
      } catch (NoSuchFieldException e) {
        if (type == MeasuredBenchmark.class) {
          throw e;
        }
        type = type.getSuperclass();
      }
    }
  }

  private static Path write(Map<Key, Samples> results, String commit, Path folder)
      throws IOException {
    String cpu = Machine.cpu();
    String isa;
    try (Context context = Context.cpu()) {
      isa = context.info().isa();
    }
    String date = LocalDate.now().toString();
    String name = cpu.replaceAll("[^A-Za-z0-9]+", "-").toLowerCase(Locale.ROOT);
    Path file = folder.resolve(date + "-" + name.replaceAll("-$", "") + ".csv");
    Path part = folder.resolve(file.getFileName() + ".part");
    try (CsvWriter csv = CsvWriter.builder().build(part)) {
      csv.writeRecord(HEADER);
      for (Map.Entry<Key, Samples> each : results.entrySet()) {
        Key key = each.getKey();
        Samples samples = each.getValue();
        csv.writeRecord(
            commit,
            date,
            cpu,
            // Plain Java has the instructions that its compiler finds.
            key.provider.equals("java") ? "" : isa,
            deviceName(key.device),
            String.valueOf(key.threads),
            key.jdk,
            key.op,
            key.provider,
            key.dtype,
            key.shape,
            number(samples.percentile(0.2)),
            number(samples.percentile(0.5)),
            number(samples.percentile(0.8)),
            samples.unit,
            String.valueOf(samples.size()),
            number(samples.rate()),
            samples.work.rate());
      }
    }
    return Files.move(part, file, StandardCopyOption.REPLACE_EXISTING);
  }

  /** cpu, or the GPU's name. */
  private static String deviceName(String device) {
    if (device.equals("cpu")) {
      return device;
    }
    try (Context context = new Context.Options().device(device).create()) {
      return context.info().gpu().name();
    }
  }

  /** Four significant digits, no exponent. */
  private static String number(double value) {
    int digits = (int) Math.max(0, 3 - Math.floor(Math.log10(Math.max(value, 1e-9))));
    return String.format(Locale.ROOT, "%." + digits + "f", value);
  }

  /** One line a result, with the others' times over this project's. */
  private static void print(Map<Key, Samples> results) {
    Map<String, Double> own = new LinkedHashMap<>();
    results.forEach(
        (key, samples) -> {
          if (key.provider.equals("precis")) {
            own.put(key.subject(), samples.percentile(0.5));
          }
        });
    String line = "%-28s %-9s %-16s %-8s %12s %-6s %10s %-9s %s%n";
    System.out.printf(line, "op", "dtype", "shape", "provider", "p50", "", "rate", "", "x precis");
    results.forEach(
        (key, samples) -> {
          double p50 = samples.percentile(0.5);
          Double reference = own.get(key.subject());
          System.out.printf(
              line,
              key.op,
              key.dtype,
              key.shape,
              key.provider,
              number(p50),
              samples.unit,
              number(samples.rate()),
              samples.work.rate(),
              reference == null || key.provider.equals("precis") ? "" : number(p50 / reference));
        });
    printShareOfCalls(results);
  }

  private static void printShareOfCalls(Map<Key, Samples> results) {
    List<Samples> call = new ArrayList<>();
    results.forEach(
        (key, samples) -> {
          if (key.op.equals("downcall_overhead/operation")) {
            call.add(samples);
          }
        });
    results.forEach(
        (key, samples) -> {
          if (!call.isEmpty() && key.op.equals("t5_generate/base")) {
            double calls = DowncallOverheadBenchmark.CALLS_PER_STEP * call.getFirst().seconds();
            double step = samples.seconds() / Integer.parseInt(key.shape.split("x")[2]);
            System.out.printf(
                Locale.ROOT,
                "%d calls take %.1f us, %.2f %% of a step of %s %s.%n",
                DowncallOverheadBenchmark.CALLS_PER_STEP,
                calls * 1e6,
                100 * calls / step,
                key.dtype,
                key.shape);
          }
        });
  }
}
