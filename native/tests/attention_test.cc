#include "ops/attention.h"

#include <chrono>
#include <functional>
#include <thread>

#include "attention_cases.h"

using namespace precis;

namespace {

// With bfloat16 operands the probabilities may be rounded to bfloat16 too.
double absolute(int32_t dtype) { return dtype == PRECIS_BFLOAT16 ? 8e-3 : 4e-6; }

void expect_right(const TestContext& context, const Problem& p, Random& random) {
  Inputs in(p, random);
  const int64_t inner = p.heads * p.head_dim;
  GuardedTensor out(p.out_dtype, {in.query_offsets.back(), inner}, 3, 1);
  GuardedTensor want(p.out_dtype, {in.query_offsets.back(), inner});
  const std::string what = describe(context, p);
  in.args.out = out;
  EXPECT_OK(context, precis_attention(context, &in.args));
  EXPECT(out.intact(), "%s", what.c_str());
  for (GuardedTensor& t : in.memory) EXPECT(t.intact(), "%s", what.c_str());
  GuardedTensor log_sum_exp(PRECIS_FLOAT32, {in.query_offsets.back(), p.heads}, 2, 1);
  GuardedTensor want_log(PRECIS_FLOAT32, {in.query_offsets.back(), p.heads});
  in.args.out = want;
  in.args.log_sum_exp = want_log;
  attention_ref(in.args);
  expect_close(out, want, rounding(p.out_dtype), absolute(p.dtype) / (1 - p.dropout), what.c_str());
  // Requesting log_sum_exp does not change out.
  GuardedTensor again(p.out_dtype, {in.query_offsets.back(), inner});
  in.args.out = again;
  in.args.log_sum_exp = log_sum_exp;
  EXPECT_OK(context, precis_attention(context, &in.args));
  EXPECT(log_sum_exp.intact(), "%s", what.c_str());
  EXPECT(same_rows(again, out), "%s", what.c_str());
  expect_close(log_sum_exp, want_log, 2e-6, 4e-6, (what + ": log_sum_exp").c_str());
}

// A sequence is bitwise identical to the same sequence alone, for any number of threads.
void expect_invariant(const char* isa, int32_t dtype, bool causal, float dropout) {
  Random random(5);
  Problem p;
  p.lengths = {{17, 17}, {200, 200}, {0, 3}, {1, 1}, {65, 65}, {33, 33}, {2, 2}};
  p.dtype = dtype;
  p.heads = 5;
  p.causal = causal;
  p.dropout = dropout;
  p.by_example = dropout > 0;
  Inputs in(p, random);
  const int64_t inner = p.heads * p.head_dim;
  std::vector<TestContext> contexts;
  for (int threads : {1, 2, 3}) contexts.emplace_back(isa, threads);
  if (contexts[0].status() != PRECIS_OK) return;
  GuardedTensor batch(PRECIS_FLOAT32, {in.query_offsets.back(), inner});
  in.args.out = batch;
  EXPECT_OK(contexts[0], precis_attention(contexts[0], &in.args));
  for (TestContext& context : contexts) {
    GuardedTensor again(PRECIS_FLOAT32, {in.query_offsets.back(), inner});
    in.args.out = again;
    EXPECT_OK(context, precis_attention(context, &in.args));
    EXPECT(same_rows(batch, again), "%s", context.name());
    for (size_t s = 0; s < p.lengths.size(); s++) {
      const auto [queries, keys] = p.lengths[s];
      GuardedTensor alone(PRECIS_FLOAT32, {queries, inner});
      const int32_t query_offsets[] = {0, queries}, key_offsets[] = {0, keys};
      precis_attention_args args = in.args;
      auto from = [&](precis_tensor t, int64_t first, int64_t count) {
        t.data = t.dtype == PRECIS_BFLOAT16 ? static_cast<void*>(row<uint16_t>(t, first))
                                            : row<float>(t, first);
        t.dims[0] = count;
        return t;
      };
      args.q = from(in.args.q, in.query_offsets[s], queries);
      args.k = from(in.args.k, in.key_offsets[s], keys);
      args.v = from(in.args.v, in.key_offsets[s], keys);
      args.query_offsets = query_offsets;
      args.key_offsets = key_offsets;
      args.dropout_rows.data = in.args.dropout_rows.data == nullptr
                                   ? nullptr
                                   : row<int64_t>(in.args.dropout_rows, 0) + in.query_offsets[s];
      args.dropout_rows.dims[0] = queries;
      args.sequences = 1;
      args.out = alone;
      EXPECT_OK(context, precis_attention(context, &args));
      EXPECT(same_rows(from(batch, in.query_offsets[s], queries), alone),
             "%s: sequence %d differs alone", context.name(), static_cast<int>(s));
    }
  }
}

// Another thread ends a call that would take seconds; the next one is whole again.
void expect_cancelled_early(const TestContext& context) {
  Random random(7);
  Problem p;
  p.lengths = {{20000, 20000}};
  p.heads = 8;
  Inputs in(p, random);
  GuardedTensor out(p.out_dtype, {in.query_offsets.back(), p.heads * p.head_dim});
  out.fill(5e5f);  // no average of values is that large
  in.args.out = out;
  std::thread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    precis_cancel(context, 1);
  });
  // 1.5e11 multiplications and additions, of which no thread can have done its part in 20 ms.
  const precis_status status = precis_attention(context, &in.args);
  other.join();
  EXPECT(status == PRECIS_CANCELLED, "%s: status %d", context.name(), status);
  EXPECT(out.at(in.query_offsets.back() - 1, p.heads * p.head_dim - 1) == 5e5f && out.intact(),
         "%s: ran to its end", context.name());
  EXPECT(precis_attention(context, &in.args) == PRECIS_CANCELLED, "%s", context.name());
  EXPECT_OK(context, precis_cancel(context, 0));
  Problem small;
  small.lengths = {{40, 40}};
  expect_right(context, small, random);
}

