package dev.precis.benchmarks;

/** Dimensions of T5-base. */
final class T5Base {
  static final int HEADS = 12;

  /** The width of all heads together. */
  static final int WIDTH = HEADS * 64;

  static final int VOCABULARY = 32128;

  /** Buckets of relative positions. */
  static final int BUCKETS = 32;

  static final int MAX_DISTANCE = 128;

  private T5Base() {}
}
