#include "ops/attention_decode.h"

#include <algorithm>
#include <functional>

#include "test.h"

using namespace precis;

namespace {

struct Problem {
  int64_t m = 3;
  int32_t heads = 3;
  int64_t head_dim = 24;
  int32_t dtype = PRECIS_FLOAT32;
  int32_t out_dtype = PRECIS_FLOAT32;
  int32_t length = 17;  // of the first row; the others' differ
  bool ancestors = false;
  bool append = true;
  bool bias = true;
  float scale = 1;
};

// With bfloat16 operands the probabilities may be rounded to bfloat16 too.
double absolute(int32_t dtype) { return dtype == PRECIS_BFLOAT16 ? 8e-3 : 4e-6; }

// The scale of q and k at which scores are around 2 for any width of a head.
float spread(int64_t head_dim) { return 1.4f / std::sqrt(std::sqrt(static_cast<float>(head_dim))); }

struct Inputs {
  Inputs(const Problem& p, Random& random)
      : inner(p.heads * p.head_dim),
        slot_rows(p.length + 10),
        k_cache(p.dtype, {p.m * slot_rows, inner}, 2, 1),
        v_cache(p.dtype, {p.m * slot_rows, inner}, 3, 2),
        q(p.dtype, {p.m, 3 * inner}, 0, 1),
        bias(PRECIS_FLOAT32, {32, p.heads}, 1) {
    k_cache.fill_normal(random, spread(p.head_dim));
    v_cache.fill_normal(random);
    // The step's q, k and v are columns of one matrix.
    q.fill_normal(random, spread(p.head_dim));
    args.q = args.k_new = args.v_new = q;
    const int64_t bytes = inner * (p.dtype == PRECIS_BFLOAT16 ? 2 : 4);
    args.q.dims[1] = args.k_new.dims[1] = args.v_new.dims[1] = inner;
    args.k_new.data = p.append ? q.data<char>() + bytes : nullptr;
    args.v_new.data = p.append ? q.data<char>() + 2 * bytes : nullptr;
    args.k_cache = k_cache;
    args.v_cache = v_cache;
    if (p.bias) args.bias = bias.fill_normal(random);
    for (int64_t r = 0; r < p.m; r++) {
      lengths.push_back(r == 0 ? p.length : static_cast<int32_t>(1 + random.below(p.length)));
      starts.push_back(static_cast<int32_t>(r * slot_rows + random.below(10)));
      // A row's past comes from any slot; its new key and value are stored in its own slot.
      for (int64_t pos = 0; pos < slot_rows; pos++) {
        ancestors.push_back(static_cast<int32_t>(pos + 1 == lengths[r] ? r : random.below(p.m)));
      }
    }
    if (p.ancestors) {
      // Beams have the same length, so no row's past is what another row stores.
      for (int64_t r = 0; r < p.m; r++) {
        std::swap(ancestors[r * slot_rows + lengths[r] - 1],
                  ancestors[r * slot_rows + p.length - 1]);
        ancestors[r * slot_rows + p.length - 1] = static_cast<int32_t>(r);
        lengths[r] = p.length;
      }
    }
    args.lengths = lengths.data();
    args.key_starts = p.ancestors ? nullptr : starts.data();
    args.ancestors = p.ancestors ? ancestors.data() : nullptr;
    args.ancestor_stride = slot_rows;
    args.slot_rows = slot_rows;
    args.heads = p.heads;
    args.max_distance = 128;
    args.scale = p.scale;
  }

