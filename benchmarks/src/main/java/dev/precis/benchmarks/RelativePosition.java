package dev.precis.benchmarks;

/**
 * T5's relative position buckets (Raffel et al. 2020): a bucket for each short distance, then ones
 * that widen with the logarithm of the distance up to the largest. Written apart from the kernels',
 * so that a mistake in either shows.
 */
final class RelativePosition {
  private RelativePosition() {}

  /** Returns the bucket of {@code relative = key position - query position}. */
  static int bucket(int relative, int buckets, int maxDistance, boolean bidirectional) {
    if (bidirectional) {
      int half = buckets / 2;
      return (relative > 0 ? half : 0) + past(Math.abs(relative), half, maxDistance);
    }
    return past(Math.max(-relative, 0), buckets, maxDistance);
  }

  private static int past(int distance, int buckets, int maxDistance) {
    int exact = buckets / 2;
    if (distance < exact) {
      return distance;
    }
    // float32, as the checkpoints were trained: 16, 32 and 64 sit on the edge of a bucket.
    float part =
        (float) Math.log((float) distance / exact) / (float) Math.log((double) maxDistance / exact);
    return Math.min(buckets - 1, exact + (int) (part * (buckets - exact)));
  }
}
