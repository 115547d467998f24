#include "ops/attention_backward.h"

#include <functional>

#include "attention_cases.h"

using namespace precis;

namespace {

int64_t element_bytes(int32_t dtype) { return dtype == PRECIS_BFLOAT16 ? 2 : 4; }

// A forward pass, computed in double, and memory for the gradients.
struct Gradients {
  Gradients(const Problem& p, const Inputs& in, bool with_dbias, int32_t dtype, int32_t value_dtype)
      : out(p.out_dtype, {in.query_offsets.back(), p.heads * p.head_dim}, 1, 2),
        log_sum_exp(PRECIS_FLOAT32, {in.query_offsets.back(), p.heads}, 2, 1),
        dout(p.out_dtype, {in.query_offsets.back(), p.heads * p.head_dim}, 4, 3) {
    const int64_t inner = p.heads * p.head_dim;
    args.forward = in.args;
    args.forward.out = out;
    args.forward.log_sum_exp = log_sum_exp;
    args.dout = dout;
    const int64_t m = in.query_offsets.back(), n = in.key_offsets.back();
    if (p.fused) {
      memory.emplace_back(dtype, std::vector<int64_t>{n, 3 * inner}, 3, 1);
      args.dq = args.dk = args.dv = memory[0].fill(NAN);
      for (precis_tensor* t : {&args.dq, &args.dk, &args.dv}) t->dims[1] = inner;
      args.dk.data = static_cast<char*>(args.dk.data) + inner * element_bytes(dtype);
      args.dv.data = static_cast<char*>(args.dv.data) + 2 * inner * element_bytes(dtype);
    } else {
      memory.emplace_back(dtype, std::vector<int64_t>{m, inner}, 3, 1);
      memory.emplace_back(dtype, std::vector<int64_t>{n, inner}, 0, 3);
      memory.emplace_back(value_dtype, std::vector<int64_t>{n, inner}, 9, 0);
      args.dq = memory[0].fill(NAN);
      args.dk = memory[1].fill(NAN);
      args.dv = memory[2].fill(NAN);
    }
    if (with_dbias && p.buckets > 0) {
      memory.emplace_back(PRECIS_FLOAT32, std::vector<int64_t>{p.buckets, p.heads}, 1, 2);
      args.dbias = memory.back().fill(0.25f);
    }
  }

