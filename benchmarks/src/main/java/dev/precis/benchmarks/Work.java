package dev.precis.benchmarks;

import dev.precis.tensor.DType;

/**
 * The work of one call: what becomes a rate when it is divided by a time, and what the roofline
 * says that it takes at least.
 *
 * <p>Bytes are those that have to be read or written once. They are hot where they stay in the
 * cache from call to call, and cold where each call finds them in memory. Operations are additions
 * and multiplications; an exponential, a logarithm, a root, a division and a random number count as
 * one each, so that the roofline stays a bound of the time from below.
 *
 * @param unit of the rate
 * @param count the amount where the unit is neither that of bytes nor that of operations
 * @param type of the operands of the operations, which decides what instructions there are
 */
record Work(
    String unit,
    double count,
    double hotRead,
    double hotWritten,
    double coldRead,
    double coldWritten,
    double operations,
    DType type) {
  private static final String BYTES = "GB/s";
  private static final String OPERATIONS = "GFLOP/s";

  /** Returns work whose rate is in bytes, because memory is the limit. */
  static Work ofMemory() {
    return counted(0, BYTES);
  }

  /** Returns work whose rate is in operations, because arithmetic is the limit. */
  static Work ofArithmetic() {
    return counted(0, OPERATIONS);
  }

  /** Returns work with a rate in another unit, which has no roofline. */
  static Work counted(double count, String unit) {
    return new Work(unit, count, 0, 0, 0, 0, 0, DType.FLOAT32);
  }

  /** Returns this work with bytes that stay in the cache from call to call. */
  Work hot(double read, double written) {
    return new Work(unit, count, read, written, coldRead, coldWritten, operations, type);
  }

  /** Returns this work with bytes that each call finds in memory. */
  Work cold(double read, double written) {
    return new Work(unit, count, hotRead, hotWritten, read, written, operations, type);
  }

  /** Returns this work with a number of operations on operands of a type. */
  Work operations(DType type, double operations) {
    return new Work(unit, count, hotRead, hotWritten, coldRead, coldWritten, operations, type);
  }

  /** Returns this work with a number of operations in float32. */
  Work operations(double operations) {
    return operations(DType.FLOAT32, operations);
  }

  /** Returns the amount of work, in the rate's unit times seconds. */
  double amount() {
    return switch (unit) {
      case BYTES -> (hotRead + hotWritten + coldRead + coldWritten) / 1e9;
      case OPERATIONS -> operations / 1e9;
      default -> count;
    };
  }
}
