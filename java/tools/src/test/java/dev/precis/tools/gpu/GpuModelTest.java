package dev.precis.tools.gpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

class GpuModelTest {
  private static final Path ROOT = Path.of("../..").toAbsolutePath().normalize();
  private static final double D = 768;
  private static final double F = 2048;
  private static final double V = 32128;

  private static GpuModel model() throws IOException {
    return new GpuModel(ROOT);
  }

  private static List<Work> works(List<Launch> launches, Shape shape, boolean decoding)
      throws IOException {
    List<Code> codes = Code.parse(Files.readString(ROOT.resolve("cuda-kernels/sass.tsv")));
    return new Works(codes, shape).of(launches, decoding);
  }

  @Test
  void aLineOfALogIsALaunch() {
    assertEquals(
        List.of(
            new Launch("lora_matmul, wgmma", 6, 16, 1, 256, 99376, 0),
            new Launch("copy", 1, 1, 1, 0, 0, 8)),
        Launch.parse(
            List.of(
                "# comment", "kernel\tlora_matmul, wgmma\t6\t16\t1\t256\t99376\t1\t0", "copy\t8")));
    Launch clusters = Launch.parse(List.of("kernel\tsample\t16\t1\t1\t896\t65760\t8\t1")).get(0);
    assertEquals(new Launch("sample", 16, 1, 1, 896, 65_760, 0, 8, true), clusters);
    assertEquals(2, clusters.clusters());
    assertEquals("sample 16x1x1 of 896, clusters of 8", clusters.text());
    for (String line : List.of("kernel\tx\t1", "moved\t8", "copy\tx", "copy")) {
      IllegalArgumentException e =
          assertThrows(IllegalArgumentException.class, () -> Launch.parse(List.of(line)));
      assertEquals("This is no line of a log of launches: " + line, e.getMessage());
    }
  }

  @Test
  void aRowOfMachineCodeHasRegistersAndWhatIsInFlight() {
    List<Code> codes =
        Code.parse(
            "# c\n"
                + "add.cu\tf<A>\t55\t0\t0\t0\t8\t0\t0\t16:12\t0\t0\t0\t0\t0\n"
                + "add.cu\tg\t9\t0\t0\t0\t2\t32\t0\t16:2\t0\t0\t0\t0\t0");
    assertEquals(new Code("add.cu", "f<A>", 55, 8), Code.find(codes, "add.cu", "f<"));
    assertEquals(32, Code.find(codes, "add.cu", "g").inFlight());
    assertEquals(Code.UNKNOWN, Code.find(codes, "mul.cu", "g"));
    assertThrows(IllegalArgumentException.class, () -> Code.parse("add.cu\tf\tmany"));
  }