  GuardedTensor out, log_sum_exp, dout;
  std::vector<GuardedTensor> memory;
  precis_attention_backward_args args = {};
};

// Expects every element within a fraction of the largest one, or of least if that is larger.
void expect_near(const precis_tensor& got, const precis_tensor& want, double share, double least,
                 const std::string& what) {
  double largest = least;
  for (int64_t r = 0; r < rows(want); r++) {
    for (int64_t c = 0; c < columns(want); c++) {
      largest = std::max(largest, std::fabs(static_cast<double>(load_element(want, r, c))));
    }
  }
  expect_close(got, want, rounding(got.dtype), share * largest, what.c_str());
}

void expect_right(const TestContext& context, const Problem& p, Random& random, int32_t dtype,
                  int32_t value_dtype) {
  Inputs in(p, random);
  Gradients got(p, in, true, dtype, value_dtype), want(p, in, true, dtype, value_dtype);
  const std::string what = describe(context, p);
  attention_ref(got.args.forward);
  got.dout.fill_normal(random);
  want.args.forward = got.args.forward;
  want.args.dout = got.args.dout;
  attention_backward_ref(want.args);
  EXPECT_OK(context, precis_attention_backward(context, &got.args));
  // p and ds are rounded to bfloat16 before they are multiplied, and so is a float32 dout.
  const std::string isa = context.isa();
  const bool rounds = p.dtype == PRECIS_BFLOAT16 && (isa == "avx512_bf16" || isa == "neon_bf16");
  const double share = rounds ? 8e-3 : 3e-6;
  // The magnitude of dout . v, of which differences are taken.
  const double least = std::sqrt(static_cast<double>(p.head_dim));
  expect_near(got.args.dq, want.args.dq, share, least, what + ": dq");
  expect_near(got.args.dk, want.args.dk, share, least, what + ": dk");
  expect_near(got.args.dv, want.args.dv, share, 1, what + ": dv");
  if (p.buckets > 0) {
    expect_near(got.args.dbias, want.args.dbias, share, least, what + ": dbias");
  }
  for (const GuardedTensor& t : got.memory) EXPECT(t.intact(), "%s", what.c_str());
  for (const GuardedTensor& t : in.memory) EXPECT(t.intact(), "%s", what.c_str());
  EXPECT(got.out.intact() && got.log_sum_exp.intact() && got.dout.intact(), "%s", what.c_str());
  if (p.buckets == 0) return;
  // Without dbias the other results are the same.
  Gradients bare(p, in, false, dtype, value_dtype);
  bare.args.forward = got.args.forward;
  bare.args.dout = got.args.dout;
  EXPECT_OK(context, precis_attention_backward(context, &bare.args));
  EXPECT(same_rows(bare.args.dq, got.args.dq) && same_rows(bare.args.dk, got.args.dk) &&
             same_rows(bare.args.dv, got.args.dv),
         "%s", what.c_str());
}

// Returns sum out . dout, in double except for the rounding of out.
double loss(const precis_attention_args& forward, const precis_tensor& dout) {
  attention_ref(forward);
  double sum = 0;
  for (int64_t r = 0; r < rows(dout); r++) {
    for (int64_t c = 0; c < columns(dout); c++) {
      sum += static_cast<double>(load_element(forward.out, r, c)) *
             static_cast<double>(load_element(dout, r, c));
    }
  }
  return sum;
}

// The reference's gradients are the derivatives of the reference.
void expect_slopes(Problem p, Random& random) {
  p.heads = 2;
  p.head_dim = 5;
  p.buckets = p.buckets > 0 ? 8 : 0;
  p.max_distance = 6;
  Inputs in(p, random);
  Gradients g(p, in, true, PRECIS_FLOAT32, PRECIS_FLOAT32);
  g.dout.fill_normal(random);
  attention_ref(g.args.forward);
  if (p.buckets > 0) {
    for (int64_t r = 0; r < p.buckets; r++) {
      for (int64_t c = 0; c < p.heads; c++) row<float>(g.args.dbias, r)[c] = 0;
    }
  }
  attention_backward_ref(g.args);
  // The following calls overwrite out.
  auto check = [&](const char* name, const precis_tensor& x, const precis_tensor& dx) {
    for (int64_t r = 0; r < rows(x); r++) {
      for (int64_t c = 0; c < columns(x); c++) {
        float& element = row<float>(x, r)[c];
        const float before = element, h = 0x1p-5f;
        auto at = [&](float step) {
          element = before + step;
          const double value = loss(g.args.forward, g.dout);
          element = before;
          return value;
        };
        // The differences are of fourth order.
        const double slope = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * double{h});
        const double is = load_element(dx, r, c);
        EXPECT(std::fabs(slope - is) <= 1e-4 * (1 + std::fabs(slope)),
               "%s [%d, %d] is %.9g, the slope %.9g", name, static_cast<int>(r),
               static_cast<int>(c), is, slope);
      }
    }
  };
  check("dq", in.args.q, g.args.dq);
  check("dk", in.args.k, g.args.dk);
  check("dv", in.args.v, g.args.dv);
  if (p.buckets > 0) check("dbias", in.args.bias, g.args.dbias);
}

// A sequence is bitwise identical to the same sequence alone, for any number of threads. dbias, a
// sum over the whole batch, is deterministic for any number of threads.
void expect_invariant(const char* isa, int32_t dtype, bool causal, float dropout) {
  Random random(5);
  Problem p;
  p.lengths = {{17, 17}, {200, 200}, {0, 3}, {1, 1}, {65, 65}, {0, 0}, {33, 33}, {2, 2}};
  for (int i = 0; i < 20; i++) p.lengths.emplace_back(3 + i, 3 + i);
  p.dtype = dtype;
  p.heads = 5;
  p.causal = causal;
  p.bidirectional = !causal;
  p.dropout = dropout;
  p.by_example = dropout > 0;
  Inputs in(p, random);
  std::vector<TestContext> contexts;
  for (int threads : {1, 2, 3}) contexts.emplace_back(isa, threads);
  if (contexts[0].status() != PRECIS_OK) return;
  Gradients batch(p, in, true, PRECIS_FLOAT32, PRECIS_FLOAT32);
  batch.dout.fill_normal(random);
  attention_ref(batch.args.forward);
  EXPECT_OK(contexts[0], precis_attention_backward(contexts[0], &batch.args));
  for (TestContext& context : contexts) {
    Gradients again(p, in, true, PRECIS_FLOAT32, PRECIS_FLOAT32);
    again.args.forward = batch.args.forward;
    again.args.dout = batch.args.dout;
    EXPECT_OK(context, precis_attention_backward(context, &again.args));
    EXPECT(same_rows(again.args.dq, batch.args.dq) && same_rows(again.args.dk, batch.args.dk) &&
               same_rows(again.args.dv, batch.args.dv) &&
               same_rows(again.args.dbias, batch.args.dbias),
           "%s", context.name());
    for (size_t s = 0; s < p.lengths.size(); s++) {
      const auto [queries, keys] = p.lengths[s];
      const int32_t query_offsets[] = {0, queries}, key_offsets[] = {0, keys};
      auto from = [&](precis_tensor t, int64_t first, int64_t count) {
        t.data = static_cast<char*>(t.data) + first * row_stride(t) * element_bytes(t.dtype);
        t.dims[0] = count;
        return t;
      };
      const int32_t q = in.query_offsets[s], k = in.key_offsets[s];
      precis_attention_backward_args args = again.args;
      precis_attention_args& forward = args.forward;
      for (precis_tensor* t :
           {&forward.q, &forward.out, &forward.log_sum_exp, &args.dout, &args.dq}) {
        *t = from(*t, q, queries);
      }
      for (precis_tensor* t : {&forward.k, &forward.v, &args.dk, &args.dv}) {
        *t = from(*t, k, keys);
      }
      forward.query_offsets = query_offsets;
      forward.key_offsets = key_offsets;
      if (forward.dropout_rows.data != nullptr) {
        forward.dropout_rows.data = row<int64_t>(forward.dropout_rows, 0) + q;
        forward.dropout_rows.dims[0] = queries;
      }
      forward.sequences = 1;
      for (precis_tensor* t : {&args.dq, &args.dk, &args.dv}) {
        for (int64_t r = 0; r < rows(*t); r++) row<float>(*t, r)[0] = NAN;
      }
      EXPECT_OK(context, precis_attention_backward(context, &args));
      EXPECT(same_rows(args.dq, from(batch.args.dq, q, queries)) &&
                 same_rows(args.dk, from(batch.args.dk, k, keys)) &&
                 same_rows(args.dv, from(batch.args.dv, k, keys)),
             "%s: sequence %d differs alone", context.name(), static_cast<int>(s));
    }
  }
}

