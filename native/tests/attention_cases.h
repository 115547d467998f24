// Helpers that the tests of attention and its gradients share: sequences of unequal length, their
// tensors and their arguments.
#ifndef PRECIS_TESTS_ATTENTION_CASES_H_
#define PRECIS_TESTS_ATTENTION_CASES_H_

#include "ops/attention.h"
#include "test.h"

namespace precis {

// The lengths of the sequences of one batch, as (queries, keys).
using Lengths = std::vector<std::pair<int32_t, int32_t>>;

struct Problem {
  Lengths lengths;
  int32_t heads = 3;
  int64_t head_dim = 24;
  int32_t dtype = PRECIS_FLOAT32;
  int32_t out_dtype = PRECIS_FLOAT32;
  int32_t buckets = 32;  // 0: no bias
  int32_t max_distance = 128;
  bool causal = false;
  bool bidirectional = true;
  bool fused = false;  // q, k and v are columns of one matrix
  float scale = 1;
  float dropout = 0;
  bool by_example = false;  // dropout_rows name the sequences and the positions in them
};

// The scale of q and k at which scores are around 2 for any width of a head.
inline float spread(int64_t head_dim) {
  return 1.4f / std::sqrt(std::sqrt(static_cast<float>(head_dim)));
}

// Tensors for a problem, and the arguments that refer to them.
struct Inputs {
  Inputs(const Problem& p, Random& random) {
    query_offsets = key_offsets = {0};
    for (const auto& [queries, keys] : p.lengths) {
      query_offsets.push_back(query_offsets.back() + queries);
      key_offsets.push_back(key_offsets.back() + keys);
    }
    const int64_t inner = p.heads * p.head_dim, m = query_offsets.back(), n = key_offsets.back();
    if (p.fused) {
      // q, k and v with unequal counts of queries and keys cannot be one matrix.
      memory.emplace_back(p.dtype, std::vector<int64_t>{n, 3 * inner}, 0, 1);
      memory[0].fill_normal(random, spread(p.head_dim));
      args.q = args.k = args.v = memory[0].tensor();
      for (precis_tensor* t : {&args.q, &args.k, &args.v}) t->dims[1] = inner;
      const int64_t bytes = inner * (p.dtype == PRECIS_BFLOAT16 ? 2 : 4);
      args.k.data = static_cast<char*>(args.k.data) + bytes;
      args.v.data = static_cast<char*>(args.v.data) + 2 * bytes;
    } else {
      memory.emplace_back(p.dtype, std::vector<int64_t>{m, inner}, 5, 1);
      memory.emplace_back(p.dtype, std::vector<int64_t>{n, inner}, 3, 3);
      memory.emplace_back(p.dtype, std::vector<int64_t>{n, inner}, 7, 0);
      memory[0].fill_normal(random, spread(p.head_dim));
      memory[1].fill_normal(random, spread(p.head_dim));
      memory[2].fill_normal(random);
      args.q = memory[0];
      args.k = memory[1];
      args.v = memory[2];
    }
    if (p.buckets > 0) {
      memory.emplace_back(PRECIS_FLOAT32, std::vector<int64_t>{p.buckets, p.heads}, 2, 1);
      args.bias = memory.back().fill_normal(random);
    }
    if (p.by_example) {
      memory.emplace_back(PRECIS_INT64, std::vector<int64_t>{m}, 0, 1);
      args.dropout_rows = memory.back();
      int64_t* names = memory.back().data<int64_t>();
      for (size_t s = 0; s < p.lengths.size(); s++) {
        for (int32_t i = 0; i < p.lengths[s].first; i++) {
          names[query_offsets[s] + i] = static_cast<int64_t>(7 * s + 3) << 32 | i;
        }
      }
    }
    args.query_offsets = query_offsets.data();
    args.key_offsets = key_offsets.data();
    args.sequences = static_cast<int32_t>(p.lengths.size());
    args.heads = p.heads;
    args.causal = p.causal;
    args.bidirectional = p.bidirectional;
    args.max_distance = p.max_distance;
    args.scale = p.scale;
    args.dropout = p.dropout;
    args.seed = random.next();
    args.offset = random.next();
  }

  std::vector<GuardedTensor> memory;
  std::vector<int32_t> query_offsets, key_offsets;
  precis_attention_args args = {};
};

inline std::string describe(const TestContext& context, const Problem& p) {
  return std::string(context.name()) + " head_dim " + std::to_string(p.head_dim) + " of " +
         std::to_string(p.lengths[0].first) + "x" + std::to_string(p.lengths[0].second) +
         (p.dtype == PRECIS_BFLOAT16 ? " bf16" : " f32") + (p.causal ? " causal" : "") +
         (p.fused ? " fused" : "") + (p.dropout > 0 ? " dropout" : "") +
         (p.by_example ? " by example" : "");
}

// Returns true if the two are bitwise identical.
inline bool same_rows(const precis_tensor& a, const precis_tensor& b) {
  const int64_t bytes = a.dtype == PRECIS_BFLOAT16 ? 2 : 4;
  for (int64_t r = 0; r < rows(a); r++) {
    if (std::memcmp(static_cast<char*>(a.data) + r * row_stride(a) * bytes,
                    static_cast<char*>(b.data) + r * row_stride(b) * bytes,
                    static_cast<size_t>(columns(a) * bytes)) != 0) {
      return false;
    }
  }
  return true;
}

}  // namespace precis

#endif  // PRECIS_TESTS_ATTENTION_CASES_H_
