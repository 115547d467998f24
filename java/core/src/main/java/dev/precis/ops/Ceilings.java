package dev.precis.ops;

import dev.precis.ffi.RooflineLibrary;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Measures what the processor can do: the bandwidth of its memory and caches, and the rate of its
 * arithmetic by each instruction that it has (Williams et al. 2009), with code that shares nothing
 * with the kernels.
 */
public final class Ceilings {
  /**
   * Something that is measured.
   *
   * @param kind read, update, float32, bfloat16 or int8
   * @param set the instruction set, such as {@code avx2}
   * @param instruction the instructions that the loop consists of, or the width of its vectors
   * @param index the library's number
   */
  public record Loop(String kind, String set, String instruction, int index) {
    /** Returns whether it reads or updates memory: its rate is in bytes a second. */
    public boolean touchesMemory() {
      return kind.equals("read") || kind.equals("update");
    }
  }

  private final RooflineLibrary library = new RooflineLibrary();
  private final List<Loop> loops = new ArrayList<>();

  /**
   * Loads the library that measures.
   *
   * @throws UnsatisfiedLinkError if it is not there
   */
  public Ceilings() {
    for (int i = 0; i < library.count(); i++) {
      String[] fields = library.describe(i).split(",", 3);
      loops.add(new Loop(fields[0], fields[1], fields[2], i));
    }
  }

  /** Returns what this processor can run; of each kind, the widest instructions come last. */
  public List<Loop> loops() {
    return List.copyOf(loops);
  }

  /**
   * Returns the cores that a context of this many threads is pinned to.
   *
   * @param text as {@code DeviceInfo.cores} has them, such as {@code 0,1}
   * @return null where they are not pinned
   */
  public static int[] cores(String text, int threads) {
    if (text.isEmpty()) {
      return null;
    }
    int[] all = Arrays.stream(text.split(",")).mapToInt(Integer::parseInt).toArray();
    return all.length < threads ? null : Arrays.copyOf(all, threads);
  }

  /**
   * Measures a loop.
   *
   * @param cores of the threads; null: they are not pinned
   * @param footprint bytes that all threads touch together; ignored for arithmetic
   * @param seconds that it takes, about
   * @return bytes or operations a second of all threads together, of the best of many short rounds
   * @throws IllegalStateException if there is not so much memory or so many threads
   */
  public double measure(Loop loop, int[] cores, int threads, long footprint, double seconds) {
    double rate =
        library.measure(loop.index, cores, threads, loop.touchesMemory() ? footprint : 0, seconds);
    if (rate <= 0) {
      throw new IllegalStateException(
          "The %s of %d bytes on %d threads cannot be measured: there is too little memory, or too"
                  .formatted(loop.kind, footprint, threads)
              + " few threads.");
    }
    return rate;
  }

  /** Returns the bytes of the last-level cache; 32 MB where the system does not say. */
  public long cacheBytes() {
    return library.cacheBytes();
  }
}
