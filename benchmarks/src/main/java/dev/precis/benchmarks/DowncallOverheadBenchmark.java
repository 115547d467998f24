package dev.precis.benchmarks;

import dev.precis.device.DeviceOptions;
import dev.precis.ffi.Context;
import dev.precis.ffi.generated.Precis;
import dev.precis.ops.Ops;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.TearDown;

/**
 * The overhead of calling a kernel from Java: a bare downcall, and an operation with its argument
 * block, its checks and its choice of kernel, on a single number.
 */
// Reading the clock costs as much as such a call, so calls are timed by the thousand.
@BenchmarkMode(Mode.AverageTime)
// A call is a few to a few hundred ns.
@OutputTimeUnit(TimeUnit.NANOSECONDS)
// One number an iteration: enough of them for percentiles.
@Measurement(iterations = 20, time = 100, timeUnit = TimeUnit.MILLISECONDS)
public class DowncallOverheadBenchmark extends MeasuredBenchmark {
  private static final int LAYERS = 12;
  private static final int CALLS_PER_LAYER = 12;

  /**
   * Operations of a decoding step of T5-base: in each layer three norms, six products, two
   * attentions and an activation; the embedding, the last norm, the logits and the choice.
   */
  static final int CALLS_PER_STEP = LAYERS * CALLS_PER_LAYER + 4;

  private static final float NUMBER = 1.00390625f;

  private Context context;
  private Ops ops;
  private Arena arena;
  private MemorySegment handle;
  private Tensor x;
  private Tensor y;
  private float[] from;
  private short[] to;

  /** Prepares the calls and checks their results. */
  @Setup(Level.Trial)
  public void setUp() {
    context = new Context(new DeviceOptions().threads(threads));
    ops = Ops.open(new DeviceOptions().threads(threads));
    handle = context.handle();
    arena = Arena.ofShared();
    x = Tensor.ofFloats(arena, new float[] {NUMBER}, 1, 1);
    y = Tensor.of(arena.allocate(2), DType.BFLOAT16, 1, 1);
    from = new float[] {NUMBER};
    to = new short[1];
    operation();
    java();
    if (y.get(0, 0) != 1 || to[0] != y.memory().get(ValueLayout.JAVA_SHORT, 0) || downcall() != 0) {
      throw new AssertionError(NUMBER + " became " + y.get(0, 0) + " and " + to[0]);
    }
  }

  /** Calls the generated binding alone. */
  @Benchmark
  public int downcall() {
    return Precis.precis_synchronize(handle);
  }

  /** Calls an operation as models do: y = x, converted to bfloat16. */
  @Benchmark
  public void operation() {
    ops.convert(x, y);
  }

  /** Converts the same number in Java. */
  @Benchmark
  public short[] java() {
    to[0] = Bfloat16.of(from[0]);
    return to;
  }

  /** Frees everything. */
  @TearDown(Level.Trial)
  public void tearDown() {
    arena.close();
    ops.close();
    context.close();
  }

  @Override
  String op() {
    return "downcall_overhead";
  }

  @Override
  Work work() {
    return Work.counted(1, "calls/s");
  }
}
