package dev.precis.benchmarks;

import de.siegmar.fastcsv.writer.CsvWriter;
import dev.precis.device.DeviceOptions;
import dev.precis.ops.Ops;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
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
          "rate_unit",
          "roofline_share",
          "roofline_limit");

  /** The subject of one line. */
  private record Key(
      String op,
      String dtype,
      String shape,
      String provider,
      String device,
      int threads,
      String jdk) {
    /** Returns the key without the provider: providers of the same subject are compared. */
    String subject() {
      return op + " " + dtype + " " + shape + " " + device;
    }
  }

  private final Map<Key, Samples> results = new LinkedHashMap<>();
  private final Roofline roofline;

  private ResultsTable(Roofline roofline) {
    this.roofline = roofline;
  }

  /**
   * Reads JMH's files, writes the table and prints the middle of it.
   *
   * @param args the commit, the folder of results, the file of the roofline or - for none, then
   *     JMH's JSON files
   */
  public static void main(String[] args) throws IOException, ReflectiveOperationException {
    if (args.length < 4) {
      System.err.println("usage: ResultsTable COMMIT FOLDER ROOFLINE.csv|- JMH.json...");
      System.exit(2);
    }
    ResultsTable table =
        new ResultsTable(
            args[2].equals("-") ? Roofline.unknown() : Roofline.read(Path.of(args[2])));
    for (int i = 3; i < args.length; i++) {
      for (JsonNode run : JsonMapper.shared().readTree(Path.of(args[i]))) {
        table.add(run);
      }
    }
    table.bySubject();
    Path file = table.write(args[0], Files.createDirectories(Path.of(args[1])));
    if (!args[2].equals("-")) {
      String name = file.getFileName().toString().replace(".csv", "-roofline.csv");
      Files.copy(Path.of(args[2]), file.resolveSibling(name), StandardCopyOption.REPLACE_EXISTING);
    }
    table.print();
    System.out.println(file);
  }

  /** Puts providers of the same thing one below the other; else keeps the order of the runs. */
  private void bySubject() {
    Map<String, Map<Key, Samples>> subjects = new LinkedHashMap<>();
    results.forEach(
        (key, samples) ->
            subjects.computeIfAbsent(key.subject(), s -> new LinkedHashMap<>()).put(key, samples));
    results.clear();
    subjects.values().forEach(results::putAll);
  }

  private void add(JsonNode run) throws ReflectiveOperationException {
    String name = run.get("benchmark").asString();
    int dot = name.lastIndexOf('.');
    MeasuredBenchmark benchmark =
        (MeasuredBenchmark)
            Class.forName(name.substring(0, dot)).getDeclaredConstructor().newInstance();
    for (Map.Entry<String, JsonNode> each : run.get("params").properties()) {
      Parameters.set(benchmark, each.getKey(), each.getValue().asString());
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
    results
        .computeIfAbsent(
            key, k -> new Samples(metric.get("scoreUnit").asString(), benchmark.work()))
        .add(metric);
  }

  private Path write(String commit, Path folder) throws IOException {
    String cpu = Machine.cpu();
    String isa;
    try (Ops ops = Ops.open(new DeviceOptions())) {
      isa = ops.device().info().isa();
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
            // The JIT compiler chooses the instructions of plain Java.
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
            samples.unit(),
            String.valueOf(samples.size()),
            number(samples.rate()),
            samples.work().unit(),
            share(key, samples),
            limit(key, samples));
      }
    }
    return Files.move(part, file, StandardCopyOption.REPLACE_EXISTING);
  }

  /** Returns the fraction of the roofline that the median reaches; empty: unknown. */
  private String share(Key key, Samples samples) {
    return bound(key, samples).map(b -> number(b.seconds() / samples.seconds())).orElse("");
  }

  private String limit(Key key, Samples samples) {
    return bound(key, samples).map(Roofline.Bound::limit).orElse("");
  }

  /** Returns the bound; empty on a GPU, because the roofline is that of the processor. */
  private Optional<Roofline.Bound> bound(Key key, Samples samples) {
    return key.device.equals("cpu")
        ? roofline.bound(samples.work(), key.threads)
        : Optional.empty();
  }

  /** Returns cpu, or the GPU's name. */
  private static String deviceName(String device) {
    if (device.equals("cpu")) {
      return device;
    }
    try (Ops ops = Ops.open(new DeviceOptions().device(device))) {
      return ops.device().info().gpu().name();
    }
  }

  /** Formats a number with four significant digits and no exponent. */
  private static String number(double value) {
    int digits = (int) Math.max(0, 3 - Math.floor(Math.log10(Math.max(value, 1e-9))));
    return String.format(Locale.ROOT, "%." + digits + "f", value);
  }

  /** Prints one line a result, with the other providers' times relative to this project's. */
  private void print() {
    Map<String, Double> own = new LinkedHashMap<>();
    results.forEach(
        (key, samples) -> {
          if (key.provider.equals("precis")) {
            own.put(key.subject(), samples.percentile(0.5));
          }
        });
    String line = "%-28s %-9s %-16s %-14s %12s %-6s %10s %-9s %8s %-10s %s%n";
    System.out.printf(
        line,
        "op",
        "dtype",
        "shape",
        "provider",
        "p50",
        "",
        "rate",
        "",
        "roofline",
        "limit",
        "x precis");
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
              samples.unit(),
              number(samples.rate()),
              samples.work().unit(),
              share(key, samples),
              limit(key, samples),
              reference == null || key.provider.equals("precis") ? "" : number(p50 / reference));
        });
    printShareOfCalls();
    if (results.keySet().stream().anyMatch(key -> key.provider.equals("torch-openblas"))) {
      System.out.println(
          "torch-openblas is libtorch on OpenBLAS, up to 20 times slower than the PyTorch that"
              + " people install: its ratios flatter this project. See --torch.");
    }
  }

  private void printShareOfCalls() {
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
