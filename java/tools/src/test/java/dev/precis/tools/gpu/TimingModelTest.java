package dev.precis.tools.gpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class TimingModelTest {
  /**
   * 10 multiprocessors, 1 TB/s, L2 of 10 TB/s, 100 and 10 TFLOP/s, gap 1, launch 4, latency 1 us.
   */
  private static final Device SMALL =
      new Device("small", 10, 1e6, 1e7, 1e8, 1e7, 1, 0.5, 4, 1, 100 << 10);

  private static final TimingModel MODEL = new TimingModel(SMALL);

  private static Launch launch(long blocks, int threads, int shared) {
    return new Launch("k", blocks, 1, 1, threads, shared, 0);
  }

  private static Code code(int registers, int inFlight) {
    return new Code("k.cu", "k", registers, inFlight);
  }

  @Test
  void residentBlocksAreLimitedByThreadsRegistersSharedMemoryAndTheirNumber() {
    assertEquals(32, MODEL.resident(launch(1, 32, 0), 32));
    assertEquals(8, MODEL.resident(launch(1, 256, 0), 32));
    // 128 x 65 registers, in units of 8: 65536 / (72 x 128) = 7.1.
    assertEquals(7, MODEL.resident(launch(1, 128, 0), 65));
    assertEquals(2, MODEL.resident(launch(1, 128, 49 << 10), 32));
    // A launch that the formula has no room for still runs.
    assertEquals(1, MODEL.resident(launch(1, 1024, 99 << 10), 255));
  }

  @Test
  void wavesFillAllMultiprocessors() {
    assertEquals(1, MODEL.waves(launch(80, 256, 0), 32));
    assertEquals(2, MODEL.waves(launch(81, 256, 0), 32));
  }

  @Test
  void bytesInFlightOverTheLatencyAreTheBandwidth() {
    assertEquals(512, MODEL.bandwidth(512), 1e-9);
    assertEquals(0.92e6, MODEL.bandwidth(1e9), 1e-3);
    // 10 blocks of 32 threads with one load: 5,120 bytes in flight, so 51,200 bytes take 10 us
    // rather than 0.06; each block has 5,120 bytes, 512 at a time, and waits once more at its end.
    Launch launch = launch(10, 32, 0);
    TimingModel.Time time = MODEL.time(launch, Work.stream(launch, 51_200, 0, code(32, 1)), true);
    assertEquals(11, time.kernel(), 1e-9);
    assertEquals(TimingModel.Bound.LATENCY, time.bound());
    // With eight loads it is an eighth, and the one wait more.
    time = MODEL.time(launch, Work.stream(launch, 51_200, 0, code(32, 8)), true);
    assertEquals(1 + 10 / 8.0, time.kernel(), 1e-9);
    assertEquals(2 + 10 / 8.0, time.total(), 1e-9);
  }

  @Test
  void manyBytesInFlightReachTheMemorysBandwidth() {
    Launch launch = launch(80, 256, 0);
    TimingModel.Time time = MODEL.time(launch, Work.stream(launch, 9.2e6, 0, code(32, 16)), true);
    assertEquals(10, time.kernel(), 1e-9);
    assertEquals(TimingModel.Bound.MEMORY, time.bound());
  }

  @Test
  void theMultiprocessorWithTheMostBlocksDecidesWhenOperationsAreDone() {
    // 11 blocks: one multiprocessor has two of them, as if there were 20.
    Work work = new Work(1, 1, 11e8, 1, 0, code(32, 8), 0);
    TimingModel.Time time = MODEL.time(launch(11, 128, 0), work, true);
    assertEquals(20, time.kernel(), 1e-9);
    assertEquals(TimingModel.Bound.OPERATIONS, time.bound());
    // Half the rate, and float32 lanes at a tenth of it.
    assertEquals(
        40,
        MODEL
            .time(launch(11, 128, 0), new Work(1, 1, 11e8, 0.5, 11e7, code(32, 8), 0), true)
            .kernel(),
        1e-9);
  }

  @Test
  void readsOfTheCacheCount() {
    Work work = new Work(1, 1e7, 0, 1, 0, code(32, 8), 2e7);
    TimingModel.Time time = MODEL.time(launch(10, 256, 0), work, true);
    assertEquals(10, time.kernel(), 1e-9);
    assertEquals(TimingModel.Bound.CACHE, time.bound());
  }

  @Test
  void theHostSubmitsLaunchesOneAfterAnother() {
    Launch launch = launch(1, 32, 0);
    Work work = Work.stream(launch, 0, 0, code(32, 1));
    TimingModel.Time alone = MODEL.time(launch, work, false);
    assertEquals(1, alone.kernel(), 1e-9);
    assertEquals(4, alone.total(), 1e-9);
    assertEquals(TimingModel.Bound.LAUNCH, alone.bound());
    assertEquals(2, MODEL.time(launch, work, true).total(), 1e-9);
    Launch dependent = new Launch("k", 1, 1, 1, 32, 0, 0, 1, true);
    assertEquals(1.5, MODEL.time(dependent, work, true).total(), 1e-9);
    Launch copy = new Launch("copy", 1, 1, 1, 0, 0, 920_000);
    assertEquals(2 + 1, MODEL.time(copy, null, true).kernel(), 1e-9);
  }

  /**
   * Published and measured times, which the model was not fitted to but for the efficiency of the
   * first: docs/gpu-model.md.
   */
  @Test
  void theFormHoldsForKernelsWithPublishedTimes() {
    Device h100 = new Device("h100", 132, 3350e3, 7500e3, 989e6, 67e6, 1.3, 0.8, 2.5, 0.7, 233472);
    // fast.cu, 8192 x 8192 x 8192 in tiles of 128 x 256: 635 TFLOP/s.
    Launch large = launch(64 * 32, 384, 200 << 10);
    double operations = 2 * Math.pow(8192, 3);
    Work work = new Work(4e8, 2 * 8192 * 384, operations, 0.64, 0, code(168, 0), 196 << 10);
    double tflops = operations / new TimingModel(h100).time(large, work, true).kernel() / 1e6;
    assertEquals(635, tflops, 0.1 * 635);
    // cuBLAS, 128 x 1024 x 2048 in float16: 5.8 us. Its tiles are unknown: 16 blocks of 128 x 64,
    // or
    // 32 where K is split in two, which the measured time lies between.
    Work whole = new Work(5e6, 2 * 2048 * 192, 5.4e8, 0.64, 0, code(128, 0), 96 << 10);
    Work halves = new Work(5e6, 2 * 1024 * 192, 5.4e8, 0.64, 0, code(128, 0), 96 << 10);
    TimingModel model = new TimingModel(h100);
    assertTrue(model.time(launch(16, 256, 96 << 10), whole, true).total() > 5.8);
    assertTrue(model.time(launch(32, 256, 96 << 10), halves, true).total() < 5.8);
  }

  @Test
  void theFormHoldsForWhatStreamsOnTheCpuAndNotForProductsOfManyRows() {
    // Two cores with AMX that read 31 GB/s from memory and multiply 7.65 TFLOP/s in bfloat16.
    Device cpu =
        new Device("cpu", 2, 31e3 / 0.92, 58e3, 7.65e6, 0.49e6, 1e-3, 1e-3, 1e-3, 0.1, 48 << 10);
    TimingModel model = new TimingModel(cpu);
    Launch two = launch(2, 32, 0);
    // One row of 768 x 2048 in bfloat16: 32 GB/s measured, 98 us.
    double bytes = 2.0 * 768 * 2048;
    Work row = new Work(bytes, bytes / 2, 2.0 * 768 * 2048, 1, 0, code(32, 1), 1e4);
    assertEquals(98, model.time(two, row, true).kernel(), 0.1 * 98);
    // 2048 x 768 x 768: 2.8 TFLOP/s measured, bound by what L2 delivers to the tiles, which the
    // model's single rate does not know: 0.86 ms, predicted 0.32.
    double operations = 2.0 * 2048 * 768 * 768;
    Work many = new Work(7.5e6, 3.8e6, operations, 1, 0, code(32, 1), 1e5);
    double predicted = model.time(two, many, true).kernel();
    assertTrue(predicted < 0.5 * operations / 2.8e6, predicted + " us");
  }
}
