package dev.precis.benchmarks;

/**
 * What one call does, so that a time becomes a rate.
 *
 * @param amount in the rate's unit times seconds
 * @param rate the unit of amount per second
 */
record Work(double amount, String rate) {
  /** Multiplications and additions, where arithmetic is the limit. */
  static Work flops(double flops) {
    return new Work(flops / 1e9, "GFLOP/s");
  }

  /** Bytes that have to be read or written once, where memory is the limit. */
  static Work bytes(double bytes) {
    return new Work(bytes / 1e9, "GB/s");
  }
}
