package dev.precis.ops;

import dev.precis.ffi.Context;
import dev.precis.ffi.generated.Precis;
import dev.precis.ffi.generated.precis_attention_args;
import dev.precis.ffi.generated.precis_attention_backward_args;
import dev.precis.ffi.generated.precis_attention_decode_args;
import dev.precis.ffi.generated.precis_disentangled_attention_args;
import dev.precis.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Attention over sequences, its gradients, and attention over a KV cache. */
final class AttentionKernels extends Kernels {
  private final MemorySegment attention = block(precis_attention_args.layout());
  private final MemorySegment backward = block(precis_attention_backward_args.layout());
  private final MemorySegment decode = block(precis_attention_decode_args.layout());
  private final MemorySegment disentangled = block(precis_disentangled_attention_args.layout());

  AttentionKernels(Context context, OpTimer timer, Arena arena) {
    super(context, timer, arena);
  }

  void attention(Attention.Operands operands, Attention.Shape shape) {
    putForward(attention, operands, shape);
    if (timer.isOn()) {
      timer.count(2 * pairs(shape) * operands.q().columns(), 0);
    }
    check("attention", Precis.precis_attention(begin(), attention));
  }

  void backward(
      Attention.Operands operands,
      Attention.Shape shape,
      Tensor dout,
      Attention.Gradients gradients) {
    putForward(precis_attention_backward_args.forward(backward), operands, shape);
    put(backward, precis_attention_backward_args.dout$offset(), dout);
    put(backward, precis_attention_backward_args.dq$offset(), gradients.dq());
    put(backward, precis_attention_backward_args.dk$offset(), gradients.dk());
    put(backward, precis_attention_backward_args.dv$offset(), gradients.dv());
    put(backward, precis_attention_backward_args.dbias$offset(), gradients.dbias());
    if (timer.isOn()) {
      // The scores again, and the gradients of probabilities, values, queries and keys.
      timer.count(5 * pairs(shape) * operands.q().columns(), 0);
    }
    check("attention_backward", Precis.precis_attention_backward(begin(), backward));
  }

  /** Returns the number of pairs of a query and a key that it sees. */
  private static double pairs(Attention.Shape shape) {
    return pairs(shape.queryOffsets(), shape.keyOffsets(), shape.kind().causal());
  }

  private static double pairs(Tensor queryOffsets, Tensor keyOffsets, boolean causal) {
    MemorySegment queries = queryOffsets.toHost();
    MemorySegment keys = keyOffsets.toHost();
    double pairs = 0;
    for (long i = 0; i + 1 < queryOffsets.dim(0); i++) {
      double m = length(queries, i);
      double n = length(keys, i);
      pairs += causal ? m * (m + 1) / 2 + m * Math.max(0, n - m) : m * n;
    }
    return pairs;
  }

  private static int length(MemorySegment offsets, long i) {
    return offsets.getAtIndex(ValueLayout.JAVA_INT, i + 1)
        - offsets.getAtIndex(ValueLayout.JAVA_INT, i);
  }

  private static void putForward(
      MemorySegment to, Attention.Operands operands, Attention.Shape shape) {
    put(to, precis_attention_args.q$offset(), operands.q());
    put(to, precis_attention_args.k$offset(), operands.k());
    put(to, precis_attention_args.v$offset(), operands.v());
    put(to, precis_attention_args.out$offset(), operands.out());
    put(to, precis_attention_args.log_sum_exp$offset(), operands.logSumExp());
    put(to, precis_attention_args.bias$offset(), shape.bias());
    precis_attention_args.query_offsets(to, shape.queryOffsets().address());
    precis_attention_args.key_offsets(to, shape.keyOffsets().address());
    precis_attention_args.sequences(to, Math.toIntExact(shape.queryOffsets().dim(0) - 1));
    Attention.Kind kind = shape.kind();
    precis_attention_args.heads(to, kind.heads());
    precis_attention_args.causal(to, flag(kind.causal()));
    precis_attention_args.bidirectional(to, flag(kind.bidirectional()));
    precis_attention_args.max_distance(to, kind.maxDistance());
    precis_attention_args.scale(to, kind.scale());
    DropoutMask dropout = shape.dropout();
    precis_attention_args.dropout(to, dropout == null ? 0 : dropout.probability());
    precis_attention_args.seed(to, dropout == null ? 0 : dropout.seed());
    precis_attention_args.offset(to, dropout == null ? 0 : dropout.offset());
    put(to, precis_attention_args.dropout_rows$offset(), dropout == null ? null : dropout.rows());
  }

