package dev.precis.benchmarks;

import dev.precis.benchmarks.Provider.Call;
import dev.precis.ops.Attention;
import dev.precis.ops.Ops;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;

/** Attention by this project's kernels. */
final class PrecisAttention {
  private final PrecisProvider precis;
  private final Ops ops;

  PrecisAttention(PrecisProvider precis) {
    this.precis = precis;
    this.ops = precis.ops();
  }

  Call prepare(AttentionProblem problem) {
    return switch (problem) {
      case AttentionProblem.Attention p -> {
        Attention.Operands operands = operands(p, null);
        Attention.Shape shape = shape(p);
        yield () -> ops.attention(operands, shape);
      }
      case AttentionProblem.Disentangled p -> {
        Attention.Operands operands = new Attention.Operands(p.q(), p.k(), p.v(), p.out(), null);
        Attention.Disentangled kind =
            new Attention.Disentangled(p.heads(), p.scale(), p.positionKeys(), p.positionQueries());
        yield () -> ops.disentangledAttention(operands, kind, p.offsets());
      }
      case AttentionProblem.AttentionBackward p -> attentionBackward(p);
      case AttentionProblem.AttentionDecode p -> attentionDecode(p);
    };
  }

  private static Attention.Operands operands(AttentionProblem.Attention p, Tensor logSumExp) {
    return new Attention.Operands(p.q(), p.k(), p.v(), p.out(), logSumExp);
  }

  private static Attention.Shape shape(AttentionProblem.Attention p) {
    Attention.Kind kind =
        new Attention.Kind(p.heads(), p.causal(), !p.causal(), p.maxDistance(), 1);
    return new Attention.Shape(kind, p.bias(), p.offsets(), p.offsets(), null);
  }

  private Call attentionBackward(AttentionProblem.AttentionBackward p) {
    Tensor logSumExp = precis.tensor(DType.FLOAT32, p.forward().q().rows(), p.forward().heads());
    Attention.Operands operands = operands(p.forward(), logSumExp);
    Attention.Shape shape = shape(p.forward());
    ops.attention(operands, shape);
    Attention.Gradients gradients = new Attention.Gradients(p.dq(), p.dk(), p.dv(), null);
    return () -> ops.attentionBackward(operands, shape, p.dout(), gradients);
  }

  private Call attentionDecode(AttentionProblem.AttentionDecode p) {
    Attention.KeyValue added = new Attention.KeyValue(p.kNew(), p.vNew());
    Attention.KeyValue cache = new Attention.KeyValue(p.kCache(), p.vCache());
    Attention.CacheRows rows = new Attention.CacheRows(p.keyStarts(), p.lengths(), null, 0);
    Attention.Kind kind = new Attention.Kind(p.heads(), true, false, p.maxDistance(), 1);
    return () -> ops.attentionDecode(p.q(), added, cache, p.out(), p.bias(), rows, kind);
  }
}
