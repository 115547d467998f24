package dev.precis.random;

/**
 * A small generator whose numbers depend on the seed alone, whatever the Java version: the k-th one
 * is
 *
 * <pre>
 *   z = seed + k * 0x9E3779B97F4A7C15
 *   z = (z ^ z >>> 30) * 0xBF58476D1CE4E5B9
 *   z = (z ^ z >>> 27) * 0x94D049BB133111EB
 *   z ^ z >>> 31
 * </pre>
 *
 * <p>Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators (OOPSLA 2014). Belongs to
 * one thread.
 */
public final class SplitMix64 {
  private static final long GOLDEN_GAMMA = 0x9E3779B97F4A7C15L;

  private long state;

  public SplitMix64(long seed) {
    state = seed;
  }

  /** Returns the next 64 bits. */
  public long next() {
    state += GOLDEN_GAMMA;
    long z = state;
    z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
    z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
    return z ^ (z >>> 31);
  }

  /**
   * Returns a number from 0 to {@code bound} - 1: the high half of bits times bound, whose bias of
   * at most bound / 2^64 nobody can measure.
   */
  public int below(int bound) {
    if (bound < 1) {
      throw new IllegalArgumentException("The bound must be 1 or more, not " + bound);
    }
    return (int) Math.unsignedMultiplyHigh(next(), bound);
  }

  /** Returns a seed of its own for each part of a program, and for each step of it. */
  public static long mix(long seed, long... parts) {
    long mixed = new SplitMix64(seed).next();
    for (long part : parts) {
      mixed = new SplitMix64(mixed ^ part).next();
    }
    return mixed;
  }

  /** Returns a number uniform in [0, 1). */
  public double uniform() {
    return (next() >>> 11) * 0x1p-53;
  }

  /** Returns a standard normal number (Box and Muller 1958). */
  public double normal() {
    double u = 1 - uniform();
    double v = uniform();
    return StrictMath.sqrt(-2 * StrictMath.log(u)) * StrictMath.cos(2 * Math.PI * v);
  }

  /** Returns true in {@code percent} of 100 cases. */
  public boolean chance(int percent) {
    return below(100) < percent;
  }

  /** Shuffles in place (Durstenfeld 1964). */
  public void shuffle(int[] values) {
    for (int i = values.length - 1; i > 0; i--) {
      int j = below(i + 1);
      int kept = values[i];
      values[i] = values[j];
      values[j] = kept;
    }
  }
}
