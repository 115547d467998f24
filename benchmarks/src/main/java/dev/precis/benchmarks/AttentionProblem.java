package dev.precis.benchmarks;

import dev.precis.tensor.Tensor;

/** Attention and its gradients. */
public sealed interface AttentionProblem extends Problem {
  /**
   * Attention of equally long sequences over themselves.
   *
   * @param q (sequences x length, heads x head_dim), as are k, v and out
   * @param bias (buckets, heads) float32
   * @param offsets (sequences + 1) int32: where each sequence begins
   */
  record Attention(
      Tensor q,
      Tensor k,
      Tensor v,
      Tensor bias,
      Tensor offsets,
      int length,
      int heads,
      boolean causal,
      int maxDistance,
      Tensor out)
      implements AttentionProblem {
    int sequences() {
      return Math.toIntExact(offsets.dim(0) - 1);
    }
  }

  /**
   * Disentangled attention of equally long sequences over themselves.
   *
   * @param q (sequences x length, heads x head_dim), as are k, v and out
   * @param positionKeys (2 length - 1, heads x head_dim): by the distance of a query from a key
   * @param positionQueries likewise
   * @param offsets (sequences + 1) int32: where each sequence begins
   */
  record Disentangled(
      Tensor q,
      Tensor k,
      Tensor v,
      Tensor positionKeys,
      Tensor positionQueries,
      Tensor offsets,
      int length,
      int heads,
      float scale,
      Tensor out)
      implements AttentionProblem {}

  /**
   * Attention of one new query a row over the row's slice of a KV cache.
   *
   * @param q (M, heads x head_dim), as are kNew, vNew and out
   * @param kNew stored at the row's last position first; null: everything is stored already
   * @param kCache (M x length, heads x head_dim), as is vCache
   * @param bias (buckets, heads) float32; null: none
   * @param keyStarts (M) int32: row x length
   * @param lengths (M) int32: length
   */
  record AttentionDecode(
      Tensor q,
      Tensor kNew,
      Tensor vNew,
      Tensor kCache,
      Tensor vCache,
      Tensor bias,
      Tensor keyStarts,
      Tensor lengths,
      int length,
      int heads,
      int maxDistance,
      Tensor out)
      implements AttentionProblem {}

  /**
   * The gradients of {@link Attention} with a frozen bias.
   *
   * @param forward the forward, which a provider runs once to keep what it needs of it
   * @param dout as out
   * @param dq as q; likewise dk and dv
   */
  record AttentionBackward(Attention forward, Tensor dout, Tensor dq, Tensor dk, Tensor dv)
      implements AttentionProblem {}
}
