package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ServiceLoader;
import java.util.Set;

/** Somebody's kernels, under a name that benchmarks take as a parameter. */
public interface Provider extends AutoCloseable {
  /** How many bytes a tensor is aligned to, at least. */
  long ALIGNMENT = 64;

  /** {@code precis}, {@code java} and the like. */
  String name();

  /** Called first, on the thread that will make all other calls. */
  void open(int threads);

  /**
   * The same on a device, cpu or cuda[:N].
   *
   * @throws IllegalArgumentException where it does not run there
   */
  default void open(int threads, String device) {
    if (!device.equals("cpu")) {
      throw new IllegalArgumentException(name() + " is measured on the CPU alone.");
    }
    open(threads);
  }

  /** The types of weights or, where there are none, of inputs that it has kernels for. */
  Set<DType> dtypes();

  /** Memory as this provider's users would get it. */
  default MemorySegment allocate(Arena owner, long bytes) {
    return owner.allocate(bytes, ALIGNMENT);
  }

  /** The same for integers, which the host reads too. */
  default MemorySegment allocateShared(Arena owner, long bytes) {
    return allocate(owner, bytes);
  }

  /**
   * Does once what a program does once - packs weights, makes views - and returns the rest.
   *
   * @param problem stays as it is; its memory lives until {@link #close}
   */
  Call prepare(Problem problem);

  @Override
  void close();

  /** What is timed. */
  interface Call {
    /** Computes; may leave the result in memory of its own. */
    void run();

    /** Puts the result into the problem's output, where run has not; not timed. */
    default void publish() {}
  }

  /**
   * A provider that is not yet open.
   *
   * @throws IllegalArgumentException where there is none of that name
   */
  static Provider named(String name) {
    return switch (name) {
      case "precis" -> new PrecisProvider();
      case "cublaslt" -> new PrecisProvider(true);
      case "unfused" -> new UnfusedProvider();
      case "java" -> new JavaProvider();
      default ->
          ServiceLoader.load(Provider.class).stream()
              .map(ServiceLoader.Provider::get)
              .filter(p -> p.name().equals(name))
              .findFirst()
              .orElseThrow(
                  () ->
                      new IllegalArgumentException(
                          "There is no provider " + name + " in this build; torch needs -Ptorch."));
    };
  }
}