// The scratch that a call takes does not grow with the number of sequences.
void expect_small_scratch(const char* isa) {
  int64_t bytes[2];
  for (int i = 0; i < 2; i++) {
    TestContext context(isa, 2);
    if (context.status() != PRECIS_OK) return;
    Random random(9);
    Problem p;
    p.lengths = Lengths(i == 0 ? 1 : 40, {70, 70});
    Inputs in(p, random);
    Gradients g(p, in, true, PRECIS_FLOAT32, PRECIS_FLOAT32);
    g.dout.fill_normal(random);
    attention_ref(g.args.forward);
    EXPECT_OK(context, precis_attention_backward(context, &g.args));
    precis_context_info info;
    EXPECT_OK(context, precis_context_describe(context, &info));
    bytes[i] = info.scratch_bytes;
  }
  EXPECT(bytes[0] == bytes[1], "%lld, then %lld", static_cast<long long>(bytes[0]),
         static_cast<long long>(bytes[1]));
}

void expect_refusals(const TestContext& context) {
  Random random(8);
  Problem p;
  p.lengths = {{3, 4}, {0, 0}, {2, 5}};
  Inputs in(p, random);
  Gradients g(p, in, true, PRECIS_FLOAT32, PRECIS_FLOAT32);
  for (GuardedTensor& t : g.memory) t.fill(7);
  g.out.fill(0);
  g.dout.fill(0);
  g.log_sum_exp.fill(0);
  using Args = precis_attention_backward_args;
  auto refused = [&](const char* text, const std::function<void(Args&)>& spoil) {
    Args args = g.args;
    spoil(args);
    EXPECT_REFUSED(context, precis_attention_backward(context, &args), text);
  };
  refused("attention_backward: heads is 0", [](Args& a) { a.forward.heads = 0; });
  refused("log_sum_exp is missing", [](Args& a) { a.forward.log_sum_exp.data = nullptr; });
  refused("log_sum_exp has 4", [](Args& a) { a.forward.log_sum_exp.dims[0] = 4; });
  refused("dropout is 1", [](Args& a) { a.forward.dropout = 1; });
  refused("dout has rank 1", [](Args& a) { a.dout.rank = 1; });
  refused("dout has 4 as dimension 0", [](Args& a) { a.dout.dims[0] = 4; });
  refused("dq cannot be int8", [](Args& a) { a.dq.dtype = PRECIS_INT8; });
  refused("dq has 71 as dimension 1", [](Args& a) { a.dq.dims[1] = 71; });
  refused("dk has 8 as dimension 0", [](Args& a) { a.dk.dims[0] = 8; });
  refused("dv has no data", [](Args& a) { a.dv.data = nullptr; });
  refused("there is a dbias, but no bias", [](Args& a) { a.forward.bias.data = nullptr; });
  refused("dbias has 31 as dimension 0", [](Args& a) { a.dbias.dims[0] = 31; });
  refused("dbias cannot be bfloat16", [](Args& a) { a.dbias.dtype = PRECIS_BFLOAT16; });
  refused("dq overlaps q", [](Args& a) { a.dq.data = a.forward.q.data; });
  refused("dk overlaps v", [](Args& a) { a.dk.data = a.forward.v.data; });
  // The smaller in the larger: the larger would reach into whatever lies behind the smaller.
  refused("dk overlaps dq", [](Args& a) { a.dq.data = a.dk.data; });
  refused("dv overlaps dout", [](Args& a) { a.dout.data = a.dv.data; });
  refused("dbias overlaps bias", [](Args& a) { a.dbias.data = a.forward.bias.data; });
  // Two gradients in one matrix overlap in a column.
  GuardedTensor both(PRECIS_FLOAT32, {9, 2 * 72});
  both.fill(7);
  auto column = [&](int64_t first) {
    precis_tensor t = both;
    t.dims[1] = 72;
    t.data = both.data<float>() + first;
    return t;
  };
  refused("dv overlaps dk", [&](Args& a) {
    a.dk = column(72);
    a.dv = column(1);
  });
  bool untouched = true;
  auto look = [&](const GuardedTensor& t) {
    untouched &= t.intact();
    for (int64_t r = 0; r < rows(t); r++) {
      for (int64_t c = 0; c < columns(t); c++) untouched &= t.at(r, c) == 7;
    }
  };
  for (const GuardedTensor& t : g.memory) look(t);
  look(both);
  EXPECT(untouched);
  Args apart = g.args;
  apart.dk = column(72);
  apart.dv = column(0);
  EXPECT_OK(context, precis_attention_backward(context, &apart));
  // Empty batches are allowed.
  const int32_t none[] = {0};
  Args args = g.args;
  args.forward.query_offsets = args.forward.key_offsets = none;
  args.forward.sequences = 0;
  for (precis_tensor* t : {&args.forward.q, &args.forward.k, &args.forward.v, &args.forward.out,
                           &args.forward.log_sum_exp, &args.dout, &args.dq, &args.dk, &args.dv}) {
    t->dims[0] = 0;
  }
  EXPECT_OK(context, precis_attention_backward(context, &args));
}

}  // namespace

