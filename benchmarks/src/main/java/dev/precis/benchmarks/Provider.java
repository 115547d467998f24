package dev.precis.benchmarks;

import dev.precis.tensor.DType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ServiceLoader;
import java.util.Set;

/** An implementation of the kernels, under a name that benchmarks take as a parameter. */
public interface Provider extends AutoCloseable {
  /** The least alignment of a tensor, in bytes. */
  long ALIGNMENT = 64;

  /** Returns the name: {@code precis}, {@code java} and the like. */
  String name();

  /** Prepares the provider. It is called first, on the thread that will make all other calls. */
  void open(int threads);

  /**
   * Prepares the provider on a device, cpu or cuda[:N].
   *
   * @throws IllegalArgumentException where it does not support the device
   */
  default void open(int threads, String device) {
    if (!device.equals("cpu")) {
      throw new IllegalArgumentException(name() + " runs on the CPU only; choose device cpu.");
    }
    open(threads);
  }

  /** Returns the types of weights, or of inputs without weights, that it has kernels for. */
  Set<DType> dtypes();

  /** Allocates memory as this provider's users would. */
  default MemorySegment allocate(Arena owner, long bytes) {
    return owner.allocate(bytes, ALIGNMENT);
  }

  /** Allocates memory for integers, which the host reads too. */
  default MemorySegment allocateShared(Arena owner, long bytes) {
    return allocate(owner, bytes);
  }

  /**
   * Does the work that a program does once, such as packing weights, and returns the rest.
   *
   * @param problem stays as it is; its memory lives until {@link #close}
   */
  Call prepare(Problem problem);

  @Override
  void close();

  /** The part that is timed. */
  interface Call {
    /** Computes the result, which may stay in memory of the call's own. */
    void run();

    /** Copies the result to the problem's output, where run has not; not timed. */
    default void publish() {}
  }

  /**
   * Returns a provider that is not yet open.
   *
   * @throws IllegalArgumentException where no provider has that name
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
                          "There is no provider "
                              + name
                              + " in this build; torch and torch-openblas need -Ptorch."));
    };
  }
}
