package dev.precis.tools;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.tools.BenchmarkComparison.Interval;
import dev.precis.tools.BenchmarkComparison.Percentiles;
import dev.precis.tools.BenchmarkComparison.Samples;
import dev.precis.tools.BenchmarkComparison.Times;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class BenchmarkComparisonTest {
  private static final String HEAD = "op,provider,dtype,shape,threads,p20,p50,p80,unit,samples\n";

  @TempDir Path folder;

  private record Outcome(int exitCode, String out, String err) {}

  private static Outcome compare(Object... args) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    int exitCode =
        BenchmarkComparison.run(
            Arrays.stream(args).map(Object::toString).toArray(String[]::new),
            new PrintStream(out, true),
            new PrintStream(err, true));
    return new Outcome(exitCode, out.toString(), err.toString());
  }

  private Path file(String name, String text) throws IOException {
    return Files.writeString(folder.resolve(name), text);
  }

  @Test
  void tablesAreSortedByEffectAndNoiseIsMarked() throws IOException {
    Path a =
        file(
            "a.csv",
            HEAD
                + "add,precis,float32,1x2,2,90,100,110,us/op,100000\n"
                + "noisy,precis,float32,1x2,2,50,100,200,us/op,4\n"
                + "matmul,precis,float32,1x2,2,99,100,101,us/op,1000\n"
                + "gone,precis,float32,1x2,2,99,100,101,us/op,1000\n");
    Path b =
        file(
            "b.csv",
            HEAD
                + "noisy,precis,float32,1x2,2,60,120,240,us/op,4\n"
                + "add,precis,float32,1x2,2,91,101,111,us/op,100000\n"
                + "matmul,precis,float32,1x2,2,49.5,50,50.5,us/op,1000\n"
                + "matmul,torch,float32,1x2,2,49,50,51,us/op,1000\n");
    Outcome result = compare(a, b);
    assertEquals(0, result.exitCode, result.err);
    List<String> rows =
        result
            .out
            .lines()
            .filter(line -> line.contains("us/op") && !line.contains("Only"))
            .toList();
    assertEquals(3, rows.size(), result.out);
    assertTrue(rows.get(0).matches(" +0\\.500  0\\.4\\d\\d to 0\\.50\\d .*matmul precis.*us/op"));
    assertTrue(rows.get(1).matches(" +1\\.200 .*noisy precis.*within noise\\)"), rows.get(1));
    // 1 % is significant here, but below --noise.
    assertTrue(rows.get(2).matches(" +1\\.010 .*add precis.*within noise\\)"), rows.get(2));
    assertTrue(result.out.contains("Only in " + a + ": gone precis"), result.out);
    assertTrue(result.out.contains("Only in " + b + ": matmul torch"), result.out);
    List<String> strict =
        compare("--noise", "0.1", a, b).out.lines().filter(line -> line.contains("add ")).toList();
    assertTrue(!strict.getFirst().contains("within noise"), strict.toString());
  }

  @Test
  void roofLinesAreComparedBySamples() throws IOException {
    String json =
        """
        {"mode": "roofline", "modes": [
          {"name": "generate int8, batch 1", "samples": [%s]}],
         "ceilings": [{"kind": "read", "set": "avx2", "instruction": "256 bits", "threads": 2,
                       "footprint": 1024, "samples": [%s]}]}
        """;
    Path a = file("a.json", json.formatted("1.0, 1.1, 0.9", "10e9, 10e9, 10e9"));
    Path b = file("b.json", json.formatted("2.0, 2.1, 1.9", "9e9, 10e9, 11e9"));
    Outcome result = compare(a, b);
    assertEquals(0, result.exitCode, result.err);
    List<String> rows = result.out.lines().skip(3).toList();
    // Three samples: 1.9 / 1.1 to 2.1 / 0.9.
    assertTrue(
        rows.get(0).matches(" +2\\.000  1\\.727 to 2\\.333 .*generate int8, batch 1, seconds"),
        result.out);
    assertTrue(
        rows.get(1)
            .matches(
                " +1\\.000  0\\.909 to 1\\.111 .*ceiling read avx2 256 bits of 1024 bytes, 2"
                    + " threads  \\(within noise\\)"),
        result.out);
    assertTrue(compare(a, a).out.contains("1.000"));
  }

  /** The interval of percentiles is the bootstrap's, where samples are log-normal. */
  @Test
  void bothIntervalsAgreeAndCoverTheTruth() {
    Random random = new Random(7);
    int covered = 0;
    double widths = 0;
    int runs = 60;
    for (int run = 0; run < runs; run++) {
      double[] a = logNormal(random, 1, 101);
      double[] b = logNormal(random, 1.3, 101);
      Interval samples = BenchmarkComparison.interval(new Samples(a), new Samples(b));
      Interval percentiles = BenchmarkComparison.interval(percentiles(a), percentiles(b));
      covered += percentiles.low() < 1.3 && 1.3 < percentiles.high() ? 1 : 0;
      widths +=
          Math.log(percentiles.high() / percentiles.low())
              / Math.log(samples.high() / samples.low());
    }
    assertTrue(covered >= 0.85 * runs && covered <= runs, "covered " + covered);
    assertEquals(1, widths / runs, 0.15);
  }

  private static double[] logNormal(Random random, double median, int n) {
    double[] values = new double[n];
    for (int i = 0; i < n; i++) {
      values[i] = median * Math.exp(0.2 * random.nextGaussian());
    }
    Arrays.sort(values);
    return values;
  }

  private static Times percentiles(double[] sorted) {
    int n = sorted.length;
    return new Percentiles(sorted[n / 5], sorted[n / 2], sorted[n * 4 / 5], n);
  }

  @Test
  void aSingleSampleHasNoInterval() {
    Interval interval =
        BenchmarkComparison.interval(
            new Samples(new double[] {1}), new Samples(new double[] {2, 3}));
    assertTrue(Double.isNaN(interval.low()) && Double.isNaN(interval.high()));
    assertTrue(new BenchmarkComparison.Row("x", 1, 2, interval).withinNoise(2));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "''                                           | is neither a table",
        "a,b                                          | is neither a table",
        "op;1                                         | is neither a table",
        "{                                            | is not valid JSON",
        "{\"mode\": \"sft\"}                          | is no file of precis bench roofline",
        "{\"mode\": \"roofline\"}                     | have no row in common",
        "{\"mode\": \"roofline\", \"modes\": [{}]}    | without a name or without positive samples"
      })
  void badFilesAreRefusedInOneSentence(String text, String sentence) throws IOException {
    Path bad = file("bad", text.equals("op;1") ? HEAD + "add,precis,x,y,1,a,b,c,us/op,1\n" : text);
    Path good = file("good.csv", HEAD + "add,precis,float32,1x2,2,90,100,110,us/op,1000\n");
    for (Outcome result : List.of(compare(bad, good), compare(good, bad))) {
      assertEquals(2, result.exitCode, result.out);
      assertTrue(result.err.contains(sentence), result.err);
      assertEquals(1, result.err.lines().count(), result.err);
    }
  }

  @Test
  void wrongUseIsRefused() throws IOException {
    Path good = file("good.csv", HEAD + "add,precis,float32,1x2,2,90,100,110,us/op,1000\n");
    Path twice =
        file(
            "twice.csv",
            HEAD
                + "add,precis,float32,1x2,2,90,100,110,us/op,1000\n"
                + "add,precis,float32,1x2,2,90,100,110,us/op,1000\n");
    Path descending =
        file("descending.csv", HEAD + "add,precis,float32,1x2,2,120,100,110,us/op,1000\n");
    List<Outcome> outcomes = new ArrayList<>();
    outcomes.add(compare());
    outcomes.add(compare(good));
    outcomes.add(compare(good, good, good));
    outcomes.add(compare("--noise", "x", good, good));
    outcomes.add(compare(good, good, "--noise"));
    outcomes.add(compare("--nonsense", good));
    outcomes.add(compare(good, folder.resolve("missing.csv")));
    outcomes.add(compare(good, twice));
    outcomes.add(compare(descending, good));
    for (Outcome result : outcomes) {
      assertEquals(2, result.exitCode, result.out);
      assertEquals(1, result.err.lines().count(), result.err);
    }
    assertTrue(outcomes.get(7).err.contains("two rows of add precis"), outcomes.get(7).err);
  }
}