  int64_t inner, slot_rows;
  GuardedTensor k_cache, v_cache, q, bias;
  std::vector<int32_t> lengths, starts, ancestors;
  precis_attention_decode_args args = {};
};

std::vector<char> bytes_of(const GuardedTensor& t) {
  const int64_t size = t.tensor().dtype == PRECIS_BFLOAT16 ? 2 : 4;
  std::vector<char> bytes;
  for (int64_t r = 0; r < rows(t.tensor()); r++) {
    const char* from = t.data<char>() + r * t.tensor().row_stride * size;
    bytes.insert(bytes.end(), from, from + columns(t.tensor()) * size);
  }
  return bytes;
}

void restore(const GuardedTensor& t, const std::vector<char>& bytes) {
  const int64_t size = t.tensor().dtype == PRECIS_BFLOAT16 ? 2 : 4;
  const int64_t width = columns(t.tensor()) * size;
  for (int64_t r = 0; r < rows(t.tensor()); r++) {
    std::memcpy(t.data<char>() + r * t.tensor().row_stride * size, bytes.data() + r * width, width);
  }
}

void expect_right(const TestContext& context, const Problem& p, Random& random) {
  Inputs in(p, random);
  GuardedTensor out(p.out_dtype, {p.m, in.inner}, 3, 1), want(p.out_dtype, {p.m, in.inner});
  const std::string what = std::string(context.name()) + " head_dim " + std::to_string(p.head_dim) +
                           " length " + std::to_string(p.length) + " rows " + std::to_string(p.m) +
                           (p.dtype == PRECIS_BFLOAT16 ? " bf16" : " f32") +
                           (p.ancestors ? " ancestors" : "");
  const std::vector<char> k_before = bytes_of(in.k_cache), v_before = bytes_of(in.v_cache);
  in.args.out = out;
  EXPECT_OK(context, precis_attention_decode(context, &in.args));
  EXPECT(out.intact() && in.k_cache.intact() && in.v_cache.intact() && in.q.intact(), "%s",
         what.c_str());
  const std::vector<char> k_after = bytes_of(in.k_cache), v_after = bytes_of(in.v_cache);
  restore(in.k_cache, k_before);
  restore(in.v_cache, v_before);
  in.args.out = want;
  attention_decode_ref(in.args);
  expect_close(out, want, rounding(p.out_dtype), absolute(p.dtype), what.c_str());
  EXPECT(bytes_of(in.k_cache) == k_after && bytes_of(in.v_cache) == v_after,
         "%s: the caches differ", what.c_str());
  EXPECT((k_before != k_after) == p.append, "%s", what.c_str());
}

// A row is bitwise identical to the same row alone, for any number of threads.
void expect_invariant(const char* isa, int32_t dtype, bool ancestors, bool shared) {
  Random random(9);
  Problem p;
  p.m = 7;
  p.heads = 5;
  p.length = 130;
  p.dtype = dtype;
  p.ancestors = ancestors;
  p.append = false;
  Inputs in(p, random);
  if (shared) {
    // Beams over the keys of one source.
    for (int r : {1, 2, 3}) {
      in.lengths[r] = in.lengths[0];
      in.starts[r] = in.starts[0];
    }
  }
  GuardedTensor batch(PRECIS_FLOAT32, {p.m, in.inner});
  for (int threads : {1, 2, 3}) {
    TestContext context(isa, threads);
    if (context.status() != PRECIS_OK) return;
    GuardedTensor again(PRECIS_FLOAT32, {p.m, in.inner});
    in.args.out = threads == 1 ? batch : again;
    EXPECT_OK(context, precis_attention_decode(context, &in.args));
    if (threads > 1) EXPECT(bytes_of(again) == bytes_of(batch), "%s", context.name());
    for (int64_t r = 0; r < p.m; r++) {
      GuardedTensor alone(PRECIS_FLOAT32, {1, in.inner});
      precis_attention_decode_args args = in.args;
      args.q.dims[0] = 1;
      args.q.data = dtype == PRECIS_BFLOAT16 ? static_cast<void*>(row<uint16_t>(in.args.q, r))
                                             : row<float>(in.args.q, r);
      args.lengths += r;
      if (ancestors) {
        args.ancestors += r * in.slot_rows;
      } else {
        args.key_starts += r;
      }
      args.out = alone;
      EXPECT_OK(context, precis_attention_decode(context, &args));
      EXPECT(std::memcmp(alone.data<float>(), row<float>(batch, r), in.inner * 4) == 0,
             "%s: row %d differs alone", context.name(), static_cast<int>(r));
    }
  }
}

void expect_no_overflow(const TestContext& context, int32_t dtype) {
  Random random(10);
  Problem p;
  p.m = 2;
  p.heads = 1;
  p.head_dim = 1;
  p.length = 40;
  p.dtype = dtype;
  p.append = p.bias = false;
  Inputs in(p, random);
  in.lengths[1] = 40;
  for (int64_t r = 0; r < 2; r++) {
    store_element(in.args.q, r, 0, r == 0 ? 128 : -128);
    for (int64_t i = 0; i < 40; i++) {
      store_element(in.args.k_cache, in.starts[r] + i, 0, i == 7 ? 80 : i == 9 ? -80 : i % 5 - 2.0);
    }
  }
  GuardedTensor out(PRECIS_FLOAT32, {2, 1});
  in.args.out = out;
  EXPECT_OK(context, precis_attention_decode(context, &in.args));
  for (int64_t r = 0; r < 2; r++) {
    const float want = load_element(in.args.v_cache, in.starts[r] + (r == 0 ? 7 : 9), 0);
    EXPECT(out.at(r, 0) == want, "%s: %g, not %g", context.name(), out.at(r, 0), want);
  }
  store_element(in.args.q, 1, 0, NAN);
  EXPECT_OK(context, precis_attention_decode(context, &in.args));
  EXPECT(!std::isnan(out.at(0, 0)) && std::isnan(out.at(1, 0)), "%s", context.name());
}

void expect_refusals(const TestContext& context) {
  Random random(11);
  Problem p;
  for (bool ancestors : {false, true}) {
    p.ancestors = ancestors;
    Inputs in(p, random);
    GuardedTensor out(PRECIS_FLOAT32, {p.m, in.inner});
    in.args.out = out.fill(7);
    const std::vector<char> before = bytes_of(in.k_cache);
    auto refused = [&](const char* text,
                       const std::function<void(precis_attention_decode_args&)>& spoil) {
      precis_attention_decode_args args = in.args;
      spoil(args);
      EXPECT_REFUSED(context, precis_attention_decode(context, &args), text);
    };
    using Args = precis_attention_decode_args;
    refused("heads is -2", [](Args& a) { a.heads = -2; });
    refused("scale is inf", [](Args& a) { a.scale = INFINITY; });
    refused("k_cache cannot be", [](Args& a) { a.k_cache.dtype = PRECIS_BFLOAT16; });
    refused("v_cache has 5 as dimension 0", [](Args& a) { a.v_cache.dims[0] = 5; });
    refused("k_new has 2 as dimension 0", [](Args& a) { a.k_new.dims[0] = 2; });
    refused("both k_new and v_new", [](Args& a) { a.v_new.data = nullptr; });
    refused("out overlaps v_cache",
            [](Args& a) { a.out.data = static_cast<float*>(a.v_cache.data) + 9; });
    refused("lengths is NULL", [](Args& a) { a.lengths = nullptr; });
    refused("key_starts and ancestors are NULL",
            [](Args& a) { a.key_starts = a.ancestors = nullptr; });
    const int32_t none[] = {3, 0, 3}, endless[] = {3, 4, INT32_MAX};
    refused("lengths[1] is 0", [&](Args& a) { a.lengths = none; });
    if (ancestors) {
      refused("lengths[2] is 2147483647, but a row of ancestors",
              [&](Args& a) { a.lengths = endless; });
      refused("slot_rows is 0", [](Args& a) { a.slot_rows = 0; });
      refused("but a slot has 16", [](Args& a) { a.slot_rows = 16; });
      std::vector<int32_t> bad = in.ancestors;
      bad[2 * in.slot_rows + 5] = 3;
      refused("ancestors[2, 5] is slot 3", [&](Args& a) { a.ancestors = bad.data(); });
      bad[2 * in.slot_rows + 5] = -1;
      refused("ancestors[2, 5] is slot -1", [&](Args& a) { a.ancestors = bad.data(); });
      bad = in.ancestors;
      bad[1 * in.slot_rows + 16] = 0;
      refused("rows 0 and 1 both store to cache row 16",
              [&](Args& a) { a.ancestors = bad.data(); });
    } else {
      refused("row 2 has 2147483647 keys", [&](Args& a) { a.lengths = endless; });
      const int32_t negative[] = {0, -1, 5},
                    late[] = {0, 20, static_cast<int32_t>(3 * in.slot_rows - 1)};
      const int32_t lengths[] = {4, 5, 2};
      refused("key_starts[1] = -1", [&](Args& a) { a.key_starts = negative; });
      refused("key_starts[2] = 80", [&](Args& a) {
        a.key_starts = late;
        a.lengths = lengths;
      });
      const int32_t same[] = {10, 9, 40};
      refused("rows 0 and 1 both store to cache row 13", [&](Args& a) {
        a.key_starts = same;
        a.lengths = lengths;
      });
    }
    EXPECT(bytes_of(in.k_cache) == before, "a refused call stored keys");
    bool untouched = true;
    for (int64_t c = 0; c < in.inner; c++) untouched &= out.at(0, c) == 7;
    EXPECT(untouched);
  }
}

}  // namespace

int main() {
  Random random(12);
  for (TestContext& context : all_contexts()) {
    for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
      for (int64_t head_dim : {1, 8, 24, 63, 64, 80, 128}) {
        for (int32_t length : {1, 2, 15, 16, 17, 33, 65, 200}) {
          for (bool ancestors : {false, true}) {
            Problem p;
            p.dtype = dtype;
            p.out_dtype = length % 2 == 0 ? dtype : PRECIS_FLOAT32;
            p.head_dim = head_dim;
            p.length = length;
            p.ancestors = ancestors;
            p.append = length % 3 != 0;
            p.bias = length != 33;
            p.scale = head_dim % 16 == 0 ? 1 : 0.37f;
            p.m = length == 17 ? 1 : 3;
            expect_right(context, p, random);
          }
        }
      }
      expect_no_overflow(context, dtype);
    }
    expect_refusals(context);
  }
  for (const char* isa : kIsas) {
    for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
      expect_invariant(isa, dtype, true, false);
      for (bool shared : {false, true}) expect_invariant(isa, dtype, false, shared);
    }
  }
  return test_result();
}
