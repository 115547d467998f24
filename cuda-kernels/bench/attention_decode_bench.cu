#include "attention_bench.h"

namespace precis {

PRECIS_BENCH(attention_decode) {
  const int32_t heads = static_cast<int32_t>(b.size(12, 2));
  const int32_t length = static_cast<int32_t>(b.size(512, 40));
  const int64_t inner = heads * 64;
  for (int64_t full : {1, 32, 128}) {
    const int64_t m = b.size(full, (full + 63) / 64);
    precis_attention_decode_args args = {};
    args.q = b.tensor(PRECIS_BFLOAT16, {m, inner}, 0.3f);
    args.k_cache = b.tensor(PRECIS_BFLOAT16, {m * length, inner}, 0.3f);
    args.v_cache = b.tensor(PRECIS_BFLOAT16, {m * length, inner});
    args.out = b.tensor(PRECIS_BFLOAT16, {m, inner});
    std::vector<int32_t> starts;
    for (int64_t r = 0; r < m; r++) starts.push_back(static_cast<int32_t>(r * length));
    args.key_starts = b.array(starts);
    args.lengths = b.array(std::vector<int32_t>(static_cast<size_t>(m), length));
    args.heads = heads;
    args.max_distance = 128;
    args.scale = 1;
    b.row(
        "attention_decode " + std::to_string(m) + " rows, " + std::to_string(length) + " keys",
        {static_cast<double>(m * length * inner) * 4, 0},
        [&] { return attention_decode_cuda(b.context(), args); },
        [&] {
          expect_attention(b, args.q, args.k_cache, args.v_cache, args.out, m - 1, (m - 1) * length,
                           length, heads - 1, [](int64_t) { return 0.0; });
        });
  }
}

}  // namespace precis