// With scores of +-1e4, exact in every type, the largest key gets all the weight.
void expect_no_overflow(const TestContext& context, int32_t dtype) {
  Problem p;
  p.lengths = {{40, 40}};
  p.heads = 1;
  p.head_dim = 1;
  p.dtype = dtype;
  p.buckets = 0;
  Random random(6);
  Inputs in(p, random);
  for (int64_t i = 0; i < 40; i++) {
    store_element(in.args.q, i, 0, i % 2 == 0 ? 128 : -128);
    store_element(in.args.k, i, 0, i == 7 ? 80 : i == 9 ? -80 : i % 5 - 2.0);
  }
  GuardedTensor out(PRECIS_FLOAT32, {40, 1}), log_sum_exp(PRECIS_FLOAT32, {40, 1});
  in.args.out = out;
  in.args.log_sum_exp = log_sum_exp;
  EXPECT_OK(context, precis_attention(context, &in.args));
  for (int64_t i = 0; i < 40; i++) {
    const float want = load_element(in.args.v, i % 2 == 0 ? 7 : 9, 0);
    EXPECT(std::fabs(out.at(i, 0) - want) <= 1e-6 * std::fabs(want), "%s: row %d is %g, not %g",
           context.name(), static_cast<int>(i), out.at(i, 0), want);
    EXPECT(log_sum_exp.at(i, 0) == 128 * 80, "%s: row %d is %g", context.name(),
           static_cast<int>(i), log_sum_exp.at(i, 0));
  }
  // A non-finite value gives NaN in the rows that attend to it, and in no others.
  for (float bad : {NAN, INFINITY}) {
    store_element(in.args.q, 3, 0, bad);
    EXPECT_OK(context, precis_attention(context, &in.args));
    for (int64_t i = 0; i < 40; i++) {
      EXPECT(std::isnan(out.at(i, 0)) == (i == 3), "%s: row %d is %g", context.name(),
             static_cast<int>(i), out.at(i, 0));
      EXPECT(std::isnan(log_sum_exp.at(i, 0)) == (i == 3), "%s: row %d is %g", context.name(),
             static_cast<int>(i), log_sum_exp.at(i, 0));
    }
  }
}

