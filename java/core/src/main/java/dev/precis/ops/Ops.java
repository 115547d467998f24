package dev.precis.ops;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.precis.ffi.Context;
import dev.precis.ffi.generated.Precis;
import dev.precis.ffi.generated.precis_activation_args;
import dev.precis.ffi.generated.precis_attention_args;
import dev.precis.ffi.generated.precis_attention_decode_args;
import dev.precis.ffi.generated.precis_convert_args;
import dev.precis.ffi.generated.precis_embedding_args;
import dev.precis.ffi.generated.precis_logit_rules;
import dev.precis.ffi.generated.precis_lora_matmul_args;
import dev.precis.ffi.generated.precis_lora_segment;
import dev.precis.ffi.generated.precis_matmul_args;
import dev.precis.ffi.generated.precis_matmul_pack_args;
import dev.precis.ffi.generated.precis_packed_matrix;
import dev.precis.ffi.generated.precis_process_logits_args;
import dev.precis.ffi.generated.precis_rms_norm_args;
import dev.precis.ffi.generated.precis_sample_args;
import dev.precis.ffi.generated.precis_softmax_args;
import dev.precis.ffi.generated.precis_tensor;
import dev.precis.ffi.generated.precis_top_k_args;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/**
 * One method for each kernel of precis.h, which holds the formulas. Shapes and types are checked by
 * the library; what it refuses comes back as a {@link dev.precis.ffi.NativeException}.
 *
 * <p>Not for several threads: the argument blocks are reused, so that a call allocates nothing.
 */
public final class Ops implements AutoCloseable {
  private final Context context;
  private final MemorySegment handle;
  private final Arena arena = Arena.ofShared();
  private final MemorySegment pack = arena.allocate(precis_matmul_pack_args.layout());
  private final MemorySegment matmul = arena.allocate(precis_matmul_args.layout());
  private final MemorySegment loraMatmul = arena.allocate(precis_lora_matmul_args.layout());
  private final MemorySegment convert = arena.allocate(precis_convert_args.layout());
  private final MemorySegment embedding = arena.allocate(precis_embedding_args.layout());
  private final MemorySegment rmsNorm = arena.allocate(precis_rms_norm_args.layout());
  private final MemorySegment activation = arena.allocate(precis_activation_args.layout());
  private final MemorySegment softmax = arena.allocate(precis_softmax_args.layout());
  private final MemorySegment topK = arena.allocate(precis_top_k_args.layout());
  private final MemorySegment attention = arena.allocate(precis_attention_args.layout());
  private final MemorySegment decode = arena.allocate(precis_attention_decode_args.layout());
  private final MemorySegment process = arena.allocate(precis_process_logits_args.layout());
  private final MemorySegment sample = arena.allocate(precis_sample_args.layout());

  /** Operations on a context, which must outlive this. */
  public Ops(Context context) {
    this.context = context;
    this.handle = context.handle();
  }

  public Context context() {
    return context;
  }

  /** {@code precis_activation_kind}, in its order. */
  public enum Activation {
    RELU,
    GELU_TANH,
    GELU_ERF,
    SILU,
    TANH
  }

  /**
   * What is done to scores before a token is chosen; the order and the formulas are those of {@code
   * precis_logit_rules}.
   *
   * @param history (M, length) int32: the tokens so far, the start token included
   * @param historyLengths (M) int32
   * @param endTokens int32, rank 1
   * @param repetitionPenalty 1: none
   * @param noRepeatNgramSize 0: none
   */
  public record LogitRules(
      Tensor history,
      Tensor historyLengths,
      Tensor endTokens,
      float repetitionPenalty,
      int noRepeatNgramSize,
      int minNewTokens) {}

  /**
   * One adapter's share of a fused product: outputs {@code [outputBegin, outputEnd)} use ranks
   * {@code [rankBegin, rankEnd)}.
   */
  public record LoraSegment(
      long outputBegin, long outputEnd, long rankBegin, long rankEnd, float scaling) {}

