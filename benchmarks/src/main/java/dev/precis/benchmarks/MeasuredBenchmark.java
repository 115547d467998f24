package dev.precis.benchmarks;

import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/** Configures JMH for all benchmarks, and gives a line of the table what it needs but the time. */
// One thread calls; providers bring threads of their own.
@State(Scope.Thread)
// Times single calls: percentiles, not a mean that one interruption spoils.
@BenchmarkMode(Mode.SampleTime)
// Most kernels of a step take 1 to 1000 us.
@OutputTimeUnit(TimeUnit.MICROSECONDS)
// The first iteration holds the compiler, page faults and code that oneDNN makes for a new shape;
// the second lets the clock frequency stabilize.
@Warmup(iterations = 2, time = 400, timeUnit = TimeUnit.MILLISECONDS)
// Hundreds of samples for a kernel; no fewer than five for a slow one.
@Measurement(iterations = 5, time = 300, timeUnit = TimeUnit.MILLISECONDS)
// One fork a run: the script alternates whole runs instead, so that drift affects all providers.
@Fork(
    value = 1,
    jvmArgsAppend = {
      "--enable-native-access=ALL-UNNAMED",
      // No collector threads beside the pinned ones.
      "-XX:+UseSerialGC",
      "-Xms1g",
      "-Xmx6g",
      // libtorch's Java binding at its cheapest: results are closed by hand, memory is not policed.
      "-Dorg.bytedeco.javacpp.nopointergc=true",
      "-Dorg.bytedeco.javacpp.maxPhysicalBytes=0",
      "-Dorg.bytedeco.javacpp.maxBytes=0"
    })
public abstract class MeasuredBenchmark {
  /** The threads of a provider that is multithreaded. */
  @Param("2")
  int threads;

  /** The device: cpu, or cuda[:N], which only this project's providers support. */
  @Param("cpu")
  String device = "cpu";

  /**
   * Returns the kernel's name in precis.h, with its variant behind a slash where it has several.
   */
  abstract String op();

  /** Returns the name of the provider whose code runs. */
  String provider() {
    return "precis";
  }

  /** Returns the number of threads that the provider uses. */
  int threads() {
    return threads;
  }

  /** Returns the type of weights or inputs: a parameter, or float32. */
  final String dtype() {
    return Parameters.get(this, "dtype", "float32");
  }

  /** Returns the sizes, joined by x: a parameter, or a single number. */
  final String shape() {
    return Parameters.get(this, "shape", "1x1");
  }

  /** Returns the i-th number of a shape such as {@code 8x768x2048}. */
  final int size(int i) {
    return Integer.parseInt(shape().split("x")[i]);
  }

  /** Returns the work of one call. Uses parameters only: the table is made without a set-up. */
  abstract Work work();

  /** Ends the run with a message that names this benchmark unless a condition holds. */
  final void check(boolean condition, String message) {
    if (!condition) {
      throw new AssertionError(
          "%s %s %s %s: %s.".formatted(op(), provider(), dtype(), shape(), message));
    }
  }
}
