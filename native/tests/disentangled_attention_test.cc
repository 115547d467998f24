#include "attention_cases.h"
#include "disentangled_attention_cases.h"

using namespace precis;

namespace {

void expect_right(const TestContext& context, const DisentangledCase& c, Random& random) {
  DisentangledInputs in(c, random);
  GuardedTensor out(c.out_dtype, {in.tokens, in.inner}, 3, 1);
  GuardedTensor want(c.out_dtype, {in.tokens, in.inner});
  const std::string what = std::string(context.name()) + " " + c.name();
  in.args.out = out;
  EXPECT_OK(context, precis_disentangled_attention(context, &in.args));
  EXPECT(out.intact() && in.qkv.intact() && in.keys.intact() && in.queries.intact(), "%s",
         what.c_str());
  in.args.out = want;
  disentangled_attention_ref(in.args);
  expect_close(out, want, rounding(c.out_dtype), c.absolute(), what.c_str());
}

// A sequence is bitwise identical to the same sequence alone, for any number of threads.
void expect_invariant(const char* isa, int32_t dtype) {
  Random random(5);
  DisentangledCase c;
  c.lengths = {17, 200, 0, 1, 65, 33, 2};
  c.dtype = dtype;
  c.heads = 5;
  DisentangledInputs in(c, random);
  std::vector<TestContext> contexts;
  for (int threads : {1, 2, 3}) contexts.emplace_back(isa, threads);
  if (contexts[0].status() != PRECIS_OK) return;
  GuardedTensor batch(PRECIS_FLOAT32, {in.tokens, in.inner});
  in.args.out = batch;
  EXPECT_OK(contexts[0], precis_disentangled_attention(contexts[0], &in.args));
  for (TestContext& context : contexts) {
    GuardedTensor again(PRECIS_FLOAT32, {in.tokens, in.inner});
    in.args.out = again;
    EXPECT_OK(context, precis_disentangled_attention(context, &in.args));
    EXPECT(same_rows(batch, again), "%s", context.name());
    for (size_t s = 0; s < c.lengths.size(); s++) {
      const int32_t n = c.lengths[s], offsets[] = {0, n};
      const int64_t first = in.offsets[s];
      auto from = [&](precis_tensor t) {
        t.data = t.dtype == PRECIS_BFLOAT16 ? static_cast<void*>(row<uint16_t>(t, first))
                                            : row<float>(t, first);
        t.dims[0] = n;
        return t;
      };
      GuardedTensor alone(PRECIS_FLOAT32, {n, in.inner});
      precis_disentangled_attention_args args = in.args;
      args.q = from(args.q);
      args.k = from(args.k);
      args.v = from(args.v);
      args.offsets = offsets;
      args.sequences = 1;
      args.out = alone;
      EXPECT_OK(context, precis_disentangled_attention(context, &args));
      EXPECT(same_rows(from(batch), alone), "%s: sequence %d differs alone", context.name(),
             static_cast<int>(s));
    }
  }
}

// Two tokens whose scores can be worked out: with one column, q = 1 and 2, k = 3 and 5.
void expect_by_hand() {
  GuardedTensor q(PRECIS_FLOAT32, {2, 1}), k(PRECIS_FLOAT32, {2, 1}), v(PRECIS_FLOAT32, {2, 1});
  GuardedTensor keys(PRECIS_FLOAT32, {3, 1}), queries(PRECIS_FLOAT32, {3, 1});
  GuardedTensor out(PRECIS_FLOAT32, {2, 1});
  const int32_t offsets[] = {0, 2};
  precis_disentangled_attention_args args = {};
  args.q = q, args.k = k, args.v = v, args.out = out;
  args.position_keys = keys, args.position_queries = queries;
  args.offsets = offsets, args.sequences = 1, args.heads = 1, args.scale = 0.1f;
  for (int i = 0; i < 2; i++) {
    store_element(args.q, i, 0, i == 0 ? 1 : 2);
    store_element(args.k, i, 0, i == 0 ? 3 : 5);
    store_element(args.v, i, 0, i == 0 ? 0 : 1);
  }
  for (int r = 0; r < 3; r++) {
    store_element(args.position_keys, r, 0, 10 * (r + 1));  // 10, 20, 30 for i - j = -1, 0, 1
    store_element(args.position_queries, r, 0, 7 - 2 * r);  // 7, 5, 3
  }
  // Query 0: 1*3 + 1*20 + 3*5 = 38 and 1*5 + 1*10 + 5*7 = 50, times 0.1.
  // Query 1: 2*3 + 2*30 + 3*3 = 75 and 2*5 + 2*20 + 5*5 = 75.
  disentangled_attention_ref(args);
  EXPECT(std::fabs(out.at(0, 0) - 1 / (1 + std::exp(-1.2))) < 1e-6, "%g", out.at(0, 0));
  EXPECT(std::fabs(out.at(1, 0) - 0.5) < 1e-6, "%g", out.at(1, 0));
}

// Scores of thousands overflow nothing, and a value that is not finite stays in its sequence.
void expect_extremes(const TestContext& context, int32_t dtype) {
  Random random(6);
  DisentangledCase c;
  c.lengths = {20, 30};
  c.dtype = dtype;
  c.scale = 4096;
  DisentangledInputs in(c, random);
  GuardedTensor out(PRECIS_FLOAT32, {in.tokens, in.inner});
  in.args.out = out;
  store_element(in.args.q, 25, 0, NAN);
  EXPECT_OK(context, precis_disentangled_attention(context, &in.args));
  for (int64_t i = 0; i < in.tokens; i++) {
    EXPECT(std::isnan(out.at(i, 0)) == (i == 25), "%s: row %d is %g", context.name(),
           static_cast<int>(i), out.at(i, 0));
    EXPECT(std::isfinite(out.at(i, in.inner - 1)), "%s: row %d", context.name(),
           static_cast<int>(i));
  }
}

void expect_refusals(const TestContext& context) {
  Random random(7);
  DisentangledCase c;
  c.lengths = {3};
  DisentangledInputs in(c, random);
  GuardedTensor out(PRECIS_FLOAT32, {in.tokens, in.inner});
  in.args.out = out;
  precis_disentangled_attention_args args = in.args;
  args.position_keys.dims[0]--;
  EXPECT_REFUSED(context, precis_disentangled_attention(context, &args), "2 reach + 1");
  args = in.args;
  args.heads = 5;
  EXPECT_REFUSED(context, precis_disentangled_attention(context, &args), "5 heads");
  args = in.args;
  const int32_t offsets[] = {0, 2};
  args.offsets = offsets;
  EXPECT_REFUSED(context, precis_disentangled_attention(context, &args), "ends with 2");
}

}  // namespace

int main() {
  expect_by_hand();
  Random random(1);
  for (TestContext& context : all_contexts()) {
    for (const DisentangledCase& c : disentangled_cases()) expect_right(context, c, random);
    for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) expect_extremes(context, dtype);
    expect_refusals(context);
  }
  for (const char* isa : kIsas) {
    for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) expect_invariant(isa, dtype);
  }
  return test_result();
}
