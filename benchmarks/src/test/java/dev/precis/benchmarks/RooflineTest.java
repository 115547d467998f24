package dev.precis.benchmarks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.tensor.DType;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Tests the bound that a measured roofline sets, and its measurement. */
class RooflineTest {
  private static final String MEASURED =
      """
      threads,kind,footprint,rate
      1,read,1000,40
      1,update,1000,20
      1,read,1000000,10
      1,update,1000000,5
      1,float32,0,100
      1,int8,0,400
      2,read,1000,80
      2,update,1000,40
      2,read,1000000,12
      2,update,1000000,6
      2,float32,0,200
      """;

  @TempDir Path folder;

  private Roofline measured() throws IOException {
    return Roofline.read(Files.writeString(folder.resolve("roofline.csv"), MEASURED));
  }

  private Roofline.Bound bound(Work work, int threads) throws IOException {
    return measured().bound(work, threads).orElseThrow();
  }

  @Test
  void memoryAndArithmeticBindInTurn() throws IOException {
    Work work = Work.ofMemory().hot(400, 0);
    assertEquals(new Roofline.Bound(10, "memory"), bound(work, 1));
    assertEquals(new Roofline.Bound(10, "memory"), bound(work.operations(999), 1));
    assertEquals(new Roofline.Bound(20, "arithmetic"), bound(work.operations(2000), 1));
    assertEquals(new Roofline.Bound(10, "arithmetic"), bound(work.operations(2000), 2));
  }

  @Test
  void whatIsColdOrLargeComesFromMemory() throws IOException {
    assertEquals(40, bound(Work.ofMemory().cold(400, 0), 1).seconds());
    assertEquals(200, bound(Work.ofMemory().hot(2000, 0), 1).seconds());
    // More than the largest footprint that was measured.
    assertEquals(2e6, bound(Work.ofMemory().hot(2e7, 0), 1).seconds());
    // The cache is read while memory delivers the rest.
    assertEquals(40, bound(Work.ofMemory().cold(400, 0).hot(400, 0), 1).seconds());
  }

  @Test
  void writingIsUpdating() throws IOException {
    // 100 read and written again, 300 read: 200 / 20 + 300 / 40.
    assertEquals(17.5, bound(Work.ofMemory().hot(400, 100), 1).seconds());
    assertEquals(5, bound(Work.ofMemory().hot(0, 100), 1).seconds());
  }

  @Test
  void typesHaveTheirInstructionsOrThoseOfFloat32() throws IOException {
    Work work = Work.ofArithmetic().hot(1, 0);
    assertEquals(2, bound(work.operations(DType.INT8, 800), 1).seconds());
    assertEquals(8, bound(work.operations(DType.BFLOAT16, 800), 1).seconds());
    assertEquals(4, bound(work.operations(DType.INT8, 800), 2).seconds());
  }

  @Test
  void whatWasNotMeasuredHasNoBound() throws IOException {
    assertTrue(measured().bound(Work.ofMemory().hot(1, 0), 3).isEmpty());
    assertTrue(measured().bound(Work.counted(1, "calls/s"), 1).isEmpty());
    assertTrue(Roofline.unknown().bound(Work.ofMemory().hot(1, 0), 1).isEmpty());
    Path file =
        Files.writeString(folder.resolve("part.csv"), "threads,kind,footprint,rate\n1,read,1,1\n");
    Roofline part = Roofline.read(file);
    var e =
        assertThrows(
            IllegalArgumentException.class, () -> part.bound(Work.ofMemory().hot(1, 0), 1));
    assertTrue(e.getMessage().contains("update"), e.getMessage());
  }

  @Test
  void measurementHasAllKinds() throws IOException {
    Path csv = folder.resolve("roofline.csv");
    try (PrintStream out = new PrintStream(csv.toFile())) {
      RooflineMeasurement.print(1, 0.001, 1 << 24, out);
    }
    Roofline roofline = Roofline.read(csv);
    double cached = roofline.bound(Work.ofMemory().hot(1e5, 1e5), 1).orElseThrow().seconds();
    double cold = roofline.bound(Work.ofMemory().cold(1e5, 1e5), 1).orElseThrow().seconds();
    assertTrue(cached > 0 && cached <= cold, cached + " and " + cold);
    Roofline.Bound products =
        roofline.bound(Work.ofArithmetic().hot(1, 0).operations(1e9), 1).orElseThrow();
    assertEquals("arithmetic", products.limit());
    // No core does more than 1000 of them in a nanosecond, nor less than one.
    assertTrue(products.seconds() > 1e-3 && products.seconds() < 1, products.toString());
  }
}
