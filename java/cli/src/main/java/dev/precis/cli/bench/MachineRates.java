package dev.precis.cli.bench;

import dev.precis.ops.Ceilings;
import dev.precis.ops.Ceilings.Loop;
import dev.precis.tensor.DType;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * The ceilings of this machine: each is measured many times, between the runs that are held to
 * them, and the median counts.
 */
final class MachineRates {
  /**
   * Something that has a ceiling.
   *
   * @param footprint bytes; 0 for arithmetic
   */
  record Subject(Loop loop, int threads, long footprint) {}

  private final Ceilings ceilings = new Ceilings();
  private final int threads;
  private final String cores;
  private final double seconds;
  private final Map<Subject, List<Double>> samples = new LinkedHashMap<>();

  /**
   * Prepares measurements.
   *
   * @param threads of the engine
   * @param cores that they are pinned to, as {@code 0,1}; empty: they are not
   * @param seconds of each measurement
   */
  MachineRates(int threads, String cores, double seconds) {
    this.threads = threads;
    this.cores = cores;
    this.seconds = seconds;
  }

  /**
   * Measures everything once: on one thread, then on all.
   *
   * @param largest no array is larger than this, even where the last-level cache is
   */
  void measureAll(long largest) {
    List<Long> footprints = new ArrayList<>();
    for (long bytes = 256 << 10; bytes <= largest; bytes *= 4) {
      footprints.add(bytes);
      if (bytes >= 4 * ceilings.cacheBytes()) {
        break;
      }
    }
    for (int n : threads == 1 ? new int[] {1} : new int[] {1, threads}) {
      for (Loop loop : ceilings.loops()) {
        if (!loop.touchesMemory()) {
          sample(new Subject(loop, n, 0));
        } else if (loop.equals(widest(loop.kind()))) {
          footprints.forEach(bytes -> sample(new Subject(loop, n, bytes)));
        }
      }
    }
  }

  /** Measures again what a mode is held to. */
  void measure(DType dtype, DType values, long readBytes, long updateBytes) {
    sample(arithmetic(dtype));
    if (!arithmetic(values).equals(arithmetic(dtype))) {
      sample(arithmetic(values));
    }
    sample(memory("read", readBytes));
    if (updateBytes > 0) {
      sample(memory("update", updateBytes));
    }
  }

  private void sample(Subject subject) {
    int[] pinned = Ceilings.cores(cores, subject.threads);
    samples
        .computeIfAbsent(subject, any -> new ArrayList<>())
        .add(ceilings.measure(subject.loop, pinned, subject.threads, subject.footprint, seconds));
  }

  private Loop widest(String kind) {
    return ceilings.loops().stream()
        .filter(loop -> loop.kind().equals(kind))
        .reduce((first, second) -> second)
        .orElseThrow();
  }

  private Subject memory(String kind, long bytes) {
    return new Subject(widest(kind), threads, bytes);
  }

  /**
   * Returns the fastest arithmetic for a type on all threads: its own instructions, or float32's
   * where those are faster. int4 is multiplied as int8.
   */
  private Subject arithmetic(DType dtype) {
    DType computed = dtype == DType.INT4 ? DType.INT8 : dtype;
    String kind = computed.name().toLowerCase(Locale.ROOT);
    return samples.keySet().stream()
        .filter(each -> each.threads == threads && !each.loop.touchesMemory())
        .filter(each -> each.loop.kind().equals(kind) || each.loop.kind().equals("float32"))
        // By the first measurement: what is compared must not change on the way.
        .max(Comparator.comparingDouble(each -> samples.get(each).getFirst()))
        .orElseThrow();
  }

  /** Returns operations a second of a type. */
  double arithmeticRate(DType dtype) {
    return median(samples.get(arithmetic(dtype)));
  }

  /** Returns bytes a second that are read or updated in an array of this size. */
  double bandwidth(String kind, long bytes) {
    return median(samples.get(memory(kind, bytes)));
  }

  /** Returns all measurements, in the order in which they began. */
  Map<Subject, List<Double>> samples() {
    return samples;
  }

  static double median(List<Double> values) {
    return percentile(values, 0.5);
  }

  /** Returns a quantile, interpolated between the two nearest values. */
  static double percentile(List<Double> values, double share) {
    double[] sorted = values.stream().mapToDouble(each -> each).toArray();
    Arrays.sort(sorted);
    double at = share * (sorted.length - 1);
    int below = (int) at;
    int above = Math.min(below + 1, sorted.length - 1);
    return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
  }
}