  /**
   * Packs weights (n_i, K), float32 or bfloat16, stacked along their outputs, into one matrix.
   *
   * @param owner frees the packed memory
   * @param dtype float32, bfloat16 or int8 (symmetric per output)
   */
  public PackedMatrix pack(Arena owner, DType dtype, List<Tensor> weights) {
    long outputs = packArguments(dtype, weights);
    long bytes;
    try (Arena call = Arena.ofConfined()) {
      MemorySegment size = call.allocate(JAVA_LONG);
      context.check(Precis.precis_matmul_pack_size(handle, pack, size));
      bytes = size.get(JAVA_LONG, 0);
    }
    MemorySegment memory = context.allocate(owner, bytes);
    repack(memory);
    return new PackedMatrix(memory, outputs, weights.getFirst().columns(), dtype);
  }

  /** Packs weights of the same shapes into the memory of an earlier {@link #pack}. */
  public void repack(PackedMatrix target, List<Tensor> weights) {
    packArguments(target.dtype(), weights);
    repack(target.memory());
  }

  private long packArguments(DType dtype, List<Tensor> weights) {
    if (weights.isEmpty() || weights.size() > 4) {
      throw new IllegalArgumentException(
          "1 to 4 weights are packed at once, not " + weights.size());
    }
    long outputs = 0;
    for (int i = 0; i < weights.size(); i++) {
      put(
          pack,
          precis_matmul_pack_args.weights$offset() + i * precis_tensor.sizeof(),
          weights.get(i));
      outputs += weights.get(i).rows();
    }
    precis_matmul_pack_args.weight_count(pack, weights.size());
    precis_matmul_pack_args.dtype(pack, dtype.ordinal());
    return outputs;
  }

  private void repack(MemorySegment memory) {
    precis_matmul_pack_args.packed(pack, memory);
    precis_matmul_pack_args.packed_bytes(pack, memory.byteSize());
    context.check(Precis.precis_matmul_pack(handle, pack));
  }

  /** {@code y = alpha x W'}, or {@code y += alpha x W'}; x (M, K), W (N, K), y (M, N). */
  public void matmul(Tensor x, PackedMatrix w, Tensor y, float alpha, boolean accumulate) {
    put(matmul, precis_matmul_args.x$offset(), x);
    put(matmul, precis_matmul_args.w$offset(), w);
    put(matmul, precis_matmul_args.y$offset(), y);
    precis_matmul_args.alpha(matmul, alpha);
    precis_matmul_args.accumulate(matmul, accumulate ? 1 : 0);
    context.check(Precis.precis_matmul(handle, matmul));
  }

  /** {@code y (+)= alpha (x W' + (x A' . s) B')}; x (M, K), W (N, K), A (R, K), B (N, R). */
  public void loraMatmul(
      Tensor x,
      PackedMatrix w,
      PackedMatrix a,
      PackedMatrix b,
      List<LoraSegment> segments,
      Tensor y,
      float alpha,
      boolean accumulate) {
    if (segments.size() > 4) {
      throw new IllegalArgumentException("At most 4 segments, not " + segments.size());
    }
    put(loraMatmul, precis_lora_matmul_args.x$offset(), x);
    put(loraMatmul, precis_lora_matmul_args.w$offset(), w);
    put(loraMatmul, precis_lora_matmul_args.a$offset(), a);
    put(loraMatmul, precis_lora_matmul_args.b$offset(), b);
    put(loraMatmul, precis_lora_matmul_args.y$offset(), y);
    for (int i = 0; i < segments.size(); i++) {
      MemorySegment to = precis_lora_matmul_args.segments(loraMatmul, i);
      LoraSegment s = segments.get(i);
      precis_lora_segment.output_begin(to, s.outputBegin);
      precis_lora_segment.output_end(to, s.outputEnd);
      precis_lora_segment.rank_begin(to, s.rankBegin);
      precis_lora_segment.rank_end(to, s.rankEnd);
      precis_lora_segment.scaling(to, s.scaling);
    }
    precis_lora_matmul_args.segment_count(loraMatmul, segments.size());
    precis_lora_matmul_args.alpha(loraMatmul, alpha);
    precis_lora_matmul_args.accumulate(loraMatmul, accumulate ? 1 : 0);
    context.check(Precis.precis_lora_matmul(handle, loraMatmul));
  }

