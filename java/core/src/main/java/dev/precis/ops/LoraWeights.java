package dev.precis.ops;

import dev.precis.ffi.generated.Precis;
import java.util.List;

/**
 * The low-rank terms of a product (Hu et al. 2021), packed for {@link Ops#loraMatmul}: {@code (x A'
 * . s) B'}.
 *
 * @param a (R, K): the adapters' down-projections, one below the other
 * @param b (N, R): their up-projections, zero where an output has no adapter
 * @param segments which outputs use which ranks, with which scaling
 */
public record LoraWeights(PackedMatrix a, PackedMatrix b, List<Segment> segments) {
  /** The most segments of one product. */
  public static final int MAX_SEGMENTS = Precis.PRECIS_MAX_LORA_SEGMENTS();

  /** Keeps its own copy of the segments. */
  public LoraWeights {
    segments = List.copyOf(segments);
    if (segments.size() > MAX_SEGMENTS) {
      throw new IllegalArgumentException(
          "A product takes at most " + MAX_SEGMENTS + " segments, not " + segments.size() + ".");
    }
  }

  /**
   * One adapter's part of a fused product: outputs {@code [outputBegin, outputEnd)} use ranks
   * {@code [rankBegin, rankEnd)}.
   */
  public record Segment(
      long outputBegin, long outputEnd, long rankBegin, long rankEnd, float scaling) {}

  /**
   * Dropout inside a product with low-rank terms.
   *
   * @param ofX of the input of A, as in training; otherwise of the low-rank term of y, as in the
   *     gradient of that, where y is float32
   */
  public record Dropout(boolean ofX, DropoutMask mask) {}
}
