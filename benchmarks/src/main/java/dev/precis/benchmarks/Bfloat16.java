package dev.precis.benchmarks;

/** Conversion between float and bfloat16, the upper half of a float. */
final class Bfloat16 {
  private Bfloat16() {}

  /** Rounds a finite value to nearest, ties to even. */
  static short of(float x) {
    int bits = Float.floatToRawIntBits(x);
    return (short) ((bits + 0x7fff + (bits >>> 16 & 1)) >>> 16);
  }

  static float toFloat(short bits) {
    return Float.intBitsToFloat(bits << 16);
  }

  static float round(float x) {
    return toFloat(of(x));
  }
}
