#include "attention_bench.h"
#include "ops/disentangled_attention.h"

namespace precis {

PRECIS_BENCH(disentangled_attention) {
  const int32_t heads = static_cast<int32_t>(b.size(12, 2));
  const int32_t length = static_cast<int32_t>(b.size(512, 40));
  const int64_t inner = heads * 64, reach = length - 1;
  const int32_t sequences = static_cast<int32_t>(b.size(16, 2));
  std::vector<int32_t> offsets;
  for (int32_t s = 0; s <= sequences; s++) offsets.push_back(s * length);
  precis_disentangled_attention_args args = {};
  args.q = b.tensor(PRECIS_BFLOAT16, {sequences * length, inner}, 0.3f);
  args.k = b.tensor(PRECIS_BFLOAT16, {sequences * length, inner}, 0.3f);
  args.v = b.tensor(PRECIS_BFLOAT16, {sequences * length, inner});
  args.out = b.tensor(PRECIS_BFLOAT16, {sequences * length, inner});
  args.position_keys = b.tensor(PRECIS_BFLOAT16, {2 * reach + 1, inner}, 0.3f);
  args.position_queries = b.tensor(PRECIS_BFLOAT16, {2 * reach + 1, inner}, 0.3f);
  args.offsets = b.array(offsets);
  args.sequences = sequences;
  args.heads = heads;
  args.scale = 1;
  const double tokens = static_cast<double>(sequences) * length;
  b.row(
      "disentangled_attention " + shape_text(sequences, length),
      {tokens * static_cast<double>(inner) * 8, 8.0 * tokens * length * static_cast<double>(inner)},
      [&] { return disentangled_attention_cuda(b.context(), args); },
      [&] {
        const int64_t query = length / 3, head = heads - 1;
        const auto part = [&](const precis_tensor& t, int64_t row) {
          const std::vector<double> whole = b.row(t, row);
          return std::vector<double>(whole.begin() + head * 64, whole.begin() + head * 64 + 64);
        };
        const auto dot = [](const std::vector<double>& x, const std::vector<double>& y) {
          double sum = 0;
          for (size_t c = 0; c < x.size(); c++) sum += x[c] * y[c];
          return sum;
        };
        const std::vector<double> q = part(args.q, length + query);
        expect_attention(b, args.q, args.k, args.v, args.out, length + query, length, length, head,
                         [&](int64_t key) {
                           const int64_t r = relative_row(query - key, reach);
                           return dot(q, part(args.position_keys, r)) +
                                  dot(part(args.k, length + key), part(args.position_queries, r));
                         });
      });
}

}  // namespace precis
