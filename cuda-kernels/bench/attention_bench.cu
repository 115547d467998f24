#include "attention_bench.h"
#include "ops/relative_position.h"

namespace precis {

PRECIS_BENCH(attention) {
  const int32_t heads = static_cast<int32_t>(b.size(12, 2));
  const int32_t length = static_cast<int32_t>(b.size(512, 40));
  const int64_t inner = heads * 64;
  const precis_tensor bias = b.tensor(PRECIS_FLOAT32, {32, heads});
  const int32_t sequences = static_cast<int32_t>(b.size(16, 2));
  std::vector<int32_t> offsets;
  for (int32_t s = 0; s <= sequences; s++) offsets.push_back(s * length);
  precis_attention_args args = {};
  args.q = b.tensor(PRECIS_BFLOAT16, {sequences * length, inner}, 0.3f);
  args.k = b.tensor(PRECIS_BFLOAT16, {sequences * length, inner}, 0.3f);
  args.v = b.tensor(PRECIS_BFLOAT16, {sequences * length, inner});
  args.out = b.tensor(PRECIS_BFLOAT16, {sequences * length, inner});
  args.bias = bias;
  args.query_offsets = args.key_offsets = b.array(offsets);
  args.sequences = sequences;
  args.heads = heads;
  args.bidirectional = 1;
  args.max_distance = 128;
  args.scale = 1;
  const double tokens = static_cast<double>(sequences) * length;
  b.row(
      "attention " + shape_text(sequences, length) + ", bias",
      {tokens * static_cast<double>(inner) * 8, 4.0 * tokens * length * static_cast<double>(inner)},
      [&] { return attention_cuda(b.context(), args); },
      [&] {
        const int64_t query = length / 3, head = heads - 1;
        const std::vector<double> table = b.rows(bias.data, bias.dtype, heads, 0, heads, 32);
        expect_attention(b, args.q, args.k, args.v, args.out, length + query, length, length, head,
                         [&](int64_t key) {
                           const int64_t bucket =
                               relative_position_bucket(key - query, 32, 128, true);
                           return table[static_cast<size_t>(bucket * heads + head)];
                         });
      });
}

}  // namespace precis
