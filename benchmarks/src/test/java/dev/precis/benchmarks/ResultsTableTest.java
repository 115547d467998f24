package dev.precis.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;

import de.siegmar.fastcsv.reader.CsvReader;
import de.siegmar.fastcsv.reader.NamedCsvRecord;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Tests the conversion of JMH's JSON, as JMH 1.37 writes it, to a line of the table. */
class ResultsTableTest {
  private static final String SAMPLED =
      """
      [{
        "jmhVersion": "1.37",
        "benchmark": "dev.precis.benchmarks.MatmulBenchmark.run",
        "mode": "sample",
        "jdkVersion": "25.0.3",
        "params": {
          "dtype": "bfloat16", "provider": "precis", "shape": "256x768x2048", "threads": "2"
        },
        "primaryMetric": {
          "score": 30.0, "scoreUnit": "us/op",
          "rawDataHistogram": [[ [[10.0, 2], [20.0, 3]], [[40.0, 1], [1000.0, %d]] ]]
        }
      }]
      """;

  private static final String AVERAGED =
      """
      [{
        "jmhVersion": "1.37",
        "benchmark": "dev.precis.benchmarks.DowncallOverheadBenchmark.operation",
        "mode": "avgt",
        "jdkVersion": "25.0.3",
        "params": {"threads": "2"},
        "primaryMetric": {"score": 50.0, "scoreUnit": "ns/op", "rawData": [[50.0, 40.0, 60.0]]}
      }]
      """;

  @TempDir Path folder;

  private List<NamedCsvRecord> table(String... json) throws Exception {
    return tableWith("-", json);
  }

  private List<NamedCsvRecord> tableWith(String roofline, String... json) throws Exception {
    String[] args = new String[json.length + 3];
    args[0] = "abc1234";
    args[1] = folder.resolve("results").toString();
    args[2] = roofline;
    for (int i = 0; i < json.length; i++) {
      Path file = Files.writeString(folder.resolve(i + ".json"), json[i]);
      args[i + 3] = file.toString();
    }
    ResultsTable.main(args);
    try (var files = Files.list(folder.resolve("results"))) {
      return read(
          files
              .filter(file -> !file.toString().endsWith("-roofline.csv"))
              .findFirst()
              .orElseThrow());
    }
  }

  private static List<NamedCsvRecord> read(Path file) throws IOException {
    try (CsvReader<NamedCsvRecord> csv = CsvReader.builder().ofNamedCsvRecord(file)) {
      return csv.stream().toList();
    }
  }

  @Test
  void samplesOfSeveralRunsArePooled() throws Exception {
    List<NamedCsvRecord> lines = table(SAMPLED.formatted(0), SAMPLED.formatted(4));
    assertEquals(1, lines.size());
    NamedCsvRecord line = lines.getFirst();
    // 16 samples: 10 x 4, 20 x 6, 40 x 2, 1000 x 4.
    assertEquals("10.00", line.getField("p20"));
    assertEquals("20.00", line.getField("p50"));
    assertEquals("1000", line.getField("p80"));
    assertEquals("16", line.getField("samples"));
    assertEquals("us/op", line.getField("unit"));
    // 2 x 256 x 768 x 2048 in 20 us.
    assertEquals("40265", line.getField("rate"));
    assertEquals("GFLOP/s", line.getField("rate_unit"));
    assertEquals("abc1234", line.getField("commit"));
    assertEquals("matmul", line.getField("op"));
    assertEquals("25.0.3", line.getField("jdk"));
    assertEquals("2", line.getField("threads"));
    assertEquals("cpu", line.getField("device"));
  }

  @Test
  void averagesOfIterationsAreSamples() throws Exception {
    NamedCsvRecord line = table(AVERAGED).getFirst();
    assertEquals("downcall_overhead/operation", line.getField("op"));
    assertEquals("50.00", line.getField("p50"));
    assertEquals("3", line.getField("samples"));
  }

  @Test
  void shareOfTheRooflineIsAColumn() throws Exception {
    Path roofline =
        Files.writeString(
            folder.resolve("roofline.csv"),
            """
            threads,kind,footprint,rate
            2,read,1000000,1e11
            2,update,1000000,1e11
            2,read,1000000000,1e10
            2,update,1000000000,1e10
            2,float32,0,1e11
            2,bfloat16,0,8.053e13
            """);
    NamedCsvRecord line = tableWith(roofline.toString(), SAMPLED.formatted(0)).getFirst();
    // 2 x 256 x 768 x 2048 operations take 10 us, the weights, which are cold, 315 us: of 20 us.
    assertEquals("15.73", line.getField("roofline_share"));
    assertEquals("memory", line.getField("roofline_limit"));
    try (var files = Files.list(folder.resolve("results"))) {
      Path copy = files.filter(f -> f.toString().endsWith("-roofline.csv")).findFirst().get();
      assertEquals(Files.readString(roofline), Files.readString(copy));
    }
  }

  @Test
  void withoutARooflineTheShareIsEmpty() throws Exception {
    NamedCsvRecord line = table(SAMPLED.formatted(0)).getFirst();
    assertEquals("", line.getField("roofline_share"));
    assertEquals("", line.getField("roofline_limit"));
  }
}
