package dev.precis.benchmarks;

import static dev.precis.benchmarks.TorchTensors.call;
import static dev.precis.benchmarks.TorchTensors.notOne;
import static dev.precis.benchmarks.TorchTensors.view;

import dev.precis.benchmarks.Provider.Call;
import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;

/** Attention and its gradients in libtorch. */
final class TorchAttention {
  private TorchAttention() {}

  static Call prepare(AttentionProblem problem) {
    return switch (problem) {
      case AttentionProblem.Attention p -> attention(p);
      case AttentionProblem.AttentionDecode p -> attentionDecode(p);
      case AttentionProblem.AttentionBackward _, AttentionProblem.Disentangled _ ->
          throw notOne(problem);
    };
  }

  private static Call attention(AttentionProblem.Attention p) {
    long[] dims = {p.sequences(), p.length(), p.heads(), p.q().columns() / p.heads()};
    Tensor q = view(p.q(), dims).transpose(1, 2);
    Tensor k = view(p.k(), dims).transpose(1, 2);
    Tensor v = view(p.v(), dims).transpose(1, 2);
    TensorOptional mask = mask(p.bias(), p.length(), p.length(), p.maxDistance(), p.causal(), q);
    DoubleOptional scale = new DoubleOptional(1);
    long[] flat = {p.out().rows(), p.out().columns()};
    return call(
        () ->
            torch
                .scaled_dot_product_attention(q, k, v, mask, 0, false, scale, false)
                .transpose(1, 2)
                .reshape(flat),
        view(p.out()));
  }

  private static Call attentionDecode(AttentionProblem.AttentionDecode p) {
    long rows = p.q().rows();
    long headDim = p.q().columns() / p.heads();
    long[] one = {rows, 1, p.heads(), headDim};
    long[] all = {rows, p.length(), p.heads(), headDim};
    Tensor q = view(p.q(), one).transpose(1, 2);
    Tensor kCache = view(p.kCache(), all);
    Tensor vCache = view(p.vCache(), all);
    Tensor kNew = p.kNew() == null ? null : view(p.kNew(), one);
    Tensor vNew = p.vNew() == null ? null : view(p.vNew(), one);
    Tensor kLast = kCache.narrow(1, p.length() - 1, 1);
    Tensor vLast = vCache.narrow(1, p.length() - 1, 1);
    Tensor k = kCache.transpose(1, 2);
    Tensor v = vCache.transpose(1, 2);
    TensorOptional mask =
        p.bias() == null
            ? new TensorOptional()
            : mask(p.bias(), 1, p.length(), p.maxDistance(), true, q);
    DoubleOptional scale = new DoubleOptional(1);
    long[] flat = {rows, p.out().columns()};
    return call(
        () -> {
          if (kNew != null) {
            kLast.copy_(kNew);
            vLast.copy_(vNew);
          }
          return torch
              .scaled_dot_product_attention(q, k, v, mask, 0, false, scale, false)
              .transpose(1, 2)
              .reshape(flat);
        },
        view(p.out()));
  }

  /** Returns the bias of the last queries as (1, heads, queries, keys), of the type of q. */
  private static TensorOptional mask(
      dev.precis.tensor.Tensor table,
      int queries,
      int keys,
      int maxDistance,
      boolean causal,
      Tensor q) {
    int heads = Math.toIntExact(table.columns());
    int buckets = Math.toIntExact(table.rows());
    float[] values = new float[heads * queries * keys];
    for (int i = 0; i < queries; i++) {
      int position = keys - queries + i;
      for (int j = 0; j < keys; j++) {
        int bucket = RelativePosition.bucket(j - position, buckets, maxDistance, !causal);
        for (int head = 0; head < heads; head++) {
          values[(head * queries + i) * keys + j] =
              causal && j > position ? Float.NEGATIVE_INFINITY : table.get(bucket, head);
        }
      }
    }
    Tensor mask = Tensor.create(values, 1, heads, queries, keys);
    return new TensorOptional(mask.to(q.scalar_type()));
  }
}
