package dev.precis.benchmarks;

import dev.precis.ops.Ops.Activation;
import dev.precis.ops.Ops.PpoCoefficients;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;

/**
 * What a provider is asked to compute: operands and the place for the result, in native memory.
 * Formulas are those of precis.h.
 */
public sealed interface Problem {
  /**
   * {@code y = x W'}.
   *
   * @param x (M, K)
   * @param w (N, K)
   * @param weightType what the provider keeps W as; x, w and y are float32 for int8
   * @param y (M, N)
   */
  record Matmul(Tensor x, Tensor w, DType weightType, Tensor y) implements Problem {}

  /**
   * {@code y = x W' + scaling (x A') B'}.
   *
   * @param x (M, K)
   * @param w (N, K)
   * @param a (R, K)
   * @param b (N, R)
   * @param y (M, N) float32
   */
  record LoraMatmul(Tensor x, Tensor w, Tensor a, Tensor b, float scaling, Tensor y)
      implements Problem {}

  /**
   * The gradients of {@link LoraMatmul} with a frozen W: {@code dx = dy W + dt A}, {@code da = dt'
   * x}, {@code db = dy' t}, where {@code t = scaling x A'} and {@code dt = scaling dy B}.
   *
   * @param x (M, K)
   * @param dy (M, N)
   * @param w (N, K)
   * @param a (R, K)
   * @param b (N, R)
   * @param t (M, R) float32, kept from the forward
   * @param dx (M, K) float32
   * @param da (R, K) float32
   * @param db (N, R) float32
   */
  record LoraBackward(
      Tensor x,
      Tensor dy,
      Tensor w,
      Tensor a,
      Tensor b,
      float scaling,
      Tensor t,
      Tensor dx,
      Tensor da,
      Tensor db)
      implements Problem {}

  /**
   * The loss of PPO's update of a policy with {@code logits = x W'}, and its gradients.
   *
   * @param x (M, D)
   * @param w (V, D)
   * @param actions (M) int32
   * @param weights (M) float32, and so are all below but dx: each row's share of the loss
   * @param dx (M, D) float32
   */
  record PpoLoss(
      Tensor x,
      Tensor w,
      Tensor actions,
      Tensor weights,
      Tensor oldLogProbabilities,
      Tensor advantages,
      Tensor values,
      Tensor oldValues,
      Tensor returns,
      PpoCoefficients coefficients,
      Tensor logProbabilities,
      Tensor entropies,
      Tensor policyLosses,
      Tensor valueLosses,
      Tensor dx,
      Tensor dvalues)
      implements Problem {}

  /**
   * Generalised advantage estimation.
   *
   * @param rewards (sequences, length) float32, as are values and advantages
   * @param lengths (sequences) int32: how much of each counts; what is behind is padding
   */
  record Gae(
      Tensor rewards, Tensor values, Tensor lengths, double gamma, double lambda, Tensor advantages)
      implements Problem {}

  /** {@code y = x / sqrt(mean(x^2) + epsilon) * weight}; x, y (M, D), weight (D). */
  record RmsNorm(Tensor x, Tensor weight, float epsilon, Tensor y) implements Problem {}

  /** {@code y = act(x[:, :F]) * x[:, F:]} or, not gated, {@code y = act(x)}; y (M, F). */
  record ActivationFunction(Tensor x, Activation kind, boolean gated, Tensor y)
      implements Problem {}

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
      implements Problem {
    int sequences() {
      return Math.toIntExact(offsets.dim(0) - 1);
    }
  }

  /**
   * Attention of one new query a row over the row's part of a cache.
   *
   * @param q (M, heads x head_dim), as are kNew, vNew and out
   * @param kNew to be stored at the row's last position first; null: everything is stored already
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
      implements Problem {}

  /** {@code y[t] = table[ids[t]]}; table (V, D), ids (T) int32, y (T, D) float32. */
  record Embedding(Tensor table, Tensor ids, Tensor y) implements Problem {}

  /** Softmax or log-softmax along the rows; x, y (M, N) float32. */
  record Softmax(Tensor x, boolean logarithm, Tensor y) implements Problem {}

  /**
   * One token a row.
   *
   * @param logits (M, V) float32
   * @param topK 0: all; 1: the largest, without a draw
   * @param topP 1: all
   * @param seed of the draws; every run draws anew
   * @param tokens (M) int32
   */
  record Sample(Tensor logits, float temperature, int topK, float topP, long seed, Tensor tokens)
      implements Problem {
    boolean greedy() {
      return topK == 1;
    }
  }

  /** The k largest of each row; x (M, N) float32, values (M, k) float32, indices (M, k) int32. */
  record TopK(Tensor x, Tensor values, Tensor indices) implements Problem {}

  /** {@code y = x}, float32 to bfloat16 or back. */
  record Convert(Tensor x, Tensor y) implements Problem {}
}