  @Test
  void devicesHaveUnits() throws IOException {
    Device h100 = model().device("h100");
    assertEquals(132, h100.multiprocessors());
    assertEquals(3.35e6, h100.bandwidth(), 1); // bytes a microsecond
    assertEquals(989e6, h100.tensorRate(), 1);
    assertEquals(228 << 10, h100.sharedBytes());
    assertTrue(model().device("h200").bandwidth() > h100.bandwidth());
    assertEquals(108, model().device("a100").multiprocessors());
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> model().device("h300"));
    assertEquals(
        "--device is 'h300': cuda-kernels/devices.tsv has a100, h100, h200.", e.getMessage());
    assertThrows(IllegalArgumentException.class, () -> Device.parse("header\nx\t1\t2"));
    assertThrows(
        IllegalArgumentException.class, () -> Device.parse("header\nx\t1\t2\t3\t4\t5\t6\t7\t0\t1"));
  }

  @Test
  void theProductsOfARecordedStepAreTheModelsWeights() throws IOException {
    double weights = 12 * (6 * D * D + 3 * D * F) + V * D;
    for (int batch : new int[] {1, 128}) {
      List<Launch> launches = model().launches("decode-" + batch);
      List<Work> works = works(launches, Shape.base(batch, 256, 33, 0), true);
      double operations = 0;
      long products = 0;
      for (int i = 0; i < works.size(); i++) {
        Launch launch = launches.get(i);
        if (Works.isProduct(launch)) {
          // A tile's rows are padding at batch 1, and those of a block of attention may be fewer.
          double rows = (double) Works.rows(launch) * launch.y();
          operations += works.get(i).tensor() / 2 / rows;
          products++;
        }
      }
      assertEquals(12 * 6 + 1, products);
      assertEquals(weights, operations, 1e-3 * weights);
    }
  }

  @Test
  void theProductsOfARecordedLoraStepAreThoseOfTheFormula() throws IOException {
    List<Launch> launches = model().launches("lora-8");
    List<Work> works = works(launches, Shape.base(8, 256, 64, 32), false);
    double operations = 0;
    for (int i = 0; i < works.size(); i++) {
      Launch launch = launches.get(i);
      if (Works.isProduct(launch)) {
        double columns = Works.columns(launch);
        operations += works.get(i).tensor() / 2 * columns / (columns + Works.ranks(launch));
      }
    }
    double source = 8 * 256;
    double target = 8 * 64;
    double encoder = 12 * (4 * D * D + 3 * D * F);
    double cross = 12 * 2 * D * D;
    double decoder = 12 * (6 * D * D + 3 * D * F);
    double expected =
        2 * ((encoder + cross) * source + decoder * target) - 3 * D * D * (source + target);
    assertEquals(expected, operations, 0.02 * expected);
  }

  @Test
  void everyTargetHasAPredictionWithItsLaunches() throws IOException {
    Device h100 = model().device("h100");
    List<Prediction> all = model().predict(h100);
    assertEquals(10, all.size());
    assertEquals(
        List.of(1.10, 1.25, 1.10, 1.25, 8.0, 10.0, 16.0, 350.0, 60.0, 6.0),
        all.stream().map(Prediction::target).toList());
    for (Prediction each : all) {
      assertTrue(each.value() > 0 && each.value() < 1e4, each.line());
      assertFalse(each.costs().isEmpty());
    }
    assertEquals(
        89,
        all.get(7).costs().stream().mapToInt(Prediction.Cost::count).sum(),
        "a step's launches");
    // Twice the bandwidth makes nothing slower, and the floor's time shorter.
    Device fast =
        new Device(
            "fast", 132, 6700e3, 7500e3, 989e6, 67e6, 1.3, 0.8, 2.5, 0.7, h100.sharedBytes());
    List<Prediction> faster = model().predict(fast);
    assertTrue(faster.get(7).value() < all.get(7).value());
    assertTrue(faster.get(9).value() <= all.get(9).value());
  }

  @Test
  void theWrittenPredictionsFollowFromTheTables() throws IOException {
    StringBuilder text = new StringBuilder();
    for (String name : List.of("h100", "h200")) {
      Device device = model().device(name);
      text.append(GpuModel.text(device, model().predict(device), false)).append('\n');
    }
    assertEquals(
        Files.readString(ROOT.resolve("cuda-kernels/predictions.txt")),
        text.toString(),
        "scripts/gpu-model write makes it anew");
  }

  @Test
  void theTableSaysWhatIsMetAndWhatCostsMost() {
    Prediction.Cost cost = new Prediction.Cost("k 1x1x1 of 32", 2, 30, TimingModel.Bound.CACHE);
    Prediction slow = new Prediction("slow", 30, 8, "us", false, List.of(cost));
    Prediction share = new Prediction("share", 70, 60, "%", true, List.of(cost));
    assertFalse(slow.met());
    assertTrue(share.met());
    Device device = new Device("small", 1, 1, 1, 1, 1, 1, 1, 1, 1, 1);
    String text = GpuModel.text(device, List.of(slow, share), false);
    assertTrue(text.startsWith("Predicted on small, not measured\n"), text);
    assertTrue(text.lines().anyMatch(line -> line.startsWith("slow") && line.endsWith("MISSED")));
    assertTrue(text.lines().anyMatch(line -> line.startsWith("share") && line.endsWith(" met")));
    assertTrue(text.contains("The launches are those of a Hopper GPU with 132"), text);
    assertEquals(1, text.split("100 %", -1).length - 1, text);
    assertEquals(
        2, GpuModel.text(device, List.of(slow, share), true).split("100 %", -1).length - 1);
  }

  @Test
  void launchesOfOneGridAreAddedUp() {
    Device device = new Device("small", 10, 1e6, 1e7, 1e8, 1e7, 1, 0.5, 4, 1, 100 << 10);
    Launch a = new Launch("a", 1, 1, 1, 32, 0, 0);
    Launch b = new Launch("b", 1, 1, 1, 32, 0, 0);
    Work work = Work.stream(a, 0, 0, Code.UNKNOWN);
    List<Prediction.Cost> costs =
        Prediction.costs(
            new TimingModel(device), List.of(b, a, a), List.of(work, work, work), true);
    assertEquals("a 1x1x1 of 32", costs.get(0).launch());
    assertEquals(2, costs.get(0).count());
    assertEquals(4, costs.get(0).microseconds(), 1e-9);
    assertEquals(6, Prediction.sum(costs), 1e-9);
  }
}