int main() {
  Random random(4);
  for (bool causal : {false, true}) {
    for (float dropout : {0.0f, 0.3f}) {
      for (bool bias : {false, true}) {
        Problem p;
        p.lengths = {{5, 7}, {4, 4}, {0, 2}, {3, 1}};
        p.causal = causal;
        p.bidirectional = !causal;
        p.buckets = bias ? 8 : 0;
        p.dropout = dropout;
        p.scale = 0.8f;
        expect_slopes(p, random);
      }
    }
  }
  for (TestContext& context : all_contexts()) {
    for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
      int turn = 0;
      auto check = [&](Problem& p) {
        turn++;
        p.out_dtype = turn % 2 == 0 ? dtype : PRECIS_FLOAT32;
        p.dropout = turn % 3 == 0 ? 0.4f : 0;
        p.by_example = turn % 6 == 0;
        expect_right(context, p, random, turn % 5 < 3 ? dtype : PRECIS_FLOAT32, PRECIS_FLOAT32);
      };
      for (int64_t head_dim : {1, 8, 24, 63, 64, 80, 128}) {
        for (int32_t length : {1, 2, 15, 16, 17, 33, 65, 130}) {
          if (length * head_dim > 130 * 64) continue;
          Problem p;
          p.dtype = dtype;
          p.head_dim = head_dim;
          p.scale = head_dim % 16 == 0 ? 1 : 0.37f;
          // Cross-attention, encoder and decoder; the last two with q, k and v in one matrix.
          p.lengths = {{length, 1 + length / 3}, {0, 5}, {5, length}};
          p.buckets = 0;
          check(p);
          p.lengths = {{length, length}, {0, 0}, {3, 3}};
          p.buckets = 32;
          p.fused = true;
          check(p);
          p.causal = true;
          p.bidirectional = false;
          p.max_distance = 40;
          check(p);
        }
      }
      // A causal mask with other numbers of keys, and more keys than one pass takes.
      for (int i = 0; i < 3; i++) {
        Problem p;
        p.dtype = dtype;
        p.lengths = {{30, 20}, {20, 30}, {70, 200}};
        p.causal = true;
        check(p);
        p.lengths = {{401, 401}};
        p.heads = 1;
        p.causal = i == 1;
        check(p);
        p.lengths = {{3, 800}, {100, 385}};
        p.causal = false;
        check(p);
      }
    }
    expect_refusals(context);
  }
  for (const char* isa : kIsas) {
    for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
      for (bool causal : {false, true}) {
        for (float dropout : {0.0f, 0.1f}) expect_invariant(isa, dtype, causal, dropout);
      }
    }
    expect_small_scratch(isa);
  }
  return test_result();
}
