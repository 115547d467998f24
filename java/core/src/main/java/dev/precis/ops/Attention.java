package dev.precis.ops;

import dev.precis.tensor.Tensor;

/**
 * The arguments of {@link Ops#attention}, {@link Ops#attentionBackward}, {@link
 * Ops#attentionDecode} and {@link Ops#disentangledAttention} by meaning.
 */
public final class Attention {
  private Attention() {}

  /**
   * A model's kind of attention.
   *
   * @param causal whether a query sees no later keys
   * @param bidirectional whether the relative position bias tells left from right
   * @param maxDistance from which on all relative positions are one bucket
   * @param scale of the scores
   */
  public record Kind(
      int heads, boolean causal, boolean bidirectional, int maxDistance, float scale) {}

  /**
   * Sequences that lie one behind the other, and how they are read.
   *
   * @param bias (buckets, heads) float32: of the relative position; or null
   * @param queryOffsets (sequences + 1) int32: where each sequence begins
   * @param keyOffsets (sequences + 1) int32
   * @param dropout of the probabilities; null: none
   */
  public record Shape(
      Kind kind, Tensor bias, Tensor queryOffsets, Tensor keyOffsets, DropoutMask dropout) {}

  /**
   * Tensors that attention reads and writes.
   *
   * @param q (queries, heads x head_dim)
   * @param k (keys, heads x head_dim)
   * @param v (keys, heads x head_dim)
   * @param out (queries, heads x head_dim), written
   * @param logSumExp (queries, heads) float32, written: of the scores, for the backward; or null
   */
  public record Operands(Tensor q, Tensor k, Tensor v, Tensor out, Tensor logSumExp) {}

  /**
   * Gradients of attention.
   *
   * @param dq as q, written; likewise dk and dv
   * @param dbias (buckets, heads) float32, added to; or null
   */
  public record Gradients(Tensor dq, Tensor dk, Tensor dv, Tensor dbias) {}

  /**
   * Disentangled attention (He et al. 2021): relative positions as vectors, which queries and keys
   * are multiplied by.
   *
   * <pre>
   *   score = scale (q . k + q . positionKeys[r] + k . positionQueries[r])
   *   r = min(max(query - key, -reach), reach) + reach
   * </pre>
   *
   * @param scale of the scores
   * @param positionKeys (2 reach + 1, heads x head_dim), of the type of q; null: no such term
   * @param positionQueries likewise
   */
  public record Disentangled(int heads, float scale, Tensor positionKeys, Tensor positionQueries) {}

  /** Keys and values, each (rows, heads x head_dim). */
  public record KeyValue(Tensor keys, Tensor values) {}

  /**
   * The part of a KV cache that each row of a decoding step reads.
   *
   * @param keyStarts (M) int32: where the row's keys begin in the cache
   * @param lengths (M) int32: how many keys count
   * @param ancestors (M, positions) int32: the slot in which each position was computed; or null
   * @param slotRows cache rows of a slot, with ancestors
   */
  public record CacheRows(Tensor keyStarts, Tensor lengths, Tensor ancestors, long slotRows) {}
}
