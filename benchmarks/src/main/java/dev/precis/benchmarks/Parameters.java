package dev.precis.benchmarks;

import java.lang.reflect.Field;
import org.openjdk.jmh.annotations.Param;

/** Reads and sets a benchmark's parameters by name, as JMH does. */
final class Parameters {
  private Parameters() {}

  /** Sets a parameter to what a string says. */
  static void set(MeasuredBenchmark benchmark, String name, String value) {
    Field field = field(benchmark, name);
    if (field == null) {
      throw new IllegalArgumentException(
          benchmark.getClass().getSimpleName() + " has no parameter " + name + ".");
    }
    try {
      field.set(benchmark, field.getType() == int.class ? (Object) Integer.valueOf(value) : value);
    } catch (IllegalAccessException e) {
      throw new AssertionError(e);
    }
  }

  /** Returns a parameter's value, or another string where the benchmark has no such parameter. */
  static String get(MeasuredBenchmark benchmark, String name, String otherwise) {
    Field field = field(benchmark, name);
    try {
      return field == null ? otherwise : field.get(benchmark).toString();
    } catch (IllegalAccessException e) {
      throw new AssertionError(e);
    }
  }

  private static Field field(MeasuredBenchmark benchmark, String name) {
    for (Class<?> c = benchmark.getClass(); c != Object.class; c = c.getSuperclass()) {
      for (Field field : c.getDeclaredFields()) {
        if (field.getName().equals(name) && field.isAnnotationPresent(Param.class)) {
          field.setAccessible(true);
          return field;
        }
      }
    }
    return null;
  }
}
