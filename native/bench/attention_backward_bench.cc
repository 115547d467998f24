// Measures the gradients of attention next to the forward pass, and the share of this machine's
// ceilings that they reach. Results are first compared with the reference, on one sequence of at most 512.
//
//   attention_backward_bench [threads [isa]]

#include "ceilings.h"
#include "machine.h"
#include "ops/attention.h"
#include "ops/attention_backward.h"

using namespace precis;

namespace {

struct Shape {
  const char* name;
  int32_t sequences, queries, keys, heads;
  int64_t head_dim;
  bool causal, bias;
  float dropout;
};

// Tensors of one call of the forward and the backward; q, k and v are columns of one matrix where
// there are as many keys as queries, and so are their gradients.
struct Call {
  Call(precis_context* context, const Shape& s, int32_t dtype)
      : context(context), query_offsets{0}, key_offsets{0} {
    Random random(1);
    const int64_t inner = s.heads * s.head_dim;
    const int64_t m = int64_t{s.sequences} * s.queries, n = int64_t{s.sequences} * s.keys;
    for (int32_t i = 1; i <= s.sequences; i++) {
      query_offsets.push_back(i * s.queries);
      key_offsets.push_back(i * s.keys);
    }
    auto make = [&](int32_t type, int64_t rows, int64_t columns) {
      owned.push_back(tensor(context, type, rows, columns, random));
      return owned.back();
    };
    auto columns_of = [&](precis_tensor t, int64_t part) {
      t.row_stride = t.dims[1];
      t.dims[1] = inner;
      t.data = static_cast<char*>(t.data) + part * inner * (dtype == PRECIS_BFLOAT16 ? 2 : 4);
      return t;
    };
    precis_attention_args& a = args.forward;
    const bool self = s.queries == s.keys;
    const precis_tensor qkv = make(dtype, m, self ? 3 * inner : inner);
    const precis_tensor kv = self ? qkv : make(dtype, n, 2 * inner);
    a.q = columns_of(qkv, 0);
    a.k = columns_of(kv, self ? 1 : 0);
    a.v = columns_of(kv, self ? 2 : 1);
    const precis_tensor dqkv = make(dtype, m, self ? 3 * inner : inner);
    const precis_tensor dkv = self ? dqkv : make(dtype, n, 2 * inner);
    args.dq = columns_of(dqkv, 0);
    args.dk = columns_of(dkv, self ? 1 : 0);
    args.dv = columns_of(dkv, self ? 2 : 1);
    a.out = make(dtype, m, inner);
    args.dout = make(dtype, m, inner);
    a.log_sum_exp = make(PRECIS_FLOAT32, m, s.heads);
    if (s.bias) {
      a.bias = make(PRECIS_FLOAT32, 32, s.heads);
      args.dbias = make(PRECIS_FLOAT32, 32, s.heads);
    }
    a.query_offsets = query_offsets.data();
    a.key_offsets = key_offsets.data();
    a.sequences = s.sequences;
    a.heads = s.heads;
    a.causal = s.causal;
    a.bidirectional = !s.causal;
    a.max_distance = 128;
    a.scale = 1;
    a.seed = 3;
    a.dropout = s.dropout;
  }
  ~Call() {
    for (const precis_tensor& t : owned) release(context, t);
  }

