package dev.precis.ops;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.precis.ffi.Context;
import dev.precis.ffi.generated.Precis;
import dev.precis.ffi.generated.precis_activation_args;
import dev.precis.ffi.generated.precis_activation_backward_args;
import dev.precis.ffi.generated.precis_adafactor_args;
import dev.precis.ffi.generated.precis_adam_args;
import dev.precis.ffi.generated.precis_add_args;
import dev.precis.ffi.generated.precis_add_bias_args;
import dev.precis.ffi.generated.precis_attention_args;
import dev.precis.ffi.generated.precis_attention_backward_args;
import dev.precis.ffi.generated.precis_attention_decode_args;
import dev.precis.ffi.generated.precis_bias_gradient_args;
import dev.precis.ffi.generated.precis_convert_args;
import dev.precis.ffi.generated.precis_dropout_args;
import dev.precis.ffi.generated.precis_embedding_args;
import dev.precis.ffi.generated.precis_embedding_backward_args;
import dev.precis.ffi.generated.precis_layer_norm_args;
import dev.precis.ffi.generated.precis_layer_norm_backward_args;
import dev.precis.ffi.generated.precis_linear_cross_entropy_args;
import dev.precis.ffi.generated.precis_log_probability_args;
import dev.precis.ffi.generated.precis_logit_rules;
import dev.precis.ffi.generated.precis_lora_matmul_args;
import dev.precis.ffi.generated.precis_lora_segment;
import dev.precis.ffi.generated.precis_matmul_args;
import dev.precis.ffi.generated.precis_matmul_pack_args;
import dev.precis.ffi.generated.precis_packed_matrix;
import dev.precis.ffi.generated.precis_ppo_loss_args;
import dev.precis.ffi.generated.precis_process_logits_args;
import dev.precis.ffi.generated.precis_rms_norm_args;
import dev.precis.ffi.generated.precis_rms_norm_backward_args;
import dev.precis.ffi.generated.precis_sample_args;
import dev.precis.ffi.generated.precis_sgd_args;
import dev.precis.ffi.generated.precis_softmax_args;
import dev.precis.ffi.generated.precis_sum_of_squares_args;
import dev.precis.ffi.generated.precis_tensor;
import dev.precis.ffi.generated.precis_top_k_args;
import dev.precis.ffi.generated.precis_transpose_packed_args;
import dev.precis.ffi.generated.precis_weight_gradient_args;
import dev.precis.tensor.DType;
import dev.precis.tensor.Tensor;
import dev.precis.tensor.Workspace;
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
  private final MemorySegment activationBackward =
      arena.allocate(precis_activation_backward_args.layout());
  private final MemorySegment result;
  private final MemorySegment adafactor = arena.allocate(precis_adafactor_args.layout());
  private final MemorySegment adam = arena.allocate(precis_adam_args.layout());
  private final MemorySegment add = arena.allocate(precis_add_args.layout());
  private final MemorySegment transposePacked =
      arena.allocate(precis_transpose_packed_args.layout());
  private final MemorySegment addBias = arena.allocate(precis_add_bias_args.layout());
  private final MemorySegment attentionBackward =
      arena.allocate(precis_attention_backward_args.layout());
  private final MemorySegment biasGradient = arena.allocate(precis_bias_gradient_args.layout());
  private final MemorySegment dropout = arena.allocate(precis_dropout_args.layout());
  private final MemorySegment embeddingBackward =
      arena.allocate(precis_embedding_backward_args.layout());
  private final MemorySegment layerNorm = arena.allocate(precis_layer_norm_args.layout());
  private final MemorySegment layerNormBackward =
      arena.allocate(precis_layer_norm_backward_args.layout());
  private final MemorySegment linearCrossEntropy =
      arena.allocate(precis_linear_cross_entropy_args.layout());
  private final MemorySegment logProbability = arena.allocate(precis_log_probability_args.layout());
  private final MemorySegment ppoLoss = arena.allocate(precis_ppo_loss_args.layout());
  private final MemorySegment rmsNormBackward =
      arena.allocate(precis_rms_norm_backward_args.layout());
  private final MemorySegment sgd = arena.allocate(precis_sgd_args.layout());
  private final MemorySegment sumOfSquares = arena.allocate(precis_sum_of_squares_args.layout());
  private final MemorySegment weightGradient = arena.allocate(precis_weight_gradient_args.layout());

  /** Operations on a context, which must outlive this. */
  public Ops(Context context) {
    this.context = context;
    this.handle = context.handle();
    this.result = context.allocateShared(arena, Double.BYTES);
  }

  public Context context() {
    return context;
  }

  /** Returns an empty workspace on the context of these operations. The caller must close it. */
  public Workspace newWorkspace() {
    return new Workspace(context);
  }

  /**
   * Waits for all operations that were launched; on the CPU they are always complete.
   *
   * @throws dev.precis.ffi.NativeException if one of them failed
   */
  public void synchronize() {
    context.synchronize();
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
   * What {@code ppoLoss} weighs its terms with; the formulas are those of {@code
   * precis_ppo_loss_args}.
   *
   * @param clipRangeLow how far below 1 the ratio of probabilities still counts; infinity: any
   * @param clipRangeHigh how far above 1
   * @param clipRangeValue how far a value may move from the old one; infinity: any
   * @param valueCoefficient of the values' loss
   * @param entropyCoefficient of the entropy, which is a bonus
   * @param klCoefficient of the penalty for leaving the reference; 0: none
   */
  public record PpoCoefficients(
      float clipRangeLow,
      float clipRangeHigh,
      float clipRangeValue,
      float valueCoefficient,
      float entropyCoefficient,
      float klCoefficient) {}

  /**
   * Dropout inside {@link #loraMatmul}, with the mask of {@link #dropout}.
   *
   * @param ofX what A reads is dropped; otherwise the low-rank term of y, as in the gradient of
   *     that, where y is float32
   * @param probability with which an element is dropped, in [0, 1)
   */
  public record LoraDropout(boolean ofX, float probability, long seed, long offset) {}

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
    return pack(owner, dtype, weights, false);
  }

  /** As {@link #pack}, of the transposed: each (k_i, N), stacked along the inputs. */
  public PackedMatrix packTransposed(Arena owner, DType dtype, List<Tensor> weights) {
    return pack(owner, dtype, weights, true);
  }

  private PackedMatrix pack(Arena owner, DType dtype, List<Tensor> weights, boolean transposed) {
    long stacked = packArguments(dtype, weights, transposed);
    MemorySegment memory = context.allocate(owner, packedBytes());
    repack(memory);
    long other = weights.getFirst().columns();
    return transposed
        ? new PackedMatrix(memory, other, stacked, dtype)
        : new PackedMatrix(memory, stacked, other, dtype);
  }

  /** Bytes of a packed matrix (N, K). */
  public long packedBytes(DType dtype, long outputs, long inputs) {
    long weight = precis_matmul_pack_args.weights$offset();
    pack.set(ValueLayout.ADDRESS, weight + DATA, MemorySegment.NULL);
    pack.set(JAVA_LONG, weight + DIMS, outputs);
    pack.set(JAVA_LONG, weight + DIMS + 8, inputs);
    pack.set(JAVA_LONG, weight + ROW_STRIDE, inputs);
    pack.set(JAVA_INT, weight + RANK, 2);
    pack.set(JAVA_INT, weight + DTYPE, DType.FLOAT32.ordinal());
    precis_matmul_pack_args.weight_count(pack, 1);
    precis_matmul_pack_args.dtype(pack, dtype.ordinal());
    precis_matmul_pack_args.transposed(pack, 0);
    return packedBytes();
  }

  private long packedBytes() {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment size = call.allocate(JAVA_LONG);
      context.check(Precis.precis_matmul_pack_size(handle, pack, size));
      return size.get(JAVA_LONG, 0);
    }
  }

  /** Packs weights into the memory of an earlier {@link #pack} of the same shapes, or new one. */
  public void repack(PackedMatrix target, List<Tensor> weights) {
    packArguments(target.dtype(), weights, false);
    repack(target.memory());
  }

  /** As {@link #repack}, into the memory of an earlier {@link #packTransposed}. */
  public void repackTransposed(PackedMatrix target, List<Tensor> weights) {
    packArguments(target.dtype(), weights, true);
    repack(target.memory());
  }

  private long packArguments(DType dtype, List<Tensor> weights, boolean transposed) {
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
    precis_matmul_pack_args.transposed(pack, transposed ? 1 : 0);
    return outputs;
  }

  private void repack(MemorySegment memory) {
    if (memory.isReadOnly()) {
      throw new IllegalArgumentException("These weights are a file's and cannot be packed anew.");
    }
    precis_matmul_pack_args.packed(pack, memory);
    precis_matmul_pack_args.packed_bytes(pack, memory.byteSize());
    context.check(Precis.precis_matmul_pack(handle, pack));
  }

  /**
   * Packs W' (K, N) from W (N, K) packed, of the same type: the bits of {@link #packTransposed}.
   *
   * @param out float32 or bfloat16, written
   */
  public void transpose(PackedMatrix w, PackedMatrix out) {
    put(transposePacked, precis_transpose_packed_args.w$offset(), w);
    put(transposePacked, precis_transpose_packed_args.out$offset(), out);
    context.check(Precis.precis_transpose_packed(handle, transposePacked));
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
    loraMatmul(x, w, a, b, segments, null, null, y, alpha, accumulate);
  }

  /**
   * As the other, for training.
   *
   * @param dropout of what A reads or of the low-rank term; or null
   * @param down (M, R) float32, written: {@code x A' . s}; or null
   */
  public void loraMatmul(
      Tensor x,
      PackedMatrix w,
      PackedMatrix a,
      PackedMatrix b,
      List<LoraSegment> segments,
      LoraDropout dropout,
      Tensor down,
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
    put(loraMatmul, precis_lora_matmul_args.down$offset(), down);
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
    boolean drops = dropout != null;
    int of =
        !drops
            ? Precis.PRECIS_LORA_DROPOUT_NONE()
            : dropout.ofX ? Precis.PRECIS_LORA_DROPOUT_X() : Precis.PRECIS_LORA_DROPOUT_LOW_RANK();
    precis_lora_matmul_args.dropout_of(loraMatmul, of);
    precis_lora_matmul_args.dropout(loraMatmul, drops ? dropout.probability : 0);
    precis_lora_matmul_args.seed(loraMatmul, drops ? dropout.seed : 0);
    precis_lora_matmul_args.offset(loraMatmul, drops ? dropout.offset : 0);
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
    put(attention, precis_attention_args.log_sum_exp$offset(), (Tensor) null);
    precis_attention_args.dropout(attention, 0);
    precis_attention_args.query_offsets(attention, queryOffsets.address());
    precis_attention_args.key_offsets(attention, keyOffsets.address());
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
    precis_attention_decode_args.key_starts(decode, keyStarts.address());
    precis_attention_decode_args.lengths(decode, lengths.address());
    precis_attention_decode_args.ancestors(
        decode, ancestors == null ? MemorySegment.NULL : ancestors.address());
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
    precis_sample_args.streams(sample, streams.address());
    precis_sample_args.offsets(sample, offsets.address());
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
    precis_sample_args.tokens(sample, tokens.address());
    precis_sample_args.log_probabilities(sample, memoryOrNull(logProbabilities));
    precis_sample_args.warped_log_probabilities(sample, memoryOrNull(warpedLogProbabilities));
    put(sample, precis_sample_args.probabilities$offset(), probabilities);
    context.check(Precis.precis_sample(handle, sample));
  }

  /**
   * {@code dw (+)= alpha dy' x}: the gradient of a product's weight.
   *
   * @param dy (M, N)
   * @param x (M, K)
   * @param dw (N, K) float32
   * @param dtype what the operands are rounded to: float32 or bfloat16
   */
  public void weightGradient(
      Tensor dy, Tensor x, Tensor dw, float alpha, DType dtype, boolean accumulate) {
    put(weightGradient, precis_weight_gradient_args.dy$offset(), dy);
    put(weightGradient, precis_weight_gradient_args.x$offset(), x);
    put(weightGradient, precis_weight_gradient_args.dw$offset(), dw);
    precis_weight_gradient_args.alpha(weightGradient, alpha);
    precis_weight_gradient_args.dtype(weightGradient, dtype.ordinal());
    precis_weight_gradient_args.accumulate(weightGradient, accumulate ? 1 : 0);
    context.check(Precis.precis_weight_gradient(handle, weightGradient));
  }

  /** {@code y += alpha x}; x, y (M, N). */
  public void add(Tensor x, float alpha, Tensor y) {
    put(add, precis_add_args.x$offset(), x);
    put(add, precis_add_args.y$offset(), y);
    precis_add_args.alpha(add, alpha);
    context.check(Precis.precis_add(handle, add));
  }

  /**
   * {@code y (+)= x . mask / (1 - probability)}; the mask is a function of seed, offset and the
   * element's index alone, so that the same call is its own backward.
   */
  public void dropout(
      Tensor x, Tensor y, float probability, long seed, long offset, boolean accumulate) {
    put(dropout, precis_dropout_args.x$offset(), x);
    put(dropout, precis_dropout_args.y$offset(), y);
    precis_dropout_args.seed(dropout, seed);
    precis_dropout_args.offset(dropout, offset);
    precis_dropout_args.probability(dropout, probability);
    precis_dropout_args.accumulate(dropout, accumulate ? 1 : 0);
    context.check(Precis.precis_dropout(handle, dropout));
  }

  /** {@code dtable[ids[t]] += dy[t]}; ids (T) int32, dy (T, D), dtable (V, D) float32. */
  public void embeddingBackward(Tensor ids, Tensor dy, Tensor dtable) {
    put(embeddingBackward, precis_embedding_backward_args.ids$offset(), ids);
    put(embeddingBackward, precis_embedding_backward_args.dy$offset(), dy);
    put(embeddingBackward, precis_embedding_backward_args.dtable$offset(), dtable);
    context.check(Precis.precis_embedding_backward(handle, embeddingBackward));
  }

  /**
   * The gradients of {@link #rmsNorm}.
   *
   * @param dx (M, D) float32, written or added to
   * @param dweight (D) float32, added to; or null
   */
  public void rmsNormBackward(
      Tensor x,
      Tensor weight,
      float epsilon,
      Tensor dy,
      Tensor dx,
      boolean accumulate,
      Tensor dweight) {
    put(rmsNormBackward, precis_rms_norm_backward_args.x$offset(), x);
    put(rmsNormBackward, precis_rms_norm_backward_args.weight$offset(), weight);
    put(rmsNormBackward, precis_rms_norm_backward_args.dy$offset(), dy);
    put(rmsNormBackward, precis_rms_norm_backward_args.dx$offset(), dx);
    put(rmsNormBackward, precis_rms_norm_backward_args.dweight$offset(), dweight);
    precis_rms_norm_backward_args.epsilon(rmsNormBackward, epsilon);
    precis_rms_norm_backward_args.accumulate(rmsNormBackward, accumulate ? 1 : 0);
    context.check(Precis.precis_rms_norm_backward(handle, rmsNormBackward));
  }

  /** {@code y = (x - mean) / sqrt(var + epsilon) * weight + bias}; x, y (M, D). */
  public void layerNorm(Tensor x, Tensor weight, Tensor bias, float epsilon, Tensor y) {
    put(layerNorm, precis_layer_norm_args.x$offset(), x);
    put(layerNorm, precis_layer_norm_args.weight$offset(), weight);
    put(layerNorm, precis_layer_norm_args.bias$offset(), bias);
    put(layerNorm, precis_layer_norm_args.y$offset(), y);
    precis_layer_norm_args.epsilon(layerNorm, epsilon);
    context.check(Precis.precis_layer_norm(handle, layerNorm));
  }

  /**
   * The gradients of {@link #layerNorm}.
   *
   * @param dx (M, D) float32, written or added to
   * @param dweight (D) float32, added to; or null
   * @param dbias (D) float32, added to; or null
   */
  public void layerNormBackward(
      Tensor x,
      Tensor weight,
      float epsilon,
      Tensor dy,
      Tensor dx,
      boolean accumulate,
      Tensor dweight,
      Tensor dbias) {
    put(layerNormBackward, precis_layer_norm_backward_args.x$offset(), x);
    put(layerNormBackward, precis_layer_norm_backward_args.weight$offset(), weight);
    put(layerNormBackward, precis_layer_norm_backward_args.dy$offset(), dy);
    put(layerNormBackward, precis_layer_norm_backward_args.dx$offset(), dx);
    put(layerNormBackward, precis_layer_norm_backward_args.dweight$offset(), dweight);
    put(layerNormBackward, precis_layer_norm_backward_args.dbias$offset(), dbias);
    precis_layer_norm_backward_args.epsilon(layerNormBackward, epsilon);
    precis_layer_norm_backward_args.accumulate(layerNormBackward, accumulate ? 1 : 0);
    context.check(Precis.precis_layer_norm_backward(handle, layerNormBackward));
  }

  /** {@code y[m] += bias}; y (M, N), bias (N) float32. */
  public void addBias(Tensor y, Tensor bias) {
    put(addBias, precis_add_bias_args.y$offset(), y);
    put(addBias, precis_add_bias_args.bias$offset(), bias);
    context.check(Precis.precis_add_bias(handle, addBias));
  }

  /** {@code dbias += sum over rows of dy}; dy (M, N), dbias (N) float32. */
  public void biasGradient(Tensor dy, Tensor dbias) {
    put(biasGradient, precis_bias_gradient_args.dy$offset(), dy);
    put(biasGradient, precis_bias_gradient_args.dbias$offset(), dbias);
    context.check(Precis.precis_bias_gradient(handle, biasGradient));
  }

  /** The gradient of {@link #activation} with respect to x; dx has x's shape, dy that of y. */
  public void activationBackward(Tensor x, Activation kind, boolean gated, Tensor dy, Tensor dx) {
    put(activationBackward, precis_activation_backward_args.x$offset(), x);
    put(activationBackward, precis_activation_backward_args.dy$offset(), dy);
    put(activationBackward, precis_activation_backward_args.dx$offset(), dx);
    precis_activation_backward_args.kind(activationBackward, kind.ordinal());
    precis_activation_backward_args.gated(activationBackward, gated ? 1 : 0);
    context.check(Precis.precis_activation_backward(handle, activationBackward));
  }

  /**
   * What {@link #attention} is told besides its operands.
   *
   * @param bias (buckets, heads) float32, or null
   * @param queryOffsets (sequences + 1) int32
   * @param keyOffsets likewise
   * @param dropout of the probabilities; 0: none
   */
  public record AttentionShape(
      Tensor bias,
      Tensor queryOffsets,
      Tensor keyOffsets,
      int heads,
      boolean causal,
      boolean bidirectional,
      int maxDistance,
      float scale,
      float dropout,
      long seed,
      long offset) {}

  /**
   * As the other, for training.
   *
   * @param logSumExp (queries, heads) float32, written: of the scores, for the backward
   */
  public void attention(
      Tensor q, Tensor k, Tensor v, Tensor out, Tensor logSumExp, AttentionShape shape) {
    putAttention(attention, q, k, v, out, logSumExp, shape);
    context.check(Precis.precis_attention(handle, attention));
  }

  private static void putAttention(
      MemorySegment to,
      Tensor q,
      Tensor k,
      Tensor v,
      Tensor out,
      Tensor logSumExp,
      AttentionShape shape) {
    put(to, precis_attention_args.q$offset(), q);
    put(to, precis_attention_args.k$offset(), k);
    put(to, precis_attention_args.v$offset(), v);
    put(to, precis_attention_args.out$offset(), out);
    put(to, precis_attention_args.bias$offset(), shape.bias);
    put(to, precis_attention_args.log_sum_exp$offset(), logSumExp);
    precis_attention_args.query_offsets(to, shape.queryOffsets.address());
    precis_attention_args.key_offsets(to, shape.keyOffsets.address());
    precis_attention_args.sequences(to, Math.toIntExact(shape.queryOffsets.dim(0) - 1));
    precis_attention_args.heads(to, shape.heads);
    precis_attention_args.causal(to, shape.causal ? 1 : 0);
    precis_attention_args.bidirectional(to, shape.bidirectional ? 1 : 0);
    precis_attention_args.max_distance(to, shape.maxDistance);
    precis_attention_args.scale(to, shape.scale);
    precis_attention_args.dropout(to, shape.dropout);
    precis_attention_args.seed(to, shape.seed);
    precis_attention_args.offset(to, shape.offset);
  }

  /**
   * The gradients of {@link #attention}, from what it read and wrote.
   *
   * @param dq as q, written; likewise dk and dv
   * @param dbias (buckets, heads) float32, added to; or null
   */
  public void attentionBackward(
      Tensor q,
      Tensor k,
      Tensor v,
      Tensor out,
      Tensor logSumExp,
      AttentionShape shape,
      Tensor dout,
      Tensor dq,
      Tensor dk,
      Tensor dv,
      Tensor dbias) {
    putAttention(
        precis_attention_backward_args.forward(attentionBackward), q, k, v, out, logSumExp, shape);
    put(attentionBackward, precis_attention_backward_args.dout$offset(), dout);
    put(attentionBackward, precis_attention_backward_args.dq$offset(), dq);
    put(attentionBackward, precis_attention_backward_args.dk$offset(), dk);
    put(attentionBackward, precis_attention_backward_args.dv$offset(), dv);
    put(attentionBackward, precis_attention_backward_args.dbias$offset(), dbias);
    context.check(Precis.precis_attention_backward(handle, attentionBackward));
  }

  /**
   * The cross-entropy of {@code logits = scale x w'}, which never exist whole, and its gradients.
   *
   * @param x (M, D)
   * @param w (V, D), packed
   * @param wTransposed the same, packed transposed; needed with dx
   * @param labels (M) int32; -100 leaves a row out
   * @param losses (M) float32, written
   * @param dx (M, D) float32, written: of gradScale times the sum of the losses; or null
   * @param dw (V, D) float32, added to; or null
   */
  public void linearCrossEntropy(
      Tensor x,
      PackedMatrix w,
      PackedMatrix wTransposed,
      Tensor labels,
      float scale,
      float labelSmoothing,
      float gradScale,
      Tensor losses,
      Tensor dx,
      Tensor dw) {
    put(linearCrossEntropy, precis_linear_cross_entropy_args.x$offset(), x);
    put(linearCrossEntropy, precis_linear_cross_entropy_args.w$offset(), w);
    put(linearCrossEntropy, precis_linear_cross_entropy_args.w_transposed$offset(), wTransposed);
    put(linearCrossEntropy, precis_linear_cross_entropy_args.labels$offset(), labels);
    put(linearCrossEntropy, precis_linear_cross_entropy_args.losses$offset(), losses);
    put(linearCrossEntropy, precis_linear_cross_entropy_args.dx$offset(), dx);
    put(linearCrossEntropy, precis_linear_cross_entropy_args.dw$offset(), dw);
    precis_linear_cross_entropy_args.scale(linearCrossEntropy, scale);
    precis_linear_cross_entropy_args.label_smoothing(linearCrossEntropy, labelSmoothing);
    precis_linear_cross_entropy_args.grad_scale(linearCrossEntropy, gradScale);
    context.check(Precis.precis_linear_cross_entropy(handle, linearCrossEntropy));
  }

  /**
   * What a policy with {@code logits = scale x w'}, which never exist whole, makes of given tokens:
   * {@code log p[label]} and, where asked for, the entropy of p, the exact Kullback-Leibler
   * divergence of p from a reference's q, and the gradients of the log-probabilities.
   *
   * @param x (M, D)
   * @param w (V, D), packed
   * @param wTransposed the same, packed transposed; needed with dx
   * @param labels (M) int32; -100 leaves a row out: zeros, no gradient
   * @param logProbabilities (M) float32, written
   * @param entropies (M) float32, written; or null
   * @param referenceX (M, D), needed with divergences; or null
   * @param referenceW (V, D), packed, which may be w; needed with divergences, or null
   * @param divergences (M) float32, written: {@code sum p (log p - log q)}; or null
   * @param dlogProbabilities (M) float32: the loss's gradient by logProbabilities, needed with dx
   *     and dw and refused without; or null
   * @param dx (M, D) float32, written; or null
   * @param dw (V, D) float32, added to; or null
   */
  public void logProbability(
      Tensor x,
      PackedMatrix w,
      PackedMatrix wTransposed,
      Tensor labels,
      float scale,
      Tensor logProbabilities,
      Tensor entropies,
      Tensor referenceX,
      PackedMatrix referenceW,
      Tensor divergences,
      Tensor dlogProbabilities,
      Tensor dx,
      Tensor dw) {
    put(logProbability, precis_log_probability_args.x$offset(), x);
    put(logProbability, precis_log_probability_args.w$offset(), w);
    put(logProbability, precis_log_probability_args.w_transposed$offset(), wTransposed);
    put(logProbability, precis_log_probability_args.labels$offset(), labels);
    put(logProbability, precis_log_probability_args.log_probabilities$offset(), logProbabilities);
    put(logProbability, precis_log_probability_args.entropies$offset(), entropies);
    put(logProbability, precis_log_probability_args.reference_x$offset(), referenceX);
    put(logProbability, precis_log_probability_args.reference_w$offset(), referenceW);
    put(logProbability, precis_log_probability_args.divergences$offset(), divergences);
    put(logProbability, precis_log_probability_args.dlog_probabilities$offset(), dlogProbabilities);
    put(logProbability, precis_log_probability_args.dx$offset(), dx);
    put(logProbability, precis_log_probability_args.dw$offset(), dw);
    precis_log_probability_args.scale(logProbability, scale);
    context.check(Precis.precis_log_probability(handle, logProbability));
  }

  /**
   * The loss of a policy's update by proximal policy optimization (Schulman et al. 2017) and its
   * gradients, fused with the logits, which never exist whole; the formulas are those of {@code
   * precis_ppo_loss_args}. The total is what the caller adds up of {@code weights[m]
   * (policyLosses[m] + valueCoefficient valueLosses[m] - entropyCoefficient entropies[m] +
   * klCoefficient penalties[m])}. Vectors are (M) float32 but for actions.
   *
   * @param x (M, D)
   * @param w (V, D), packed
   * @param wTransposed the same, packed transposed; needed with dx
   * @param actions (M) int32; -100 leaves a row out: zeros, no gradient
   * @param weights each row's share of the loss: for a mean over n tokens, 1 / n
   * @param referenceLogProbabilities needed when klCoefficient is not 0; or null
   * @param values what is predicted now; null together with oldValues and returns
   * @param logProbabilities written
   * @param entropies written
   * @param policyLosses written, not weighted
   * @param valueLosses written, not weighted; or null, as without values
   * @param dx (M, D) float32, written; or null
   * @param dw (V, D) float32, added to; or null
   * @param dvalues written; or null, as without values
   */
  public void ppoLoss(
      Tensor x,
      PackedMatrix w,
      PackedMatrix wTransposed,
      Tensor actions,
      Tensor weights,
      Tensor oldLogProbabilities,
      Tensor advantages,
      Tensor referenceLogProbabilities,
      Tensor values,
      Tensor oldValues,
      Tensor returns,
      float scale,
      PpoCoefficients coefficients,
      Tensor logProbabilities,
      Tensor entropies,
      Tensor policyLosses,
      Tensor valueLosses,
      Tensor dx,
      Tensor dw,
      Tensor dvalues) {
    put(ppoLoss, precis_ppo_loss_args.x$offset(), x);
    put(ppoLoss, precis_ppo_loss_args.w$offset(), w);
    put(ppoLoss, precis_ppo_loss_args.w_transposed$offset(), wTransposed);
    put(ppoLoss, precis_ppo_loss_args.actions$offset(), actions);
    put(ppoLoss, precis_ppo_loss_args.weights$offset(), weights);
    put(ppoLoss, precis_ppo_loss_args.old_log_probabilities$offset(), oldLogProbabilities);
    put(ppoLoss, precis_ppo_loss_args.advantages$offset(), advantages);
    put(
        ppoLoss,
        precis_ppo_loss_args.reference_log_probabilities$offset(),
        referenceLogProbabilities);
    put(ppoLoss, precis_ppo_loss_args.values$offset(), values);
    put(ppoLoss, precis_ppo_loss_args.old_values$offset(), oldValues);
    put(ppoLoss, precis_ppo_loss_args.returns$offset(), returns);
    put(ppoLoss, precis_ppo_loss_args.log_probabilities$offset(), logProbabilities);
    put(ppoLoss, precis_ppo_loss_args.entropies$offset(), entropies);
    put(ppoLoss, precis_ppo_loss_args.policy_losses$offset(), policyLosses);
    put(ppoLoss, precis_ppo_loss_args.value_losses$offset(), valueLosses);
    put(ppoLoss, precis_ppo_loss_args.dx$offset(), dx);
    put(ppoLoss, precis_ppo_loss_args.dw$offset(), dw);
    put(ppoLoss, precis_ppo_loss_args.dvalues$offset(), dvalues);
    precis_ppo_loss_args.scale(ppoLoss, scale);
    precis_ppo_loss_args.clip_range_low(ppoLoss, coefficients.clipRangeLow);
    precis_ppo_loss_args.clip_range_high(ppoLoss, coefficients.clipRangeHigh);
    precis_ppo_loss_args.clip_range_value(ppoLoss, coefficients.clipRangeValue);
    precis_ppo_loss_args.value_coefficient(ppoLoss, coefficients.valueCoefficient);
    precis_ppo_loss_args.entropy_coefficient(ppoLoss, coefficients.entropyCoefficient);
    precis_ppo_loss_args.kl_coefficient(ppoLoss, coefficients.klCoefficient);
    context.check(Precis.precis_ppo_loss(handle, ppoLoss));
  }

  /** The sum of x's squares; x float32, rank 1. */
  public double sumOfSquares(Tensor x) {
    put(sumOfSquares, precis_sum_of_squares_args.x$offset(), x);
    precis_sum_of_squares_args.result(sumOfSquares, result);
    context.check(Precis.precis_sum_of_squares(handle, sumOfSquares));
    context.synchronize();
    return result.get(ValueLayout.JAVA_DOUBLE, 0);
  }

  /**
   * One step of Adam or, decoupled, AdamW; the formulas are those of {@code precis_adam_args}.
   *
   * @param step from 1
   * @param gradientScale what the gradient is multiplied by first: clipping
   */
  public void adam(
      Tensor parameter,
      Tensor gradient,
      Tensor m,
      Tensor v,
      long step,
      float learningRate,
      float beta1,
      float beta2,
      float epsilon,
      float weightDecay,
      float gradientScale,
      boolean decoupled) {
    put(adam, precis_adam_args.parameter$offset(), parameter);
    put(adam, precis_adam_args.gradient$offset(), gradient);
    put(adam, precis_adam_args.m$offset(), m);
    put(adam, precis_adam_args.v$offset(), v);
    precis_adam_args.step(adam, step);
    precis_adam_args.learning_rate(adam, learningRate);
    precis_adam_args.beta1(adam, beta1);
    precis_adam_args.beta2(adam, beta2);
    precis_adam_args.epsilon(adam, epsilon);
    precis_adam_args.weight_decay(adam, weightDecay);
    precis_adam_args.gradient_scale(adam, gradientScale);
    precis_adam_args.decoupled(adam, decoupled ? 1 : 0);
    context.check(Precis.precis_adam(handle, adam));
  }

  /** One step of SGD; the formulas are those of {@code precis_sgd_args}. */
  public void sgd(
      Tensor parameter,
      Tensor gradient,
      Tensor buffer,
      long step,
      float learningRate,
      float momentum,
      float weightDecay,
      float gradientScale) {
    put(sgd, precis_sgd_args.parameter$offset(), parameter);
    put(sgd, precis_sgd_args.gradient$offset(), gradient);
    put(sgd, precis_sgd_args.buffer$offset(), buffer);
    precis_sgd_args.step(sgd, step);
    precis_sgd_args.learning_rate(sgd, learningRate);
    precis_sgd_args.momentum(sgd, momentum);
    precis_sgd_args.weight_decay(sgd, weightDecay);
    precis_sgd_args.gradient_scale(sgd, gradientScale);
    context.check(Precis.precis_sgd(handle, sgd));
  }

  /**
   * One step of Adafactor on a matrix or a vector; the formulas are those of {@code
   * precis_adafactor_args}, the constants those of the paper.
   *
   * @param row (N) float32: a matrix's moments of rows, or a vector's moments
   * @param column (K) float32: a matrix's moments of columns; null for a vector
   * @param scaleParameter whether the learning rate is relative to the parameter's size
   */
  public void adafactor(
      Tensor parameter,
      Tensor gradient,
      Tensor row,
      Tensor column,
      long step,
      float learningRate,
      float weightDecay,
      float gradientScale,
      boolean scaleParameter) {
    put(adafactor, precis_adafactor_args.parameter$offset(), parameter);
    put(adafactor, precis_adafactor_args.gradient$offset(), gradient);
    put(adafactor, precis_adafactor_args.row$offset(), row);
    put(adafactor, precis_adafactor_args.column$offset(), column);
    precis_adafactor_args.step(adafactor, step);
    precis_adafactor_args.learning_rate(adafactor, learningRate);
    precis_adafactor_args.decay_rate(adafactor, -0.8f);
    precis_adafactor_args.epsilon1(adafactor, 1e-30f);
    precis_adafactor_args.epsilon2(adafactor, 1e-3f);
    precis_adafactor_args.clip_threshold(adafactor, 1);
    precis_adafactor_args.weight_decay(adafactor, weightDecay);
    precis_adafactor_args.gradient_scale(adafactor, gradientScale);
    precis_adafactor_args.scale_parameter(adafactor, scaleParameter ? 1 : 0);
    context.check(Precis.precis_adafactor(handle, adafactor));
  }

  private static MemorySegment memoryOrNull(Tensor tensor) {
    return tensor == null ? MemorySegment.NULL : tensor.address();
  }

  private static void put(MemorySegment to, LogitRules rules) {
    precis_logit_rules.history(to, rules.history.address());
    precis_logit_rules.history_lengths(to, rules.historyLengths.address());
    precis_logit_rules.history_stride(to, rules.history.rowStride());
    precis_logit_rules.end_tokens(to, rules.endTokens.address());
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
    to.set(ValueLayout.ADDRESS, offset + DATA, t.address());
    int rank = t.rank();
    for (int i = 0; i < rank; i++) {
      to.set(JAVA_LONG, offset + DIMS + 8L * i, t.dim(i));
    }
    to.set(JAVA_LONG, offset + ROW_STRIDE, t.rowStride());
    to.set(JAVA_INT, offset + RANK, rank);
    to.set(JAVA_INT, offset + DTYPE, t.dtype().ordinal());
  }

  /** Writes a {@code precis_packed_matrix}; null is one that is not needed. */
  private static void put(MemorySegment to, long offset, PackedMatrix m) {
    if (m == null) {
      to.asSlice(offset, precis_packed_matrix.sizeof()).fill((byte) 0);
      return;
    }
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