  /** {@code y = x}, between float32 and bfloat16. */
  public void convert(Tensor x, Tensor y) {
    put(convert, precis_convert_args.x$offset(), x);
    put(convert, precis_convert_args.y$offset(), y);
    context.check(Precis.precis_convert(handle, convert));
  }

  /** {@code y[t] = table[ids[t]]}; table (V, D), ids (T) int32, y (T, D) float32. */
  public void embedding(Tensor table, Tensor ids, Tensor y) {
    put(embedding, precis_embedding_args.table$offset(), table);
    put(embedding, precis_embedding_args.ids$offset(), ids);
    put(embedding, precis_embedding_args.y$offset(), y);
    context.check(Precis.precis_embedding(handle, embedding));
  }

  /** {@code y = x / sqrt(mean(x^2) + epsilon) * weight}; x, y (M, D), weight (D). */
  public void rmsNorm(Tensor x, Tensor weight, float epsilon, Tensor y) {
    put(rmsNorm, precis_rms_norm_args.x$offset(), x);
    put(rmsNorm, precis_rms_norm_args.weight$offset(), weight);
    put(rmsNorm, precis_rms_norm_args.y$offset(), y);
    precis_rms_norm_args.epsilon(rmsNorm, epsilon);
    context.check(Precis.precis_rms_norm(handle, rmsNorm));
  }

  /** {@code y = act(x)} or, gated, {@code y = act(x[:, :F]) * x[:, F:]}; y (M, F). */
  public void activation(Tensor x, Activation kind, boolean gated, Tensor y) {
    put(activation, precis_activation_args.x$offset(), x);
    put(activation, precis_activation_args.y$offset(), y);
    precis_activation_args.kind(activation, kind.ordinal());
    precis_activation_args.gated(activation, gated ? 1 : 0);
    context.check(Precis.precis_activation(handle, activation));
  }

  /** Softmax or log-softmax along the rows of x (M, N) float32; y may be x. */
  public void softmax(Tensor x, Tensor y, boolean logarithm) {
    put(softmax, precis_softmax_args.x$offset(), x);
    put(softmax, precis_softmax_args.y$offset(), y);
    precis_softmax_args.logarithm(softmax, logarithm ? 1 : 0);
    context.check(Precis.precis_softmax(handle, softmax));
  }

  /** The k largest of each row, largest first; values (M, k) float32, indices (M, k) int32. */
  public void topK(Tensor x, Tensor values, Tensor indices) {
    put(topK, precis_top_k_args.x$offset(), x);
    put(topK, precis_top_k_args.values$offset(), values);
    put(topK, precis_top_k_args.indices$offset(), indices);
    context.check(Precis.precis_top_k(handle, topK));
  }

  /**
   * Attention over sequences that lie one behind the other.
   *
   * @param bias (buckets, heads) float32, or null
   * @param queryOffsets (sequences + 1) int32
   * @param keyOffsets likewise
   */
  public void attention(
      Tensor q,
      Tensor k,
      Tensor v,
      Tensor out,
      Tensor bias,
      Tensor queryOffsets,
      Tensor keyOffsets,
      int heads,
      boolean causal,
      boolean bidirectional,
      int maxDistance,
      float scale) {
    put(attention, precis_attention_args.q$offset(), q);
    put(attention, precis_attention_args.k$offset(), k);
    put(attention, precis_attention_args.v$offset(), v);
    put(attention, precis_attention_args.out$offset(), out);
    put(attention, precis_attention_args.bias$offset(), bias);
    precis_attention_args.query_offsets(attention, queryOffsets.memory());
    precis_attention_args.key_offsets(attention, keyOffsets.memory());
    precis_attention_args.sequences(attention, Math.toIntExact(queryOffsets.dim(0) - 1));
    precis_attention_args.heads(attention, heads);
    precis_attention_args.causal(attention, causal ? 1 : 0);
    precis_attention_args.bidirectional(attention, bidirectional ? 1 : 0);
    precis_attention_args.max_distance(attention, maxDistance);
    precis_attention_args.scale(attention, scale);
    context.check(Precis.precis_attention(handle, attention));
  }

