package dev.precis.benchmarks;

import static dev.precis.benchmarks.TorchTensors.backward;
import static dev.precis.benchmarks.TorchTensors.call;
import static dev.precis.benchmarks.TorchTensors.leaf;
import static dev.precis.benchmarks.TorchTensors.view;

import dev.precis.benchmarks.Provider.Call;
import java.util.Arrays;
import java.util.function.Supplier;
import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.Scalar;
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
      case AttentionProblem.AttentionBackward p -> attentionBackward(p);
      case AttentionProblem.Disentangled p -> disentangled(p);
    };
  }

  private static Call attention(AttentionProblem.Attention p) {
    Supplier<Tensor> attention = attention(p, view(p.q()), view(p.k()), view(p.v()));
    return call(attention, view(p.out()));
  }

  /**
   * Returns the attention of q, k and v of these dims, as transformers 5 computes it by default.
   */
  private static Supplier<Tensor> attention(
      AttentionProblem.Attention p, Tensor q, Tensor k, Tensor v) {
    long[] dims = {p.sequences(), p.length(), p.heads(), p.q().columns() / p.heads()};
    Tensor queries = q.view(dims).transpose(1, 2);
    Tensor keys = k.view(dims).transpose(1, 2);
    Tensor values = v.view(dims).transpose(1, 2);
    TensorOptional mask = mask(p.bias(), p.length(), p.length(), p.maxDistance(), p.causal(), q);
    DoubleOptional scale = new DoubleOptional(1);
    long[] flat = {p.out().rows(), p.out().columns()};
    return () ->
        torch
            .scaled_dot_product_attention(queries, keys, values, mask, 0, false, scale, false)
            .transpose(1, 2)
            .reshape(flat);
  }

  /** Runs autograd's backward, which is fused as the forward is. */
  private static Call attentionBackward(AttentionProblem.AttentionBackward p) {
    AttentionProblem.Attention f = p.forward();
    Tensor[] leaves = {leaf(f.q()), leaf(f.k()), leaf(f.v())};
    Tensor out = attention(f, leaves[0], leaves[1], leaves[2]).get();
    return backward(out, view(p.dout()), leaves, view(p.dq()), view(p.dk()), view(p.dv()));
  }

  /**
   * Computes the terms of positions as DeBERTa in transformers does, by products with all positions
   * and a gather, but of strided heads where transformers copies; they are the bias of attention.
   */
  private static Call disentangled(AttentionProblem.Disentangled p) {
    long length = p.length();
    long sequences = p.q().rows() / length;
    long headDim = p.q().columns() / p.heads();
    long positions = p.positionKeys().rows();
    long[] dims = {sequences, length, p.heads(), headDim};
    Tensor q = view(p.q(), dims).transpose(1, 2);
    Tensor k = view(p.k(), dims).transpose(1, 2);
    Tensor v = view(p.v(), dims).transpose(1, 2);
    // (heads, rows, head_dim), and the positions' transposed.
    Tensor queries = heads(p.q(), p.heads());
    Tensor keys = heads(p.k(), p.heads());
    Tensor positionKeys = heads(p.positionKeys(), p.heads()).transpose(1, 2);
    Tensor positionQueries = heads(p.positionQueries(), p.heads()).transpose(1, 2);
    long[] byPosition = {p.heads(), sequences, length, positions};
    long[] byKey = {p.heads(), sequences, length, length};
    Tensor index = Tensor.create(distances(p.length()), length, length);
    Tensor ofQuery = index.expand(byKey);
    Tensor ofKey = index.t().expand(byKey);
    Scalar scale = new Scalar(p.scale());
    DoubleOptional scaling = new DoubleOptional(p.scale());
    long[] flat = {p.out().rows(), p.out().columns()};
    return call(
        () -> {
          Tensor contentToPosition =
              torch.bmm(torch.mul(queries, scale), positionKeys).view(byPosition);
          Tensor positionToContent =
              torch.bmm(torch.mul(keys, scale), positionQueries).view(byPosition);
          Tensor bias =
              torch
                  .gather(contentToPosition, -1, ofQuery)
                  .add_(torch.gather(positionToContent, -1, ofKey).transpose(2, 3))
                  .transpose(0, 1);
          TensorOptional mask = new TensorOptional(bias);
          return torch
              .scaled_dot_product_attention(q, k, v, mask, 0, false, scaling, false)
              .transpose(1, 2)
              .reshape(flat);
        },
        view(p.out()));
  }

  /** Returns (heads, rows, head_dim) of (rows, heads x head_dim), without a copy. */
  private static Tensor heads(dev.precis.tensor.Tensor tensor, int heads) {
    return view(tensor, tensor.rows(), heads, tensor.columns() / heads).transpose(0, 1);
  }

  /** Returns the row of the positions for each query and key. */
  private static long[] distances(int length) {
    long[] rows = new long[length * length];
    Arrays.setAll(rows, i -> i / length - i % length + length - 1);
    return rows;
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
