package dev.precis.ffi;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.precis.io.NativeCache;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Calls libprecis_roofline, which measures the machine and lies beside libprecis. It is loaded when
 * it is first asked for, by nothing else than a measurement.
 */
public final class RooflineLibrary {
  private static final String LIBRARY = System.mapLibraryName("precis_roofline");
  private static final int LONGEST_DESCRIPTION = 256;

  private final MethodHandle count;
  private final MethodHandle describe;
  private final MethodHandle measure;
  private final MethodHandle cache;

  /**
   * Loads the library.
   *
   * @throws UnsatisfiedLinkError if it is not beside libprecis or cannot be loaded
   */
  public RooflineLibrary() {
    Path file = find();
    SymbolLookup symbols;
    try {
      symbols = SymbolLookup.libraryLookup(file, Arena.global());
    } catch (IllegalArgumentException e) {
      throw new UnsatisfiedLinkError("Cannot load " + file + ": " + e.getMessage());
    }
    count = handle(symbols, "precis_roofline_count", FunctionDescriptor.of(JAVA_INT));
    describe =
        handle(symbols, "precis_roofline_describe", FunctionDescriptor.of(ADDRESS, JAVA_INT));
    measure =
        handle(
            symbols,
            "precis_roofline_measure",
            FunctionDescriptor.of(
                JAVA_DOUBLE, JAVA_INT, ADDRESS, JAVA_INT, JAVA_LONG, JAVA_DOUBLE));
    cache = handle(symbols, "precis_roofline_cache", FunctionDescriptor.of(JAVA_LONG));
  }

  /** Finds the library beside libprecis: in its folder, or in the same folder of the class path. */
  private static Path find() {
    Path folder = Native.library().toAbsolutePath().getParent();
    Path beside = folder.resolve(LIBRARY);
    if (Files.isRegularFile(beside)) {
      return beside;
    }
    String resource = "native/" + NativeCache.platform() + "/" + LIBRARY;
    URL url = RooflineLibrary.class.getClassLoader().getResource(resource);
    if (url == null) {
      throw new UnsatisfiedLinkError(
          "There is no %s in %s, where libprecis is, and no %s on the class path."
              .formatted(LIBRARY, folder, resource));
    }
    return NativeCache.unpack(url, LIBRARY);
  }

  private static MethodHandle handle(SymbolLookup symbols, String name, FunctionDescriptor type) {
    MemorySegment symbol =
        symbols
            .find(name)
            .orElseThrow(() -> new UnsatisfiedLinkError(LIBRARY + " has no " + name + "."));
    return Linker.nativeLinker().downcallHandle(symbol, type);
  }

  /** Returns the number of loops that this processor can run. */
  public int count() {
    try {
      return (int) count.invokeExact();
    } catch (Throwable e) {
      throw impossible(e);
    }
  }

  /** Returns the description of a loop, from 0: kind, set and instruction with commas between. */
  public String describe(int loop) {
    try {
      MemorySegment text = (MemorySegment) describe.invokeExact(loop);
      return text.reinterpret(LONGEST_DESCRIPTION).getString(0);
    } catch (Throwable e) {
      throw impossible(e);
    }
  }

  /**
   * Measures a loop, as {@code precis_roofline_measure} does.
   *
   * @param cores of the threads; null: they are not pinned
   * @param footprint bytes of all arrays together
   */
  public double measure(int loop, int[] cores, int threads, long footprint, double seconds) {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment pinned =
          cores == null ? MemorySegment.NULL : call.allocateFrom(JAVA_INT, cores);
      return (double) measure.invokeExact(loop, pinned, threads, footprint, seconds);
    } catch (Throwable e) {
      throw impossible(e);
    }
  }

  /** Returns the bytes of the last-level cache. */
  public long cacheBytes() {
    try {
      return (long) cache.invokeExact();
    } catch (Throwable e) {
      throw impossible(e);
    }
  }

  private static AssertionError impossible(Throwable e) {
    return new AssertionError("The calls of " + LIBRARY + " throw nothing.", e);
  }
}
