#include <cmath>

#include "bench.h"

namespace precis {

// The attention of a training step: encoder, decoder and cross-attention.
PRECIS_BENCH(attention_backward) {
  const int32_t heads = static_cast<int32_t>(b.size(12, 2)), sequences = 8;
  const int64_t inner = heads * 64;
  struct Shape {
    const char* name;
    int32_t queries, keys;
    bool causal, bias;
  };
  const int32_t source = static_cast<int32_t>(b.size(256, 20));
  const int32_t target = static_cast<int32_t>(b.size(64, 9));
  const Shape shapes[] = {{"encoder 8x256, bias", source, source, false, true},
                          {"decoder 8x64, bias", target, target, true, true},
                          {"cross 8x64 on 256", target, source, false, false}};
  for (const auto& s : shapes) {
    std::vector<int32_t> query_offsets, key_offsets;
    for (int32_t i = 0; i <= sequences; i++) {
      query_offsets.push_back(i * s.queries);
      key_offsets.push_back(i * s.keys);
    }
    const int64_t m = sequences * s.queries, n = sequences * s.keys;
    precis_attention_backward_args args = {};
    precis_attention_args& f = args.forward;
    f.q = b.tensor(PRECIS_BFLOAT16, {m, inner}, 0.3f);
    f.k = b.tensor(PRECIS_BFLOAT16, {n, inner}, 0.3f);
    f.v = b.tensor(PRECIS_BFLOAT16, {n, inner});
    f.out = b.tensor(PRECIS_BFLOAT16, {m, inner});
    f.log_sum_exp = b.tensor(PRECIS_FLOAT32, {m, heads});
    if (s.bias) f.bias = b.tensor(PRECIS_FLOAT32, {32, heads});
    f.query_offsets = b.array(query_offsets);
    f.key_offsets = b.array(key_offsets);
    f.sequences = sequences;
    f.heads = heads;
    f.causal = s.causal;
    f.bidirectional = !s.causal;
    f.max_distance = 128;
    f.scale = 1;
    args.dout = b.tensor(PRECIS_BFLOAT16, {m, inner});
    args.dq = b.tensor(PRECIS_BFLOAT16, {m, inner});
    args.dk = b.tensor(PRECIS_BFLOAT16, {n, inner});
    args.dv = b.tensor(PRECIS_BFLOAT16, {n, inner});
    // Five products over the pairs of query and key that attend to each other.
    const double pairs = static_cast<double>(m) * s.keys / (s.causal ? 2 : 1);
    const double rows = static_cast<double>(m + n) * static_cast<double>(inner);
    const std::string name = std::string("attention ") + s.name;
    b.row(
        name, {rows * 4, 4 * pairs * static_cast<double>(inner)},
        [&] { return attention_cuda(b.context(), f); },
        [&] { b.expect_finite(f.out, "attention is not finite"); });
    const Work work = {rows * 8, 10 * pairs * static_cast<double>(inner)};
    const auto backward = [&] { return attention_backward_cuda(b.context(), args); };
    const auto finite = [&] {
      for (const precis_tensor& t : {args.dq, args.dk, args.dv}) {
        b.expect_finite(t, "a gradient of attention is not finite");
      }
    };
    // The sum of dv over keys equals that of dout over queries, because probabilities add up to 1.
    const auto verify = [&] {
      finite();
      double got = 0, want = 0, size = 0;
      for (int64_t r = 0; r < s.keys; r++) got += b.row(args.dv, r)[3];
      for (int64_t r = 0; r < s.queries; r++) {
        want += b.row(args.dout, r)[3];
        size += std::fabs(b.row(args.dout, r)[3]);
      }
      b.expect(std::fabs(got - want) <= kBfloat16 * (1 + size), "the sum of dv");
    };
    b.row("attention_backward", work, backward, verify);
    f.dropout = 0.1f;
    b.row("  with dropout", work, backward, finite);
    if (!s.bias) continue;
    args.dbias = b.tensor(PRECIS_FLOAT32, {32, heads}, 0);
    b.row("  with dropout and dbias", work, backward,
          [&] { b.expect_finite(args.dbias, "dbias is not finite"); });
  }
}

}  // namespace precis
