package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.function.LongFunction;
import java.util.function.LongToDoubleFunction;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.TearDown;

/**
 * A kernel at one shape, by one provider.
 *
 * <p>A model reads its weights, KV caches and embeddings once a step, and finds them cold, because
 * the rest of the step went through the cache in between. So there are several copies of these,
 * together twice the last-level cache, and calls cycle through them. Inputs and outputs, which a
 * step has just written or will read next, are the same memory in each call.
 */
public abstract class KernelBenchmark<P extends Problem> extends MeasuredBenchmark {
  private static final int CHECKED_ROWS = 6;

  /** The name of the provider. */
  @Param({"precis", "java"})
  String provider;

  /** The largest number of copies of cold data; tests need fewer. */
  int mostCopies = 256;

  private Provider opened;
  private Arena arena;
  private Provider.Call[] calls;
  private int next;

  /** Returns the i-th copy of what is computed. */
  abstract P problem(int copy);

  /** Returns the bytes that must be cold when a call begins; 0: none. */
  long coldBytes() {
    return 0;
  }

  /**
   * Compares a result with the reference.
   *
   * @throws AssertionError where they differ by more than rounding
   */
  abstract void verify(P problem);

  /** Prepares the provider and checks its result; a provider with wrong results is not timed. */
  @Setup(Level.Trial)
  public void setUp() {
    opened = Provider.named(provider);
    arena = Arena.ofShared();
    try {
      opened.open(threads, device);
      if (!opened.dtypes().contains(weightType())) {
        throw new IllegalArgumentException(
            provider + " has no kernels for " + dtype() + "; choose another dtype.");
      }
      int copies = copies();
      calls = new Provider.Call[copies];
      P last = null;
      for (int i = 0; i < copies; i++) {
        last = problem(i);
        calls[i] = opened.prepare(last);
      }
      runVerified();
      verify(last);
    } catch (Throwable e) {
      tearDown();
      throw e;
    }
  }

  private int copies() {
    if (coldBytes() == 0) {
      return 1;
    }
    double wanted = Math.ceil(2.0 * Machine.lastLevelCacheBytes() / coldBytes());
    return (int) Math.clamp(wanted, 1, mostCopies);
  }

  /** Runs the kernel once. */
  @Benchmark
  public void run() {
    calls[next].run();
    next = next + 1 == calls.length ? 0 : next + 1;
  }

  /** Runs the copy that is verified, and copies its result to the problem's output. */
  final void runVerified() {
    calls[calls.length - 1].run();
    calls[calls.length - 1].publish();
  }

  /** Frees everything. */
  @TearDown(Level.Trial)
  public void tearDown() {
    if (arena != null) {
      arena.close();
      arena = null;
    }
    if (opened != null) {
      opened.close();
      opened = null;
    }
  }

  /** Returns the operation's name in precis.h, which is that of the class. */
  final String stem() {
    String name = getClass().getSimpleName();
    String stem = name.substring(0, name.length() - "Benchmark".length());
    return stem.replaceAll("(?<=.)([A-Z])", "_$1").toLowerCase(Locale.ROOT);
  }

  @Override
  String op() {
    return stem();
  }

  @Override
  String provider() {
    return provider;
  }

  @Override
  int threads() {
    return provider.equals("java") ? 1 : super.threads();
  }

  /** Returns the type of activations between kernels when weights have this type. */
  final DType activationType() {
    return dtype().equals("bfloat16") ? DType.BFLOAT16 : DType.FLOAT32;
  }

  /** Returns the type that weights are kept in. */
  final DType weightType() {
    return DType.valueOf(dtype().toUpperCase(Locale.ROOT));
  }

  /** Returns a tensor that no kernel has written yet: NaN, or -1 in integers. */
  final Tensor output(DType type, long... dims) {
    long bytes = Arrays.stream(dims).reduce(type.bytes(), (a, b) -> a * b);
    MemorySegment memory =
        type == DType.INT32 ? opened.allocateShared(arena, bytes) : opened.allocate(arena, bytes);
    memory.fill((byte) 0xff);
    return Tensor.of(memory, type, dims);
  }

  /** Returns random numbers of mean 0 and this standard deviation, a function of the seed. */
  final Tensor random(DType type, double deviation, long seed, long... dims) {
    Tensor tensor = output(type, dims);
    SplittableRandom random = new SplittableRandom(seed);
    long n = tensor.rows() * tensor.columns();
    for (long i = 0; i < n; i++) {
      float value = (float) (deviation * random.nextGaussian());
      if (type == DType.BFLOAT16) {
        tensor.memory().setAtIndex(ValueLayout.JAVA_SHORT, i, Bfloat16.of(value));
      } else {
        tensor.memory().setAtIndex(ValueLayout.JAVA_FLOAT, i, value);
      }
    }
    return tensor;
  }

  /** Returns a copy in memory of its own. */
  final Tensor copyOf(Tensor tensor) {
    long[] dims = IntStream.range(0, tensor.rank()).mapToLong(tensor::dim).toArray();
    Tensor copy = output(tensor.dtype(), dims);
    copy.memory().copyFrom(tensor.memory());
    return copy;
  }

  final Tensor ints(int... values) {
    Tensor tensor = output(DType.INT32, values.length);
    MemorySegment.copy(values, 0, tensor.memory(), ValueLayout.JAVA_INT, 0, values.length);
    return tensor;
  }

  /** Returns a tensor of zeros. */
  final Tensor zeros(DType type, long... dims) {
    Tensor tensor = output(type, dims);
    tensor.memory().fill((byte) 0);
    return tensor;
  }

  /**
   * Compares some rows of a result: the first, the last and a few between.
   *
   * @param tolerance of each element, relative to its own size plus the row's root mean square
   */
  final void verifyRows(Tensor got, LongFunction<double[]> reference, double tolerance) {
    SplittableRandom random = new SplittableRandom(got.rows());
    LongStream some = random.longs(CHECKED_ROWS - 2, 0, got.rows());
    LongStream.concat(LongStream.of(0, got.rows() - 1), some)
        .distinct()
        .forEach(row -> verifyRow(got, row, reference.apply(row), tolerance));
  }

  /** Compares some elements of a vector, each of which belongs to a row of something. */
  final void verifyElements(Tensor vector, LongToDoubleFunction reference, double tolerance) {
    Tensor column = Tensor.of(vector.memory(), vector.dtype(), vector.columns(), 1);
    verifyRows(column, m -> new double[] {reference.applyAsDouble(m)}, tolerance);
  }

  /** Compares a row of a result; a vector is one row. */
  final void verifyRow(Tensor got, long row, double[] want, double tolerance) {
    double size = Math.sqrt(Arrays.stream(want).map(v -> v * v).average().orElseThrow());
    verifyRow(got, row, want, tolerance, size);
  }

  /**
   * Compares a row of a result.
   *
   * @param size what the tolerance is relative to besides each element's own size
   */
  final void verifyRow(Tensor got, long row, double[] want, double tolerance, double size) {
    for (int column = 0; column < want.length; column++) {
      float value = got.get(row, column);
      // Written so that NaN fails.
      if (!(Math.abs(value - want[column]) <= tolerance * (Math.abs(want[column]) + size))) {
        throw new AssertionError(
            "%s %s %s %s: row %d, column %d is %g, not %g."
                .formatted(op(), provider(), dtype(), shape(), row, column, value, want[column]));
      }
    }
  }
}
