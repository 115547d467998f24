#include "ops/attention_decode.h"

#include "ops/attention_checks.h"

namespace precis {
namespace {

// Every cache row that row r reads exists.
void check_past(const Check& check, const precis_attention_decode_args& a, int64_t r) {
  const int64_t cache_rows = rows(a.k_cache), length = a.lengths[r];
  check.that(length >= 1, "lengths[", r, "] is ", length);
  if (a.ancestors == nullptr) {
    check.that(a.key_starts[r] >= 0 && a.key_starts[r] + length <= cache_rows, "row ", r, " has ",
               length, " keys from key_starts[", r, "] = ", a.key_starts[r], ", but the cache has ",
               cache_rows, " rows");
    return;
  }
  check.that(length <= a.ancestor_stride, "lengths[", r, "] is ", length,
             ", but a row of ancestors has ", a.ancestor_stride);
  check.that(length <= a.slot_rows, "lengths[", r, "] is ", length, ", but a slot has ",
             a.slot_rows, " rows");
  const int32_t* ancestors = a.ancestors + r * a.ancestor_stride;
  const int64_t slots = cache_rows / a.slot_rows;
  for (int64_t p = 0; p < length; p++) {
    const int32_t slot = ancestors[p];
    // The last slot may be cut short: what counts is the row.
    check.that(slot >= 0 && (slot < slots || (slot == slots && cache_row(a, r, p) < cache_rows)),
               "ancestors[", r, ", ", p, "] is slot ", slot, ", but the cache of ", cache_rows,
               " rows has none of that number");
  }
}

// Every cache row that a decode step reads or writes exists, and none is written twice; where the
// host cannot know, the kernel checks that they exist.
void check_cache_rows(const Check& check, const precis_attention_decode_args& a) {
  const int64_t m = rows(a.q);
  check.that(m == 0 || a.lengths != nullptr, "lengths is NULL");
  check.that(m == 0 || a.key_starts != nullptr || a.ancestors != nullptr,
             "both key_starts and ancestors are NULL");
  bool readable = check.readable("lengths", a.lengths, m);
  if (a.ancestors == nullptr) {
    readable &= check.readable("key_starts", a.key_starts, m);
  } else {
    check.that(a.slot_rows > 0, "slot_rows is ", a.slot_rows);
    check.stride("ancestor_stride", a.ancestor_stride, m);
    readable &= check.readable("ancestors", a.ancestors, m * a.ancestor_stride);
  }
  if (!readable) return;
  for (int64_t r = 0; r < m; r++) check_past(check, a, r);
  if (a.k_new.data == nullptr) return;
  for (int64_t r = 0; r < m; r++) {
    const int64_t to = cache_row(a, r, a.lengths[r] - 1);
    for (int64_t s = 0; s < r; s++) {
      check.that(cache_row(a, s, a.lengths[s] - 1) != to, "rows ", s, " and ", r,
                 " both store to cache row ", to);
    }
  }
}

}  // namespace

void check_attention_decode(const Check& check, const precis_attention_decode_args& a) {
  check.tensor("q", a.q, 2, kFloats);
  check.tensor("k_cache", a.k_cache, 2, Dtypes(a.q.dtype));
  check.tensor("v_cache", a.v_cache, 2, Dtypes(a.q.dtype));
  check.tensor("out", a.out, 2, kFloats);
  check.dim("k_cache", a.k_cache, 1, a.q.dims[1], "q's width");
  check.dim("v_cache", a.v_cache, 1, a.q.dims[1], "q's width");
  check.dim("v_cache", a.v_cache, 0, a.k_cache.dims[0], "k_cache's number of rows");
  check.same_dims("out", a.out, "q", a.q);
  check.that((a.k_new.data == nullptr) == (a.v_new.data == nullptr),
             "give both k_new and v_new or neither");
  const bool stores = a.k_new.data != nullptr;
  if (stores) {
    check.tensor("k_new", a.k_new, 2, Dtypes(a.q.dtype));
    check.tensor("v_new", a.v_new, 2, Dtypes(a.q.dtype));
    check.same_dims("k_new", a.k_new, "q", a.q);
    check.same_dims("v_new", a.v_new, "q", a.q);
  }
  check_heads(check, a.q, a.heads, a.scale);
  check_relative_bias(check, a.bias, a.heads, false, a.max_distance);
  check_cache_rows(check, a);
  const int64_t m = rows(a.q);
  const std::initializer_list<Memory> read = {
      {"q", a.q},
      {"bias", a.bias},
      {"lengths", a.lengths, m},
      {"key_starts", a.ancestors == nullptr ? a.key_starts : nullptr, m},
      {"ancestors", a.ancestors, a.ancestors == nullptr ? 0 : m * a.ancestor_stride}};
  check.outputs_apart({{"out", a.out}}, read);
  check.outputs_apart({{"out", a.out}}, {{"k_cache", a.k_cache}, {"v_cache", a.v_cache}});
  if (!stores) return;
  check.outputs_apart({{"out", a.out}, {"k_cache", a.k_cache}, {"v_cache", a.v_cache}},
                      {{"k_new", a.k_new}, {"v_new", a.v_new}});
  check.outputs_apart({{"k_cache", a.k_cache}, {"v_cache", a.v_cache}}, read);
}

}  // namespace precis