  precis_context* context;
  std::vector<int32_t> query_offsets, key_offsets;
  std::vector<precis_tensor> owned;
  precis_attention_backward_args args = {};
};

bool right(precis_context* context, Shape s, int32_t dtype) {
  s.sequences = 1;
  s.heads = 2;
  s.queries = std::min(s.queries, 512);
  s.keys = std::min(s.keys, 512);
  Call call(context, s, dtype), want(context, s, dtype);
  check(context, precis_attention(context, &call.args.forward));
  check(context, precis_attention_backward(context, &call.args));
  attention_ref(want.args.forward);
  attention_backward_ref(want.args);
  auto close = [&](const char* what, const precis_tensor& got, const precis_tensor& t) {
    if (t.data == nullptr) return;
    double largest = 0;
    for (int64_t r = 0; r < rows(t); r++) {
      for (int64_t c = 0; c < columns(t); c++) {
        largest = std::max(largest, std::fabs(static_cast<double>(load_element(t, r, c))));
      }
    }
    const double share = dtype == PRECIS_BFLOAT16 ? 2e-2 : 1e-5;
    expect_close(got, t, rounding(t.dtype), share * largest, what);
  };
  close("out", call.args.forward.out, want.args.forward.out);
  close("dq", call.args.dq, want.args.dq);
  close("dk", call.args.dk, want.args.dk);
  close("dv", call.args.dv, want.args.dv);
  close("dbias", call.args.dbias, want.args.dbias);
  return test_failures() == 0;
}

void bench(precis_context* context, const Shape& s, int32_t dtype, const Ceilings& ceilings) {
  if (!right(context, s, dtype)) std::exit(1);
  Call call(context, s, dtype);
  precis_attention_args inference = call.args.forward;
  inference.log_sum_exp = {};
  // Calls alternate, so that interference affects all alike.
  Times plain = {}, forward = {}, backward = {};
  auto keep = [](Times& best_so_far, const Times& t) {
    if (best_so_far.least == 0 || t.p50 < best_so_far.p50) {
      const double least = best_so_far.least;
      best_so_far = t;
      if (least > 0) best_so_far.least = std::min(least, t.least);
    } else {
      best_so_far.least = std::min(best_so_far.least, t.least);
    }
  };
  for (int turn = 0; turn < 5; turn++) {
    keep(plain, measure([&] { check(context, precis_attention(context, &inference)); }, 0.1));
    keep(forward,
         measure([&] { check(context, precis_attention(context, &call.args.forward)); }, 0.1));
    keep(backward,
         measure([&] { check(context, precis_attention_backward(context, &call.args)); }, 0.2));
  }
  const double scores = s.causal ? s.queries * (s.queries + 1) / 2.0 : 1.0 * s.queries * s.keys;
  const double flops = 10.0 * s.heads * s.head_dim * s.sequences * scores;
  std::printf(
      "%-8s %-4s %2d x %4d x %4d, %2d x %3lld, dropout %.1f: forward %7.3f ms (least %.3f), with "
      "log_sum_exp %7.3f (%.3f), backward %7.3f (%.3f) = %.2f x (%.2f), %6.1f GFLOP/s",
      s.name, name(dtype), s.sequences, s.queries, s.keys, s.heads,
      static_cast<long long>(s.head_dim), static_cast<double>(s.dropout), plain.p50 * 1e3,
      plain.least * 1e3, forward.p50 * 1e3, forward.least * 1e3, backward.p50 * 1e3,
      backward.least * 1e3, backward.p50 / forward.p50, backward.least / forward.least,
      flops / backward.p50 * 1e-9);
  std::printf(", share %3.0f %% (most %.0f %%)\n", ceilings.share(dtype, flops, 0, 0, backward.p50),
              ceilings.share(dtype, flops, 0, 0, backward.least));
}

}  // namespace

int main(int argc, char** argv) {
  precis_context_info info;
  TestContext context = open_context(argc, argv, &info);
  const Ceilings ceilings(info.threads);
  ceilings.print();
  const Shape shapes[] = {
      {"encoder", 8, 256, 256, 12, 64, false, true, 0},
      {"encoder", 8, 256, 256, 12, 64, false, true, 0.1f},
      {"decoder", 8, 64, 64, 12, 64, true, true, 0},
      {"decoder", 8, 64, 64, 12, 64, true, true, 0.1f},
      {"cross", 8, 64, 256, 12, 64, false, false, 0},
      {"cross", 8, 64, 256, 12, 64, false, false, 0.1f},
      {"long", 1, 2048, 2048, 12, 64, false, true, 0},
      {"wide", 1, 512, 512, 6, 128, false, true, 0},
  };
  for (int32_t dtype : {PRECIS_BFLOAT16, PRECIS_FLOAT32}) {
    for (const Shape& s : shapes) bench(context, s, dtype, ceilings);
  }
  return 0;
}
