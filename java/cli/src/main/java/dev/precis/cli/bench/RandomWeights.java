package dev.precis.cli.bench;

import dev.precis.checkpoint.SafeTensors;
import dev.precis.random.SplitMix64;
import dev.precis.tensor.DType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Writes random weights of a given shape: what is timed does not depend on their values. */
final class RandomWeights {
  private RandomWeights() {}

  /**
   * The values of a tensor.
   *
   * @param constant of all elements, where the deviation is 0
   * @param deviation of uniform numbers of mean 0
   */
  record Values(float constant, double deviation) {}

  /** Chooses the values of a tensor by its name and shape. */
  interface Choice {
    Values of(String name, long[] shape);
  }

  /** Returns one value for all elements. */
  static Values constant(float value) {
    return new Values(value, 0);
  }

  /** Returns uniform numbers of mean 0. */
  static Values uniform(double deviation) {
    return new Values(0, deviation);
  }

  /** Writes a file of tensors in bfloat16, each a function of its name alone. */
  static void write(Map<String, long[]> shapes, Path file, Choice choice) {
    try (Arena call = Arena.ofShared()) {
      long most = 0;
      for (long[] shape : shapes.values()) {
        most = Math.max(most, elements(shape));
      }
      MemorySegment memory = call.allocate(2 * most, 64);
      List<SafeTensors.Source> tensors = new ArrayList<>();
      shapes.forEach(
          (name, shape) ->
              tensors.add(
                  new SafeTensors.Source(
                      name,
                      DType.BFLOAT16,
                      shape,
                      () -> filled(memory, name, elements(shape), choice.of(name, shape)))));
      SafeTensors.writeSources(file, tensors, Map.of("format", "pt"));
    }
  }

  private static long elements(long[] shape) {
    long elements = 1;
    for (long dim : shape) {
      elements *= dim;
    }
    return elements;
  }

  private static MemorySegment filled(MemorySegment memory, String name, long n, Values values) {
    MemorySegment part = memory.asSlice(0, 2 * n);
    SplitMix64 random = new SplitMix64(name.hashCode());
    for (long i = 0; i < n; i++) {
      float value =
          values.deviation == 0
              ? values.constant
              : (float) ((random.uniform() - 0.5) * values.deviation * Math.sqrt(12));
      short rounded = (short) (Float.floatToRawIntBits(value) >>> 16);
      part.setAtIndex(ValueLayout.JAVA_SHORT, i, rounded);
    }
    return part;
  }
}
