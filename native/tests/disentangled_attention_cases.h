// Helpers that the tests of disentangled attention on CPU and GPU share.
#ifndef PRECIS_TESTS_DISENTANGLED_ATTENTION_CASES_H_
#define PRECIS_TESTS_DISENTANGLED_ATTENTION_CASES_H_

#include <numeric>

#include "ops/disentangled_attention.h"
#include "test.h"

namespace precis {

struct DisentangledCase {
  std::vector<int32_t> lengths;
  int32_t heads = 3;
  int64_t head_dim = 24;
  int64_t reach = 16;
  int32_t dtype = PRECIS_FLOAT32;
  int32_t out_dtype = PRECIS_FLOAT32;
  bool by_query = true;
  bool by_key = true;
  float scale = 0.6f;

  std::string name() const {
    return "head_dim " + std::to_string(head_dim) + ", reach " + std::to_string(reach) +
           (dtype == PRECIS_BFLOAT16 ? ", bf16" : ", f32") + (by_query ? ", by query" : "") +
           (by_key ? ", by key" : "");
  }
  // With bfloat16 operands the probabilities may be rounded to bfloat16 too.
  double absolute() const { return dtype == PRECIS_BFLOAT16 ? 8e-3 : 4e-6; }
};

// Tensors for a case, and the arguments that refer to them. q, k and v are columns of one matrix.
struct DisentangledInputs {
  DisentangledInputs(const DisentangledCase& c, Random& random)
      : tokens(std::accumulate(c.lengths.begin(), c.lengths.end(), int64_t{0})),
        inner(c.heads * c.head_dim),
        qkv(c.dtype, {tokens, 3 * inner}, 0, 1),
        keys(c.dtype, {2 * c.reach + 1, inner}, 5, 1),
        queries(c.dtype, {2 * c.reach + 1, inner}, 3, 3) {
    // Scores are around 2 for any width of a head.
    const float spread = 1.4f / std::sqrt(std::sqrt(static_cast<float>(c.head_dim)));
    qkv.fill_normal(random, spread);
    keys.fill_normal(random, spread);
    queries.fill_normal(random, spread);
    offsets = {0};
    for (int32_t n : c.lengths) offsets.push_back(offsets.back() + n);
    args.offsets = offsets.data();
    args.sequences = static_cast<int32_t>(c.lengths.size());
    args.heads = c.heads;
    args.scale = c.scale;
    put(c, qkv, keys, queries);
  }

  void put(const DisentangledCase& c, const precis_tensor& whole, const precis_tensor& key_table,
           const precis_tensor& query_table) {
    args.q = args.k = args.v = whole;
    for (precis_tensor* t : {&args.q, &args.k, &args.v}) t->dims[1] = inner;
    const int64_t bytes = inner * (c.dtype == PRECIS_BFLOAT16 ? 2 : 4);
    args.k.data = static_cast<char*>(args.k.data) + bytes;
    args.v.data = static_cast<char*>(args.v.data) + 2 * bytes;
    if (c.by_query) args.position_keys = key_table;
    if (c.by_key) args.position_queries = query_table;
  }

  int64_t tokens, inner;
  GuardedTensor qkv, keys, queries;
  std::vector<int32_t> offsets;
  precis_disentangled_attention_args args = {};
};

// Cases that CPU and GPU have in common.
inline std::vector<DisentangledCase> disentangled_cases() {
  std::vector<DisentangledCase> cases;
  for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
    for (int64_t head_dim : {1, 7, 24, 64, 65, 130}) {
      DisentangledCase c;
      c.dtype = dtype;
      c.head_dim = head_dim;
      c.heads = head_dim == 24 ? 3 : 1;
      c.lengths = {1, 0, 67, 16, 2, 33};
      c.reach = head_dim == 64 ? 80 : head_dim == 7 ? 0 : 16;
      c.out_dtype = head_dim == 65 ? PRECIS_BFLOAT16 : PRECIS_FLOAT32;
      cases.push_back(c);
    }
    for (int terms : {0, 1, 2}) {
      DisentangledCase c;
      c.dtype = dtype;
      c.lengths = {50, 3, 130};
      c.by_query = terms == 1;
      c.by_key = terms == 2;
      cases.push_back(c);
    }
  }
  return cases;
}

}  // namespace precis

#endif  // PRECIS_TESTS_DISENTANGLED_ATTENTION_CASES_H_
