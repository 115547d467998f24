#include "ops/attention_decode.h"

#include "device_test.h"

using namespace precis;

namespace {

struct Problem {
  int64_t m = 3;
  int32_t heads = 3;
  int64_t head_dim = 24;
  int32_t dtype = PRECIS_FLOAT32;
  int32_t out_dtype = PRECIS_FLOAT32;
  int32_t length = 17;  // of the first row; other rows differ
  bool ancestors = false;
  bool append = true;
  bool bias = true;
  int32_t max_distance = 128;
};

// Returns the results, row after row.
std::vector<float> check(TestDevice& device, const Problem& p, Random& random) {
  const int64_t inner = p.heads * p.head_dim, slot_rows = p.length + 10;
  // Rows are aligned where the width of a head allows it.
  const int64_t gap = p.head_dim % 8, spread_at = p.head_dim;
  const float spread = 1.4f / std::sqrt(std::sqrt(static_cast<float>(spread_at)));
  GuardedTensor k_cache(p.dtype, {p.m * slot_rows, inner}, gap, gap);
  GuardedTensor v_cache(p.dtype, {p.m * slot_rows, inner}, gap, gap);
  GuardedTensor qkv(p.dtype, {p.m, 3 * inner}, 0, gap), bias(PRECIS_FLOAT32, {32, p.heads}, 1);
  GuardedTensor out(p.out_dtype, {p.m, inner}, 3, 1), want(p.out_dtype, {p.m, inner});
  k_cache.fill_normal(random, spread);
  v_cache.fill_normal(random);
  qkv.fill_normal(random, spread);
  bias.fill_normal(random);
  std::vector<int32_t> lengths, starts, ancestors;
  for (int64_t r = 0; r < p.m; r++) {
    lengths.push_back(r == 0 || p.ancestors ? p.length
                                            : static_cast<int32_t>(1 + random.below(p.length)));
    starts.push_back(static_cast<int32_t>(r * slot_rows + random.below(10)));
    // A row's past comes from any slot; its new key and value are stored in its own slot.
    for (int64_t pos = 0; pos < slot_rows; pos++) {
      ancestors.push_back(static_cast<int32_t>(pos + 1 == p.length ? r : random.below(p.m)));
    }
  }
  auto arguments = [&](const precis_tensor& all, const precis_tensor& k, const precis_tensor& v,
                       const precis_tensor& b, const precis_tensor& o) {
    precis_attention_decode_args args = {};
    const int64_t bytes = inner * (p.dtype == PRECIS_BFLOAT16 ? 2 : 4);
    args.q = args.k_new = args.v_new = all;
    args.q.dims[1] = args.k_new.dims[1] = args.v_new.dims[1] = inner;
    args.k_new.data = p.append ? static_cast<char*>(all.data) + bytes : nullptr;
    args.v_new.data = p.append ? static_cast<char*>(all.data) + 2 * bytes : nullptr;
    args.k_cache = k;
    args.v_cache = v;
    args.out = o;
    if (p.bias) args.bias = b;
    args.ancestor_stride = args.slot_rows = slot_rows;
    args.heads = p.heads;
    args.max_distance = p.max_distance;
    args.scale = 0.75f;
    return args;
  };
  OnDevice k_(k_cache), v_(v_cache), qkv_(qkv), bias_(bias), out_(out);
  DeviceArray<int32_t> lengths_(lengths), starts_(starts), ancestors_(ancestors);
  precis_attention_decode_args args = arguments(qkv_, k_, v_, bias_, out_);
  args.lengths = lengths_;
  args.key_starts = p.ancestors ? nullptr : static_cast<int32_t*>(starts_);
  args.ancestors = p.ancestors ? static_cast<int32_t*>(ancestors_) : nullptr;
  EXPECT_RUN(device, attention_decode_cuda(device.context(), args));
  out_.download();

  args = arguments(qkv, k_cache, v_cache, bias, want);
  args.lengths = lengths.data();
  args.key_starts = p.ancestors ? nullptr : starts.data();
  args.ancestors = p.ancestors ? ancestors.data() : nullptr;
  attention_decode_ref(args);
  const std::string what = std::string(device.name()) + " head_dim " + std::to_string(p.head_dim) +
                           " length " + std::to_string(p.length);
  expect_close(out, want, rounding(p.out_dtype), 4e-6, what.c_str());
  // The caches must be as the reference left them.
  GuardedTensor k_want(p.dtype, {p.m * slot_rows, inner}),
      v_want(p.dtype, {p.m * slot_rows, inner});
  copy_elements(k_cache, k_want);
  copy_elements(v_cache, v_want);
  k_.download();
  v_.download();
  expect_close(k_cache, k_want, 0, 0, what.c_str());
  expect_close(v_cache, v_want, 0, 0, what.c_str());
  std::vector<float> results;
  for (int64_t r = 0; r < p.m; r++) {
    for (int64_t d = 0; d < inner; d++) {
      results.push_back(static_cast<float>(load_element(out, r, d)));
    }
  }
  return results;
}

// A row's bits do not depend on how many blocks share its keys, of which there are several spans, the
// last one short.
void check_clusters(TestDevice& device, bool with_ancestors) {
  Problem p;
  p.m = p.heads = 2;
  p.head_dim = 72;
  p.dtype = PRECIS_BFLOAT16;
  p.length = 1101;
  p.ancestors = with_ancestors;
  int& multiprocessors = device.context().multiprocessors;
  const int before = multiprocessors;
  std::vector<float> first;
  for (int processors : {1, 8, 16, 32, 132}) {
    Random random(31);  // the same numbers
    multiprocessors = processors;
    const std::vector<float> got = check(device, p, random);
    if (first.empty()) first = got;
    EXPECT(std::memcmp(got.data(), first.data(), first.size() * 4) == 0,
           "%s: other bits with %d multiprocessors", device.name(), processors);
  }
  multiprocessors = before;
}

// A row is bitwise identical to the same row alone.
void check_alone(TestDevice& device, Random& random) {
  const int64_t m = 4, inner = 128;
  GuardedTensor q(PRECIS_FLOAT32, {m, inner}), k(PRECIS_BFLOAT16, {200, inner});
  GuardedTensor v(PRECIS_BFLOAT16, {200, inner}), out(PRECIS_FLOAT32, {m, inner});
  GuardedTensor alone(PRECIS_FLOAT32, {1, inner});
  q.fill_normal(random);
  k.fill_normal(random);
  v.fill_normal(random);
  OnDevice q_(q), k_(k), v_(v), out_(out), alone_(alone);
  DeviceArray<int32_t> starts({0, 10, 30, 60}), lengths({10, 20, 30, 140});
  precis_attention_decode_args args = {};
  args.q = q_;
  args.k_cache = k_;
  args.v_cache = v_;
  args.out = out_;
  args.key_starts = starts;
  args.lengths = lengths;
  args.heads = 2;
  args.scale = 0.1f;
  EXPECT_RUN(device, attention_decode_cuda(device.context(), args));
  out_.download();
  for (int64_t r = 0; r < m; r++) {
    args.q.dims[0] = 1;
    args.q.data = row<float>(q_, r);
    args.out = alone_;
    args.key_starts = starts + r;
    args.lengths = lengths + r;
    EXPECT_RUN(device, attention_decode_cuda(device.context(), args));
    alone_.download();
    EXPECT(std::memcmp(alone.data<float>(), row<float>(out, r), inner * 4) == 0, "row %d differs",
           static_cast<int>(r));
  }
}

// A row whose keys lie outside the cache is noted and left out, and the others are computed. A lane
// that read or wrote there would be caught by the guards around the cache.
void refusals(TestDevice& device, Random& random) {
  const int64_t inner = 64, cache = 40;
  const struct {
    int32_t start, length, slot;  // slot: of the key at position 3, with ancestors
    bool ancestors;
  } bad[] = {{0, 0, 0, false},  {0, -1, 0, false},        {-1, 4, 0, false},
             {36, 5, 0, false}, {INT32_MAX, 5, 0, false}, {0, INT32_MAX, 0, false},
             {0, 5, 4, true},   {0, 5, -1, true},         {0, 11, 0, true},
             {0, 0, 0, true}};
  for (const auto& b : bad) {
    GuardedTensor q(PRECIS_FLOAT32, {2, inner}), out(PRECIS_FLOAT32, {2, inner});
    GuardedTensor k(PRECIS_FLOAT32, {cache, inner}), v(PRECIS_FLOAT32, {cache, inner});
    q.fill_normal(random);
    k.fill_normal(random);
    v.fill_normal(random);
    out.fill(-7);
    OnDevice q_(q), k_(k), v_(v), out_(out);
    std::vector<int32_t> table(20, 0);
    table[13] = b.slot;
    DeviceArray<int32_t> starts({3, b.start}), lengths({7, b.length}), ancestors(table);
    precis_attention_decode_args args = {};
    args.q = q_;
    args.k_cache = k_;
    args.v_cache = v_;
    args.out = out_;
    args.key_starts = starts;
    args.lengths = lengths;
    args.ancestors = b.ancestors ? static_cast<int32_t*>(ancestors) : nullptr;
    args.ancestor_stride = args.slot_rows = 10;
    args.heads = 2;
    args.scale = 0.1f;
    EXPECT_RUN(device, attention_decode_cuda(device.context(), args));
    EXPECT(device.problem() == problem_code(ProblemOp::kAttentionDecode, 1, ProblemKind::kCacheRow),
           "%s case %td", device.name(), &b - bad);
    out_.download();
    EXPECT(out.at(0, 0) != -7 && out.at(1, 0) == -7 && out.at(1, inner - 1) == -7);
  }
}

}  // namespace

int main() {
  return run_test(4, [](TestDevice& device) {
    Random random(10);
    for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
      for (int64_t head_dim : {1, 24, 64, 65, 128, 200}) {
        for (int32_t length : {1, 15, 17, 150}) {
          Problem p;
          p.dtype = dtype;
          p.out_dtype = length == 17 ? PRECIS_BFLOAT16 : PRECIS_FLOAT32;
          p.head_dim = head_dim;
          p.length = length;
          p.ancestors = head_dim == 24 || length == 15;
          p.append = length != 150;
          p.bias = head_dim != 65;
          p.max_distance = length == 150 ? 40 : 128;
          check(device, p, random);
        }
      }
      Problem far;  // distances beyond the table of biases
      far.dtype = dtype;
      far.m = far.heads = 1;
      far.head_dim = 8;
      far.length = 1200;
      far.max_distance = 2000;
      check(device, far, random);
    }
    for (bool with_ancestors : {false, true}) check_clusters(device, with_ancestors);
    check_alone(device, random);
    EXPECT(device.problem() == kNoProblem);
    refusals(device, random);
  });
}
