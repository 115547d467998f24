package dev.precis.ops;

import dev.precis.ffi.Context;
import dev.precis.ffi.generated.Precis;
import dev.precis.ffi.generated.precis_logit_rules;
import dev.precis.ffi.generated.precis_process_logits_args;
import dev.precis.ffi.generated.precis_sample_args;
import dev.precis.ffi.generated.precis_softmax_args;
import dev.precis.ffi.generated.precis_top_k_args;
import dev.precis.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Kernels that go from logits to tokens. */
final class SamplingKernels extends Kernels {
  private final MemorySegment softmax = block(precis_softmax_args.layout());
  private final MemorySegment topK = block(precis_top_k_args.layout());
  private final MemorySegment process = block(precis_process_logits_args.layout());
  private final MemorySegment sample = block(precis_sample_args.layout());

  SamplingKernels(Context context, OpTimer timer, Arena arena) {
    super(context, timer, arena);
  }

  void softmax(Tensor x, Tensor y, boolean logarithm) {
    put(softmax, precis_softmax_args.x$offset(), x);
    put(softmax, precis_softmax_args.y$offset(), y);
    precis_softmax_args.logarithm(softmax, flag(logarithm));
    check("softmax", Precis.precis_softmax(begin(), softmax));
  }

  void topK(Tensor x, Tensor values, Tensor indices) {
    put(topK, precis_top_k_args.x$offset(), x);
    put(topK, precis_top_k_args.values$offset(), values);
    put(topK, precis_top_k_args.indices$offset(), indices);
    check("top_k", Precis.precis_top_k(begin(), topK));
  }

  void processLogits(Tensor scores, LogitRules rules) {
    put(process, precis_process_logits_args.scores$offset(), scores);
    putRules(precis_process_logits_args.rules(process), rules);
    check("process_logits", Precis.precis_process_logits(begin(), process));
  }

  void greedy(
      Tensor logits, LogitRules rules, Tensor tokens, Tensor logProbabilities, NextRows next) {
    precis_sample_args.greedy(sample, flag(true));
    precis_sample_args.temperature(sample, 1);
    precis_sample_args.top_k(sample, 0);
    precis_sample_args.top_p(sample, 1);
    precis_sample_args.streams(sample, MemorySegment.NULL);
    precis_sample_args.offsets(sample, MemorySegment.NULL);
    precis_sample_args.tokens(sample, tokens.address());
    precis_sample_args.log_probabilities(sample, address(logProbabilities));
    precis_sample_args.warped_log_probabilities(sample, MemorySegment.NULL);
    put(sample, precis_sample_args.probabilities$offset(), (Tensor) null);
    precis_sample_args.row_sampling(sample, MemorySegment.NULL);
    putNext(next);
    run(logits, rules);
  }

  void sample(
      Tensor logits,
      LogitRules rules,
      SamplingParameters sampling,
      Tensor streams,
      Tensor offsets,
      SamplingParameters.Outputs outputs) {
    precis_sample_args.greedy(sample, flag(false));
    precis_sample_args.seed(sample, sampling.seed());
    precis_sample_args.temperature(sample, sampling.temperature());
    precis_sample_args.top_k(sample, sampling.topK());
    precis_sample_args.top_p(sample, sampling.topP());
    precis_sample_args.row_sampling(sample, MemorySegment.NULL);
    sample(logits, rules, streams, offsets, outputs);
  }

  void sample(
      Tensor logits,
      LogitRules rules,
      RowSampling sampling,
      Tensor streams,
      Tensor offsets,
      SamplingParameters.Outputs outputs) {
    precis_sample_args.row_sampling(sample, sampling.address());
    sample(logits, rules, streams, offsets, outputs);
  }

  private void sample(
      Tensor logits,
      LogitRules rules,
      Tensor streams,
      Tensor offsets,
      SamplingParameters.Outputs outputs) {
    precis_sample_args.streams(sample, streams.address());
    precis_sample_args.offsets(sample, offsets.address());
    precis_sample_args.tokens(sample, outputs.tokens().address());
    precis_sample_args.log_probabilities(sample, address(outputs.logProbabilities()));
    precis_sample_args.warped_log_probabilities(sample, address(outputs.warpedLogProbabilities()));
    put(sample, precis_sample_args.probabilities$offset(), outputs.probabilities());
    putNext(outputs.next());
    run(logits, rules);
  }

  private void putNext(NextRows next) {
    if (next == null) {
      precis_sample_args.next_ids(sample, MemorySegment.NULL);
      return;
    }
    precis_sample_args.next_ids(sample, next.ids().address());
    precis_sample_args.next_lengths(sample, next.lengths().address());
    precis_sample_args.next_history(sample, next.history().address());
    precis_sample_args.next_offsets(sample, next.offsets().address());
  }

  private void run(Tensor logits, LogitRules rules) {
    put(sample, precis_sample_args.logits$offset(), logits);
    putRules(precis_sample_args.rules(sample), rules);
    check("sample", Precis.precis_sample(begin(), sample));
  }

  private static void putRules(MemorySegment to, LogitRules rules) {
    precis_logit_rules.history(to, rules.history().address());
    precis_logit_rules.history_lengths(to, rules.historyLengths().address());
    precis_logit_rules.history_stride(to, rules.history().rowStride());
    precis_logit_rules.end_tokens(to, rules.endTokens().address());
    precis_logit_rules.end_token_count(to, Math.toIntExact(rules.endTokens().dim(0)));
    precis_logit_rules.repetition_penalty(to, rules.repetitionPenalty());
    precis_logit_rules.no_repeat_ngram_size(to, rules.noRepeatNgramSize());
    precis_logit_rules.min_new_tokens(to, rules.minNewTokens());
    RowRules rows = rules.rows();
    precis_logit_rules.row_rules(to, rows == null ? MemorySegment.NULL : rows.address());
  }
}