  void disentangled(Attention.Operands operands, Attention.Disentangled kind, Tensor offsets) {
    put(disentangled, precis_disentangled_attention_args.q$offset(), operands.q());
    put(disentangled, precis_disentangled_attention_args.k$offset(), operands.k());
    put(disentangled, precis_disentangled_attention_args.v$offset(), operands.v());
    put(disentangled, precis_disentangled_attention_args.out$offset(), operands.out());
    put(
        disentangled,
        precis_disentangled_attention_args.position_keys$offset(),
        kind.positionKeys());
    put(
        disentangled,
        precis_disentangled_attention_args.position_queries$offset(),
        kind.positionQueries());
    precis_disentangled_attention_args.offsets(disentangled, offsets.address());
    precis_disentangled_attention_args.sequences(disentangled, Math.toIntExact(offsets.dim(0) - 1));
    precis_disentangled_attention_args.heads(disentangled, kind.heads());
    precis_disentangled_attention_args.scale(disentangled, kind.scale());
    if (timer.isOn()) {
      int terms =
          2 + (kind.positionKeys() == null ? 0 : 1) + (kind.positionQueries() == null ? 0 : 1);
      timer.count(terms * pairs(offsets, offsets, false) * operands.q().columns(), 0);
    }
    check("disentangled_attention", Precis.precis_disentangled_attention(begin(), disentangled));
  }

  void decode(
      Tensor q,
      Attention.KeyValue added,
      Attention.KeyValue cache,
      Tensor out,
      Tensor bias,
      Attention.CacheRows rows,
      Attention.Kind kind) {
    put(decode, precis_attention_decode_args.q$offset(), q);
    put(decode, precis_attention_decode_args.k_new$offset(), added == null ? null : added.keys());
    put(decode, precis_attention_decode_args.v_new$offset(), added == null ? null : added.values());
    put(decode, precis_attention_decode_args.k_cache$offset(), cache.keys());
    put(decode, precis_attention_decode_args.v_cache$offset(), cache.values());
    put(decode, precis_attention_decode_args.out$offset(), out);
    put(decode, precis_attention_decode_args.bias$offset(), bias);
    Tensor ancestors = rows.ancestors();
    precis_attention_decode_args.key_starts(decode, rows.keyStarts().address());
    precis_attention_decode_args.lengths(decode, rows.lengths().address());
    precis_attention_decode_args.ancestors(decode, address(ancestors));
    precis_attention_decode_args.ancestor_stride(
        decode, ancestors == null ? 0 : ancestors.rowStride());
    precis_attention_decode_args.slot_rows(decode, rows.slotRows());
    precis_attention_decode_args.heads(decode, kind.heads());
    precis_attention_decode_args.max_distance(decode, kind.maxDistance());
    precis_attention_decode_args.scale(decode, kind.scale());
    if (timer.isOn()) {
      double keys = 0;
      MemorySegment lengths = rows.lengths().toHost();
      for (long i = 0; i < q.rows(); i++) {
        keys += lengths.getAtIndex(ValueLayout.JAVA_INT, i);
      }
      keys *= 2 * q.columns();
      timer.count(keys, keys * cache.keys().dtype().bytes());
    }
    check("attention_decode", Precis.precis_attention_decode(begin(), decode));
  }
}