  /**
   * One query a row over a cache (rows, heads x head_dim).
   *
   * @param kNew (M, heads x head_dim), stored at position length - 1 first; null: nothing is stored
   * @param bias (buckets, heads) float32, or null
   * @param keyStarts (M) int32: where row r's keys begin in the cache
   * @param lengths (M) int32: how many keys count
   * @param ancestors (M, positions) int32, the slot in which each position was computed, or null
   * @param slotRows cache rows of a slot, with ancestors
   */
  public void attentionDecode(
      Tensor q,
      Tensor kNew,
      Tensor vNew,
      Tensor kCache,
      Tensor vCache,
      Tensor out,
      Tensor bias,
      Tensor keyStarts,
      Tensor lengths,
      Tensor ancestors,
      long slotRows,
      int heads,
      int maxDistance,
      float scale) {
    put(decode, precis_attention_decode_args.q$offset(), q);
    put(decode, precis_attention_decode_args.k_new$offset(), kNew);
    put(decode, precis_attention_decode_args.v_new$offset(), vNew);
    put(decode, precis_attention_decode_args.k_cache$offset(), kCache);
    put(decode, precis_attention_decode_args.v_cache$offset(), vCache);
    put(decode, precis_attention_decode_args.out$offset(), out);
    put(decode, precis_attention_decode_args.bias$offset(), bias);
    precis_attention_decode_args.key_starts(decode, keyStarts.memory());
    precis_attention_decode_args.lengths(decode, lengths.memory());
    precis_attention_decode_args.ancestors(
        decode, ancestors == null ? MemorySegment.NULL : ancestors.memory());
    precis_attention_decode_args.ancestor_stride(
        decode, ancestors == null ? 0 : ancestors.rowStride());
    precis_attention_decode_args.slot_rows(decode, slotRows);
    precis_attention_decode_args.heads(decode, heads);
    precis_attention_decode_args.max_distance(decode, maxDistance);
    precis_attention_decode_args.scale(decode, scale);
    context.check(Precis.precis_attention_decode(handle, decode));
  }

  /** Applies the rules to scores (M, V) float32, in place. */
  public void processLogits(Tensor scores, LogitRules rules) {
    put(process, precis_process_logits_args.scores$offset(), scores);
    put(precis_process_logits_args.rules(process), rules);
    context.check(Precis.precis_process_logits(handle, process));
  }

  /**
   * The largest logit of each row after the rules, the lowest index among equals.
   *
   * @param tokens (M) int32
   * @param logProbabilities (M) float32 of the logits as they came in, or null
   */
  public void greedy(Tensor logits, LogitRules rules, Tensor tokens, Tensor logProbabilities) {
    precis_sample_args.greedy(sample, 1);
    precis_sample_args.temperature(sample, 1);
    precis_sample_args.top_k(sample, 0);
    precis_sample_args.top_p(sample, 1);
    precis_sample_args.streams(sample, MemorySegment.NULL);
    precis_sample_args.offsets(sample, MemorySegment.NULL);
    sample(logits, rules, tokens, logProbabilities, null, null);
  }

