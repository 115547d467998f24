package dev.precis.encoder;

/**
 * A DeBERTa's relative positions (He et al. 2021): a table of vectors for the distances of a query
 * from a key, which all layers share.
 *
 * @param buckets of one direction, as {@code position_buckets}: the first half of them are for
 *     single distances, the others widen with the logarithm of the distance; 0: every distance has
 *     a row of its own
 * @param maxDistance the distance at which the buckets end, or the number of distances with a row
 * @param shared whether the projections of queries and keys are those of the contents ({@code
 *     share_att_key})
 * @param byQuery whether queries are multiplied by positions ({@code c2p})
 * @param byKey whether keys are multiplied by positions ({@code p2c})
 * @param normalized whether the table goes through a layer norm ({@code norm_rel_ebd})
 * @param absolute whether the input has absolute positions too ({@code position_biased_input})
 */
public record RelativePositions(
    int buckets,
    int maxDistance,
    boolean shared,
    boolean byQuery,
    boolean byKey,
    boolean normalized,
    boolean absolute) {

  /** Returns the rows of the table of one direction; there are twice as many. */
  public int span() {
    return buckets > 0 ? buckets : maxDistance;
  }

  /** Returns the factor of the scores: one over the root of the width times the number of terms. */
  float scale(int headWidth) {
    int terms = 1 + (byQuery ? 1 : 0) + (byKey ? 1 : 0);
    return (float) (1 / Math.sqrt((double) headWidth * terms));
  }

  /**
   * Returns the row of a distance, in float32 as when the checkpoints were trained, because a
   * bucket ends where a logarithm is rounded.
   *
   * @param distance a query's position - a key's
   */
  int row(int distance) {
    int middle = buckets / 2;
    int size = Math.abs(distance);
    int bucket = distance;
    if (buckets > 0 && size > middle) {
      float part = logarithm((float) size / middle);
      float whole = logarithm((float) ((maxDistance - 1.0) / middle));
      int far = (int) Math.ceil(part / whole * (middle - 1)) + middle;
      bucket = distance > 0 ? far : -far;
    }
    return Math.clamp((long) bucket + span(), 0, 2 * span() - 1);
  }

  /** Returns whether all distances from this one on have the same row, in both directions. */
  boolean isLast(int distance) {
    return row(distance) == 2 * span() - 1 && row(-distance) == 0;
  }

  private static float logarithm(float x) {
    return (float) Math.log(x);
  }
}