void expect_refusals(const TestContext& context) {
  Random random(8);
  Problem p;
  p.lengths = {{3, 4}, {0, 0}, {2, 5}};
  Inputs in(p, random);
  GuardedTensor out(PRECIS_FLOAT32, {5, 72});
  in.args.out = out.fill(7);
  auto refused = [&](const char* text, const std::function<void(precis_attention_args&)>& spoil) {
    precis_attention_args args = in.args;
    spoil(args);
    EXPECT_REFUSED(context, precis_attention(context, &args), text);
  };
  using Args = precis_attention_args;
  refused("heads is 0", [](Args& a) { a.heads = 0; });
  refused("not a multiple of 5 heads", [](Args& a) { a.heads = 5; });
  refused("scale is nan", [](Args& a) { a.scale = NAN; });
  refused("k cannot be bfloat16", [](Args& a) { a.k.dtype = PRECIS_BFLOAT16; });
  refused("v has 8 as dimension 0", [](Args& a) { a.v.dims[0] = 8; });
  refused("out has 71", [](Args& a) { a.out.dims[1] = 71; });
  refused("q has no data", [](Args& a) { a.q.data = nullptr; });
  refused("bias has 3 as dimension 1, but heads is 2", [](Args& a) { a.heads = 2; });
  refused("bias has 3 buckets", [](Args& a) { a.bias.dims[0] = 3; });
  refused("max_distance is 8", [](Args& a) { a.max_distance = 8; });
  refused("out overlaps k", [](Args& a) { a.out.data = static_cast<float*>(a.k.data) + 9; });
  GuardedTensor log_sum_exp(PRECIS_FLOAT32, {5, 3});
  in.args.log_sum_exp = log_sum_exp;
  refused("log_sum_exp cannot be bfloat16", [](Args& a) { a.log_sum_exp.dtype = PRECIS_BFLOAT16; });
  refused("log_sum_exp has 4 as dimension 0", [](Args& a) { a.log_sum_exp.dims[0] = 4; });
  refused("log_sum_exp has 2 as dimension 1", [](Args& a) { a.log_sum_exp.dims[1] = 2; });
  refused("log_sum_exp overlaps out", [](Args& a) { a.log_sum_exp.data = a.out.data; });
  refused("dropout is 1,", [](Args& a) { a.dropout = 1; });
  refused("dropout is nan", [](Args& a) { a.dropout = NAN; });
  refused("dropout_rows has rank 2, not 1", [](Args& a) { a.dropout_rows = a.q; });
  refused("dropout is -0.1", [](Args& a) { a.dropout = -0.1f; });
  refused("query_offsets is NULL", [](Args& a) { a.query_offsets = nullptr; });
  refused("sequences is -1", [](Args& a) { a.sequences = -1; });
  const int32_t late[] = {1, 3, 3, 5}, falling[] = {0, 4, 3, 5}, short_of[] = {0, 3, 3, 4};
  const int32_t keyless[] = {0, 0, 4, 9};
  refused("query_offsets[0] is 1", [&](Args& a) { a.query_offsets = late; });
  refused("query_offsets[2] is 3, less than the 4", [&](Args& a) { a.query_offsets = falling; });
  refused("query_offsets ends with 4, but q has 5", [&](Args& a) { a.query_offsets = short_of; });
  refused("sequence 0 has 3 queries and no keys", [&](Args& a) { a.key_offsets = keyless; });
  bool untouched = out.intact();
  for (int64_t r = 0; r < 5; r++) {
    for (int64_t c = 0; c < 72; c++) untouched &= out.at(r, c) == 7;
  }
  EXPECT(untouched);
  // Empty batches are allowed.
  const int32_t none[] = {0};
  in.args.query_offsets = in.args.key_offsets = none;
  in.args.sequences = 0;
  for (precis_tensor* t :
       {&in.args.q, &in.args.k, &in.args.v, &in.args.out, &in.args.log_sum_exp}) {
    t->dims[0] = 0;
  }
  EXPECT_OK(context, precis_attention(context, &in.args));
}

}  // namespace

int main() {
  Random random(4);
  for (TestContext& context : all_contexts()) {
    expect_cancelled_early(context);
    for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
      for (int64_t head_dim : {1, 8, 24, 63, 64, 80, 128}) {
        for (int32_t length : {1, 2, 15, 16, 17, 33, 65, 200}) {
          Problem p;
          p.dtype = dtype;
          p.out_dtype = length % 2 == 0 ? dtype : PRECIS_FLOAT32;
          p.head_dim = head_dim;
          p.scale = head_dim % 16 == 0 ? 1 : 0.37f;
          // Cross-attention, encoder and decoder; the last two with q, k and v in one matrix.
          p.lengths = {{length, 1 + length / 3}, {0, 5}, {5, length}};
          p.buckets = 0;
          expect_right(context, p, random);
          p.lengths = {{length, length}, {0, 0}, {3, 3}};
          p.buckets = 32;
          p.fused = true;
          expect_right(context, p, random);
          p.dropout = 0.4f;
          expect_right(context, p, random);
          p.by_example = true;
          expect_right(context, p, random);
          p.causal = true;
          p.bidirectional = false;
          p.max_distance = 40;
          expect_right(context, p, random);
          p.dropout = 0;
          p.by_example = false;
          expect_right(context, p, random);
        }
      }
      Problem p;
      p.dtype = dtype;
      // A causal mask with other numbers of keys, and a distance beyond the last bucket.
      p.lengths = {{30, 20}, {20, 30}};
      p.causal = true;
      expect_right(context, p, random);
      p.lengths = {{1100, 1100}};
      p.heads = 1;
      expect_right(context, p, random);
      expect_no_overflow(context, dtype);
    }
    expect_refusals(context);
  }
  for (const char* isa : kIsas) {
    for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
      for (bool causal : {false, true}) {
        for (float dropout : {0.0f, 0.1f}) expect_invariant(isa, dtype, causal, dropout);
      }
    }
  }
  return test_result();
}