  /**
   * Draws a token for each row.
   *
   * @param streams (M) int64: which sequence a row belongs to
   * @param offsets (M) int64: which step it is at
   * @param topK 0: all
   * @param topP 1: all
   * @param logProbabilities (M) float32 of the logits as they came in, or null
   * @param warpedLogProbabilities (M) float32 of the distribution that was drawn from, or null
   * @param probabilities (M, V) float32, that distribution, or null
   */
  public void sample(
      Tensor logits,
      LogitRules rules,
      long seed,
      Tensor streams,
      Tensor offsets,
      float temperature,
      int topK,
      float topP,
      Tensor tokens,
      Tensor logProbabilities,
      Tensor warpedLogProbabilities,
      Tensor probabilities) {
    precis_sample_args.greedy(sample, 0);
    precis_sample_args.seed(sample, seed);
    precis_sample_args.streams(sample, streams.memory());
    precis_sample_args.offsets(sample, offsets.memory());
    precis_sample_args.temperature(sample, temperature);
    precis_sample_args.top_k(sample, topK);
    precis_sample_args.top_p(sample, topP);
    sample(logits, rules, tokens, logProbabilities, warpedLogProbabilities, probabilities);
  }

  private void sample(
      Tensor logits,
      LogitRules rules,
      Tensor tokens,
      Tensor logProbabilities,
      Tensor warpedLogProbabilities,
      Tensor probabilities) {
    put(sample, precis_sample_args.logits$offset(), logits);
    put(precis_sample_args.rules(sample), rules);
    precis_sample_args.tokens(sample, tokens.memory());
    precis_sample_args.log_probabilities(sample, memoryOrNull(logProbabilities));
    precis_sample_args.warped_log_probabilities(sample, memoryOrNull(warpedLogProbabilities));
    put(sample, precis_sample_args.probabilities$offset(), probabilities);
    context.check(Precis.precis_sample(handle, sample));
  }

  private static MemorySegment memoryOrNull(Tensor tensor) {
    return tensor == null ? MemorySegment.NULL : tensor.memory();
  }

  private static void put(MemorySegment to, LogitRules rules) {
    precis_logit_rules.history(to, rules.history.memory());
    precis_logit_rules.history_lengths(to, rules.historyLengths.memory());
    precis_logit_rules.history_stride(to, rules.history.rowStride());
    precis_logit_rules.end_tokens(to, rules.endTokens.memory());
    precis_logit_rules.end_token_count(to, Math.toIntExact(rules.endTokens.dim(0)));
    precis_logit_rules.repetition_penalty(to, rules.repetitionPenalty);
    precis_logit_rules.no_repeat_ngram_size(to, rules.noRepeatNgramSize);
    precis_logit_rules.min_new_tokens(to, rules.minNewTokens);
  }

  private static final long DATA = precis_tensor.data$offset();
  private static final long DIMS = precis_tensor.dims$offset();
  private static final long ROW_STRIDE = precis_tensor.row_stride$offset();
  private static final long RANK = precis_tensor.rank$offset();
  private static final long DTYPE = precis_tensor.dtype$offset();

  /** Writes a {@code precis_tensor}; null is an optional tensor that is absent. */
  private static void put(MemorySegment to, long offset, Tensor t) {
    if (t == null) {
      to.set(ValueLayout.ADDRESS, offset + DATA, MemorySegment.NULL);
      to.set(JAVA_INT, offset + RANK, 0);
      return;
    }
    to.set(ValueLayout.ADDRESS, offset + DATA, t.memory());
    int rank = t.rank();
    for (int i = 0; i < rank; i++) {
      to.set(JAVA_LONG, offset + DIMS + 8L * i, t.dim(i));
    }
    to.set(JAVA_LONG, offset + ROW_STRIDE, t.rowStride());
    to.set(JAVA_INT, offset + RANK, rank);
    to.set(JAVA_INT, offset + DTYPE, t.dtype().ordinal());
  }

  private static void put(MemorySegment to, long offset, PackedMatrix m) {
    to.set(ValueLayout.ADDRESS, offset + precis_packed_matrix.data$offset(), m.memory());
    to.set(JAVA_LONG, offset + precis_packed_matrix.bytes$offset(), m.memory().byteSize());
    to.set(JAVA_LONG, offset + precis_packed_matrix.outputs$offset(), m.outputs());
    to.set(JAVA_LONG, offset + precis_packed_matrix.inputs$offset(), m.inputs());
    to.set(JAVA_INT, offset + precis_packed_matrix.dtype$offset(), m.dtype().ordinal());
  }

  @Override
  public void close() {
    arena.close();
  }
}
