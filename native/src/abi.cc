// The C boundary: checks every argument, runs the operation on the context's device and turns what
// goes wrong into a status and a sentence. Nothing else in the library is extern "C".

#include <climits>
#include <cmath>
#include <cstdio>
#include <initializer_list>
#include <memory>
#include <new>

#include "backend.h"
#include "context.h"
#include "error.h"
#include "ops/attention_decode.h"
#include "ops/linear_cross_entropy.h"
#include "ops/logit_rules.h"
#include "ops/matmul.h"
#include "ops/op.h"
#include "ops/relative_position.h"
#include "random/dropout_mask.h"

namespace precis {
namespace {

const char* dtype_name(int32_t dtype) {
  switch (dtype) {
    case PRECIS_FLOAT32:
      return "float32";
    case PRECIS_BFLOAT16:
      return "bfloat16";
    case PRECIS_INT8:
      return "int8";
    case PRECIS_UINT8:
      return "uint8";
    case PRECIS_INT32:
      return "int32";
    case PRECIS_INT64:
      return "int64";
    case PRECIS_FLOAT16:
      return "float16";
    default:
      return "unknown";
  }
}

// The device of the call that this thread is in.
thread_local Backend* device = nullptr;

// Refuses memory that the device cannot use, and tells who can use what is left.
Reach check_reach(const char* op, const char* name, const void* data, int64_t bytes) {
  if (device->reaches_everything() || bytes <= 0) return Reach::kBoth;
  const Reach reach = device->reach(data, static_cast<size_t>(bytes));
  PRECIS_CHECK(
      reach != Reach::kNobody,
      "%s: %s (%p, %lld bytes) is not memory of this context, and the GPU reaches no other: "
      "take it from precis_allocate or precis_allocate_shared",
      op, name, data, static_cast<long long>(bytes));
  return reach;
}

// An array that is looked at before anything runs.
template <class T>
void check_array(const char* op, const char* name, const T* data, int64_t count) {
  if (data == nullptr) return;
  PRECIS_CHECK(check_reach(op, name, data, count * static_cast<int64_t>(sizeof(T))) == Reach::kBoth,
               "%s: %s lies in device memory, where it cannot be checked: take it from "
               "precis_allocate_shared",
               op, name);
}

int64_t extent(const precis_tensor& t) {
  if (rows(t) == 0 || columns(t) == 0) return 0;
  return ((rows(t) - 1) * row_stride(t) + columns(t)) * element_bytes(t.dtype);
}

// Checks one tensor of one call, but for where it lies: name is as in precis.h.
void check_shape(const char* op, const char* name, const precis_tensor& t, int rank,
                 std::initializer_list<int32_t> dtypes) {
  PRECIS_CHECK(t.rank == rank, "%s: %s has rank %d, not %d", op, name, t.rank, rank);
  bool known = false;
  for (int32_t dtype : dtypes) known |= t.dtype == dtype;
  PRECIS_CHECK(known, "%s: %s cannot be %s (dtype %d)", op, name, dtype_name(t.dtype), t.dtype);
  int64_t elements = 1;
  for (int i = 0; i < rank; i++) {
    PRECIS_CHECK(t.dims[i] >= 0, "%s: %s has %lld as dimension %d", op, name,
                 static_cast<long long>(t.dims[i]), i);
    PRECIS_CHECK(
        !__builtin_mul_overflow(elements, t.dims[i], &elements) && elements <= (int64_t{1} << 48),
        "%s: %s is too large", op, name);
  }
  PRECIS_CHECK(rank < 2 || t.row_stride == 0 || t.row_stride >= columns(t),
               "%s: %s has rows of %lld elements, %lld apart", op, name,
               static_cast<long long>(columns(t)), static_cast<long long>(t.row_stride));
  PRECIS_CHECK(t.data != nullptr || elements == 0, "%s: %s has no data", op, name);
}

void check_tensor(const char* op, const char* name, const precis_tensor& t, int rank,
                  std::initializer_list<int32_t> dtypes) {
  check_shape(op, name, t, rank, dtypes);
  check_reach(op, name, t.data, extent(t));
}

// Rows of a table, ids being checked otherwise: those that only the device sees are looked at by
// its kernel.
void check_ids(const char* op, const precis_tensor& ids, const char* table, int64_t vocabulary) {
  if (check_reach(op, "ids", ids.data, extent(ids)) != Reach::kBoth) return;
  const int32_t* id = static_cast<const int32_t*>(ids.data);
  for (int64_t t = 0; t < ids.dims[0]; t++) {
    PRECIS_CHECK(id[t] >= 0 && id[t] < vocabulary, "%s: ids[%lld] is %d, outside %s's %lld rows",
                 op, static_cast<long long>(t), id[t], table, static_cast<long long>(vocabulary));
  }
}

void check_dim(const char* op, const char* name, const precis_tensor& t, int dim, int64_t want,
               const char* why) {
  PRECIS_CHECK(t.dims[dim] == want, "%s: %s has %lld as dimension %d, but %s is %lld", op, name,
               static_cast<long long>(t.dims[dim]), dim, why, static_cast<long long>(want));
}

// Whether both are columns of one matrix and have none of them in common.
bool different_columns(const precis_tensor& t, const precis_tensor& other) {
  const auto stride = static_cast<uint64_t>(row_stride(t) * element_bytes(t.dtype));
  if (static_cast<uint64_t>(row_stride(other) * element_bytes(other.dtype)) != stride) return false;
  const auto a = reinterpret_cast<uintptr_t>(t.data), b = reinterpret_cast<uintptr_t>(other.data);
  const uint64_t ahead = b >= a ? (b - a) % stride : (stride - (a - b) % stride) % stride;
  return ahead >= static_cast<uint64_t>(columns(t) * element_bytes(t.dtype)) &&
         ahead + static_cast<uint64_t>(columns(other) * element_bytes(other.dtype)) <= stride;
}

// Both checked: no element of one lies inside the other.
void check_apart(const char* op, const char* name, const precis_tensor& t, const char* other_name,
                 const precis_tensor& other) {
  if (rows(t) == 0 || columns(t) == 0 || rows(other) == 0 || columns(other) == 0) return;
  if (different_columns(t, other)) return;
  auto end = [](const precis_tensor& u) { return static_cast<const char*>(u.data) + extent(u); };
  PRECIS_CHECK(end(t) <= static_cast<const char*>(other.data) ||
                   end(other) <= static_cast<const char*>(t.data),
               "%s: %s overlaps %s", op, name, other_name);
}

struct Named {
  const char* name;
  const precis_tensor& tensor;
};

// No output lies inside an input or another output; what has no data is absent.
void check_outputs_apart(const char* op, std::initializer_list<Named> outputs,
                         std::initializer_list<Named> inputs) {
  for (const Named* output = outputs.begin(); output != outputs.end(); output++) {
    if (output->tensor.data == nullptr) continue;
    for (const Named& input : inputs) {
      if (input.tensor.data != nullptr) {
        check_apart(op, output->name, output->tensor, input.name, input.tensor);
      }
    }
    for (const Named* other = outputs.begin(); other != output; other++) {
      if (other->tensor.data != nullptr) {
        check_apart(op, output->name, output->tensor, other->name, other->tensor);
      }
    }
  }
}

// As check_apart, but the two may be the same tensor.
void check_same_or_apart(const char* op, const char* name, const precis_tensor& t,
                         const char* other_name, const precis_tensor& other) {
  if (t.data == other.data && t.dtype == other.dtype && row_stride(t) == row_stride(other)) return;
  check_apart(op, name, t, other_name, other);
}

constexpr int64_t kMaxPackedDim = int64_t{1} << 31;

// Checks the stacked weights and returns how many bytes they take packed.
int64_t check_pack(const precis_matmul_pack_args& a) {
  PRECIS_CHECK(a.weight_count >= 1 && a.weight_count <= 4,
               "matmul_pack: weight_count is %d, not between 1 and 4", a.weight_count);
  PRECIS_CHECK(a.dtype == PRECIS_FLOAT32 || a.dtype == PRECIS_BFLOAT16 || a.dtype == PRECIS_INT8,
               "matmul_pack: packed cannot be %s (dtype %d)", dtype_name(a.dtype), a.dtype);
  PRECIS_CHECK(!a.transposed || a.dtype != PRECIS_INT8,
               "matmul_pack: int8 weights cannot come transposed");
  // They are stacked along the first dimension and have the second in common.
  const char* common = a.transposed ? "outputs" : "inputs";
  int64_t stacked = 0;
  for (int i = 0; i < a.weight_count; i++) {
    const precis_tensor& w = a.weights[i];
    PRECIS_CHECK(w.rank == 2, "matmul_pack: weights[%d] has rank %d, not 2", i, w.rank);
    PRECIS_CHECK(w.dtype == PRECIS_FLOAT32 || w.dtype == PRECIS_BFLOAT16,
                 "matmul_pack: weights[%d] cannot be %s (dtype %d)", i, dtype_name(w.dtype),
                 w.dtype);
    PRECIS_CHECK(
        w.dims[0] > 0 && w.dims[1] > 0 && w.dims[0] <= kMaxPackedDim && w.dims[1] <= kMaxPackedDim,
        "matmul_pack: weights[%d] is %lld x %lld", i, static_cast<long long>(w.dims[0]),
        static_cast<long long>(w.dims[1]));
    PRECIS_CHECK(w.dims[1] == a.weights[0].dims[1],
                 "matmul_pack: weights[%d] has %lld %s, but weights[0] has %lld", i,
                 static_cast<long long>(w.dims[1]), common,
                 static_cast<long long>(a.weights[0].dims[1]));
    stacked += w.dims[0];
  }
  const int64_t outputs = a.transposed ? a.weights[0].dims[1] : stacked;
  const int64_t inputs = a.transposed ? stacked : a.weights[0].dims[1];
  PRECIS_CHECK(outputs <= (int64_t{1} << 46) / inputs, "matmul_pack: the weights are too large");
  PRECIS_CHECK(inputs <= kMaxPackedDim, "matmul_pack: the weights have %lld inputs",
               static_cast<long long>(inputs));
  PRECIS_CHECK(a.dtype != PRECIS_INT8 || inputs <= kMaxInt8Inputs,
               "matmul_pack: int8 weights have at most %lld inputs, not %lld",
               static_cast<long long>(kMaxInt8Inputs), static_cast<long long>(inputs));
  return device->packed_bytes(outputs, inputs, a.dtype);
}

void check_packed(const char* op, const char* name, const precis_packed_matrix& w,
                  std::initializer_list<int32_t> dtypes) {
  bool known = false;
  for (int32_t dtype : dtypes) known |= w.dtype == dtype;
  PRECIS_CHECK(known, "%s: %s cannot be %s (dtype %d)", op, name, dtype_name(w.dtype), w.dtype);
  PRECIS_CHECK(w.outputs > 0 && w.inputs > 0 && w.outputs <= 4 * kMaxPackedDim &&
                   w.inputs <= kMaxPackedDim && w.outputs <= (int64_t{1} << 46) / w.inputs,
               "%s: %s has %lld outputs and %lld inputs", op, name,
               static_cast<long long>(w.outputs), static_cast<long long>(w.inputs));
  PRECIS_CHECK(w.dtype != PRECIS_INT8 || w.inputs <= kMaxInt8Inputs,
               "%s: %s is int8 and has more than %lld inputs", op, name,
               static_cast<long long>(kMaxInt8Inputs));
  PRECIS_CHECK(w.data != nullptr && reinterpret_cast<uintptr_t>(w.data) % 64 == 0,
               "%s: %s has data at %p, which is not aligned to 64 bytes", op, name, w.data);
  const int64_t bytes = device->packed_bytes(w.outputs, w.inputs, w.dtype);
  PRECIS_CHECK(w.bytes >= bytes, "%s: %s has %lld bytes, but %lld x %lld %s take %lld", op, name,
               static_cast<long long>(w.bytes), static_cast<long long>(w.outputs),
               static_cast<long long>(w.inputs), dtype_name(w.dtype),
               static_cast<long long>(bytes));
  check_reach(op, name, w.data, bytes);
}

void check_product(const char* op, const precis_tensor& x, const precis_packed_matrix& w,
                   const precis_tensor& y, int32_t accumulate) {
  check_tensor(op, "x", x, 2, {PRECIS_FLOAT32, PRECIS_BFLOAT16});
  check_packed(op, "w", w, {PRECIS_FLOAT32, PRECIS_BFLOAT16, PRECIS_INT8});
  check_tensor(op, "y", y, 2, {PRECIS_FLOAT32, PRECIS_BFLOAT16});
  check_dim(op, "x", x, 1, w.inputs, "w's number of inputs");
  check_dim(op, "y", y, 0, x.dims[0], "x's number of rows");
  check_dim(op, "y", y, 1, w.outputs, "w's number of outputs");
  check_apart(op, "y", y, "x", x);
  PRECIS_CHECK(!accumulate || y.dtype == PRECIS_FLOAT32,
               "%s: accumulate needs y in float32, not %s", op, dtype_name(y.dtype));
}

// What lora_matmul writes beside y.
void check_down(const precis_lora_matmul_args& a) {
  const char* op = "lora_matmul";
  check_tensor(op, "down", a.down, 2, {PRECIS_FLOAT32});
  check_dim(op, "down", a.down, 0, a.x.dims[0], "x's number of rows");
  check_dim(op, "down", a.down, 1, a.a.outputs, "a's number of outputs");
  check_apart(op, "down", a.down, "x", a.x);
  check_apart(op, "down", a.down, "y", a.y);
  if (a.lora_x.data != nullptr) check_apart(op, "down", a.down, "lora_x", a.lora_x);
  for (int i = 0; i < a.segment_count; i++) {
    for (int j = 0; j < i; j++) {
      const precis_lora_segment &s = a.segments[j], &t = a.segments[i];
      const int64_t first = s.rank_begin > t.rank_begin ? s.rank_begin : t.rank_begin;
      PRECIS_CHECK(s.scaling == t.scaling || first >= s.rank_end || first >= t.rank_end,
                   "%s: down has one column for rank %lld, but segments[%d] scales it by %g and "
                   "segments[%d] by %g",
                   op, static_cast<long long>(first), j, s.scaling, i, t.scaling);
    }
  }
}

void check_lora_dropout(const precis_lora_matmul_args& a) {
  const char* op = "lora_matmul";
  PRECIS_CHECK(
      a.dropout_of >= PRECIS_LORA_DROPOUT_NONE && a.dropout_of <= PRECIS_LORA_DROPOUT_LOW_RANK,
      "%s: dropout_of is %d", op, a.dropout_of);
  if (a.dropout_of == PRECIS_LORA_DROPOUT_NONE) return;
  PRECIS_CHECK(a.dropout >= 0 && a.dropout < 1, "%s: dropout is %g, not in [0, 1)", op, a.dropout);
  if (a.dropout_of == PRECIS_LORA_DROPOUT_X) {
    PRECIS_CHECK(a.lora_x.data == nullptr, "%s: dropout is of x, but there is a lora_x", op);
    return;
  }
  PRECIS_CHECK(a.y.dtype == PRECIS_FLOAT32,
               "%s: dropout of the low-rank term needs y in float32, not %s", op,
               dtype_name(a.y.dtype));
  for (int i = 0; i < a.segment_count; i++) {
    for (int j = 0; j < i; j++) {
      const precis_lora_segment &s = a.segments[j], &t = a.segments[i];
      PRECIS_CHECK(s.rank_begin >= t.rank_end || t.rank_begin >= s.rank_end,
                   "%s: with dropout of the low-rank term segments cannot share ranks, but "
                   "segments[%d] and segments[%d] do",
                   op, j, i);
    }
  }
}

void check_heads(const char* op, const precis_tensor& q, int32_t heads, float scale) {
  PRECIS_CHECK(heads > 0, "%s: heads is %d", op, heads);
  PRECIS_CHECK(columns(q) > 0 && columns(q) % heads == 0,
               "%s: q has rows of %lld elements, which is not a multiple of %d heads", op,
               static_cast<long long>(columns(q)), heads);
  PRECIS_CHECK(std::isfinite(scale), "%s: scale is %g", op, scale);
}

void check_relative_bias(const char* op, const precis_tensor& bias, int32_t heads,
                         bool bidirectional, int32_t max_distance) {
  if (bias.data == nullptr) return;
  check_tensor(op, "bias", bias, 2, {PRECIS_FLOAT32});
  check_dim(op, "bias", bias, 1, heads, "heads");
  const int32_t least = bidirectional ? 4 : 2;
  PRECIS_CHECK(bias.dims[0] >= least && bias.dims[0] <= INT32_MAX,
               "%s: bias has %lld buckets, not %d or more", op,
               static_cast<long long>(bias.dims[0]), least);
  const int32_t exact = exact_buckets(static_cast<int32_t>(bias.dims[0]), bidirectional);
  PRECIS_CHECK(max_distance > exact,
               "%s: max_distance is %d, but %lld buckets hold the first %d distances one by one",
               op, max_distance, static_cast<long long>(bias.dims[0]), exact);
}

// Offsets of sequences that together are the rows of t.
void check_offsets(const char* op, const char* name, const int32_t* offsets, int32_t sequences,
                   const char* tensor, const precis_tensor& t) {
  PRECIS_CHECK(offsets != nullptr, "%s: %s is NULL", op, name);
  check_array(op, name, offsets, int64_t{sequences} + 1);
  PRECIS_CHECK(offsets[0] == 0, "%s: %s[0] is %d, not 0", op, name, offsets[0]);
  for (int32_t s = 0; s < sequences; s++) {
    PRECIS_CHECK(offsets[s] <= offsets[s + 1], "%s: %s[%d] is %d, less than the %d before it", op,
                 name, s + 1, offsets[s + 1], offsets[s]);
  }
  PRECIS_CHECK(offsets[sequences] == rows(t), "%s: %s ends with %d, but %s has %lld rows", op, name,
               offsets[sequences], tensor, static_cast<long long>(rows(t)));
}

// The arguments of attention, also as what op gets of them.
void check_attention(const char* op, const precis_attention_args& a) {
  check_tensor(op, "q", a.q, 2, {PRECIS_FLOAT32, PRECIS_BFLOAT16});
  check_tensor(op, "k", a.k, 2, {a.q.dtype});
  check_tensor(op, "v", a.v, 2, {a.q.dtype});
  check_tensor(op, "out", a.out, 2, {PRECIS_FLOAT32, PRECIS_BFLOAT16});
  check_dim(op, "k", a.k, 1, a.q.dims[1], "q's width");
  check_dim(op, "v", a.v, 1, a.q.dims[1], "q's width");
  check_dim(op, "v", a.v, 0, a.k.dims[0], "k's number of rows");
  check_dim(op, "out", a.out, 0, a.q.dims[0], "q's number of rows");
  check_dim(op, "out", a.out, 1, a.q.dims[1], "q's width");
  check_apart(op, "out", a.out, "q", a.q);
  check_apart(op, "out", a.out, "k", a.k);
  check_apart(op, "out", a.out, "v", a.v);
  check_heads(op, a.q, a.heads, a.scale);
  check_relative_bias(op, a.bias, a.heads, a.bidirectional != 0, a.max_distance);
  PRECIS_CHECK(a.sequences >= 0, "%s: sequences is %d", op, a.sequences);
  check_offsets(op, "query_offsets", a.query_offsets, a.sequences, "q", a.q);
  check_offsets(op, "key_offsets", a.key_offsets, a.sequences, "k", a.k);
  for (int32_t s = 0; s < a.sequences; s++) {
    PRECIS_CHECK(
        a.query_offsets[s] == a.query_offsets[s + 1] || a.key_offsets[s] < a.key_offsets[s + 1],
        "%s: sequence %d has %d queries and no keys", op, s,
        a.query_offsets[s + 1] - a.query_offsets[s]);
  }
  if (a.log_sum_exp.data != nullptr) {
    check_tensor(op, "log_sum_exp", a.log_sum_exp, 2, {PRECIS_FLOAT32});
    check_dim(op, "log_sum_exp", a.log_sum_exp, 0, a.q.dims[0], "q's number of rows");
    check_dim(op, "log_sum_exp", a.log_sum_exp, 1, a.heads, "heads");
    check_apart(op, "log_sum_exp", a.log_sum_exp, "q", a.q);
    check_apart(op, "log_sum_exp", a.log_sum_exp, "k", a.k);
    check_apart(op, "log_sum_exp", a.log_sum_exp, "v", a.v);
    check_apart(op, "log_sum_exp", a.log_sum_exp, "out", a.out);
  }
  PRECIS_CHECK(a.dropout >= 0 && a.dropout < 1, "%s: dropout is %g, not in [0, 1)", op, a.dropout);
  PRECIS_CHECK(a.dropout == 0 || rows(a.q) <= kMaxAttentionDropoutRows / a.heads,
               "%s: q has %lld rows of %d heads, more than dropout can tell apart", op,
               static_cast<long long>(rows(a.q)), a.heads);
}

void check_attention_backward(const precis_attention_backward_args& b) {
  const char* op = "attention_backward";
  const precis_attention_args& a = b.forward;
  check_attention(op, a);
  PRECIS_CHECK(a.log_sum_exp.data != nullptr || rows(a.q) == 0,
               "%s: log_sum_exp is missing: forward must have been asked for it", op);
  const Named like_q[] = {{"dout", b.dout}, {"dq", b.dq}};
  const Named like_k[] = {{"dk", b.dk}, {"dv", b.dv}};
  for (const Named& n : like_q) {
    check_tensor(op, n.name, n.tensor, 2, {PRECIS_FLOAT32, PRECIS_BFLOAT16});
    check_dim(op, n.name, n.tensor, 0, a.q.dims[0], "q's number of rows");
    check_dim(op, n.name, n.tensor, 1, a.q.dims[1], "q's width");
  }
  for (const Named& n : like_k) {
    check_tensor(op, n.name, n.tensor, 2, {PRECIS_FLOAT32, PRECIS_BFLOAT16});
    check_dim(op, n.name, n.tensor, 0, a.k.dims[0], "k's number of rows");
    check_dim(op, n.name, n.tensor, 1, a.q.dims[1], "q's width");
  }
  if (b.dbias.data != nullptr) {
    PRECIS_CHECK(a.bias.data != nullptr, "%s: there is a dbias, but no bias", op);
    check_tensor(op, "dbias", b.dbias, 2, {PRECIS_FLOAT32});
    check_dim(op, "dbias", b.dbias, 0, a.bias.dims[0], "the number of buckets");
    check_dim(op, "dbias", b.dbias, 1, a.heads, "heads");
  }
  check_outputs_apart(op, {{"dq", b.dq}, {"dk", b.dk}, {"dv", b.dv}, {"dbias", b.dbias}},
                      {{"q", a.q},
                       {"k", a.k},
                       {"v", a.v},
                       {"out", a.out},
                       {"bias", a.bias},
                       {"log_sum_exp", a.log_sum_exp},
                       {"dout", b.dout}});
}

// That every cache row that a decode step reads or writes exists, and that none is written twice.
void check_cache_rows(const precis_attention_decode_args& a) {
  const char* op = "attention_decode";
  const int64_t m = rows(a.q), cache_rows = rows(a.k_cache);
  PRECIS_CHECK(m == 0 || a.lengths != nullptr, "%s: lengths is NULL", op);
  PRECIS_CHECK(m == 0 || a.key_starts != nullptr || a.ancestors != nullptr,
               "%s: both key_starts and ancestors are NULL", op);
  PRECIS_CHECK(a.ancestors == nullptr || a.slot_rows > 0, "%s: slot_rows is %lld", op,
               static_cast<long long>(a.slot_rows));
  check_array(op, "lengths", a.lengths, m);
  if (a.ancestors == nullptr) check_array(op, "key_starts", a.key_starts, m);
  for (int64_t r = 0; r < m; r++) {
    const int64_t length = a.lengths[r];
    PRECIS_CHECK(length >= 1, "%s: lengths[%lld] is %lld", op, static_cast<long long>(r),
                 static_cast<long long>(length));
    if (a.ancestors == nullptr) {
      PRECIS_CHECK(a.key_starts[r] >= 0 && a.key_starts[r] + length <= cache_rows,
                   "%s: row %lld has %lld keys from key_starts[%lld] = %d, but the cache has %lld "
                   "rows",
                   op, static_cast<long long>(r), static_cast<long long>(length),
                   static_cast<long long>(r), a.key_starts[r], static_cast<long long>(cache_rows));
      continue;
    }
    PRECIS_CHECK(length <= a.ancestor_stride,
                 "%s: lengths[%lld] is %lld, but a row of ancestors has %lld", op,
                 static_cast<long long>(r), static_cast<long long>(length),
                 static_cast<long long>(a.ancestor_stride));
    PRECIS_CHECK(length <= a.slot_rows, "%s: lengths[%lld] is %lld, but a slot has %lld rows", op,
                 static_cast<long long>(r), static_cast<long long>(length),
                 static_cast<long long>(a.slot_rows));
    check_array(op, "ancestors", a.ancestors + r * a.ancestor_stride, length);
    const int64_t slots = cache_rows / a.slot_rows;
    for (int64_t p = 0; p < length; p++) {
      const int32_t slot = a.ancestors[r * a.ancestor_stride + p];
      // The last slot may be cut short: what counts is the row.
      PRECIS_CHECK(
          slot >= 0 && (slot < slots || (slot == slots && cache_row(a, r, p) < cache_rows)),
          "%s: ancestors[%lld, %lld] is slot %d, but the cache of %lld rows has none of "
          "that number",
          op, static_cast<long long>(r), static_cast<long long>(p), slot,
          static_cast<long long>(cache_rows));
    }
  }
  if (a.k_new.data == nullptr) return;
  for (int64_t r = 0; r < m; r++) {
    const int64_t to = cache_row(a, r, a.lengths[r] - 1);
    for (int64_t s = 0; s < r; s++) {
      PRECIS_CHECK(cache_row(a, s, a.lengths[s] - 1) != to,
                   "%s: rows %lld and %lld both store to cache row %lld", op,
                   static_cast<long long>(s), static_cast<long long>(r),
                   static_cast<long long>(to));
    }
  }
}

// The rules, for scores of (rows, vocabulary).
void check_rules(const char* op, const precis_logit_rules& rules, int64_t rows,
                 int64_t vocabulary) {
  check_array(op, "end_tokens", rules.end_tokens, rules.end_token_count);
  check_array(op, "history_lengths", rules.history_lengths, rows);
  check_array(op, "history", rules.history, rows * rules.history_stride);
  check_logit_rules(op, rules, rows, vocabulary);
}

// Both checked and of one rank.
void check_same_dims(const char* op, const char* name, const precis_tensor& t,
                     const char* other_name, const precis_tensor& other) {
  for (int i = 0; i < t.rank; i++) {
    PRECIS_CHECK(t.dims[i] == other.dims[i], "%s: %s has %lld as dimension %d, but %s's is %lld",
                 op, name, static_cast<long long>(t.dims[i]), i, other_name,
                 static_cast<long long>(other.dims[i]));
  }
}

// x, weight, dy and dx of the gradient of a norm along rows.
void check_norm_backward(const char* op, const precis_tensor& x, const precis_tensor& weight,
                         const precis_tensor& dy, const precis_tensor& dx, float epsilon) {
  check_tensor(op, "x", x, 2, {PRECIS_FLOAT32});
  check_tensor(op, "weight", weight, 1, {PRECIS_FLOAT32});
  check_tensor(op, "dy", dy, 2, {PRECIS_FLOAT32, PRECIS_BFLOAT16});
  check_tensor(op, "dx", dx, 2, {PRECIS_FLOAT32});
  check_dim(op, "weight", weight, 0, x.dims[1], "x's width");
  check_same_dims(op, "dy", dy, "x", x);
  check_same_dims(op, "dx", dx, "x", x);
  PRECIS_CHECK(x.dims[1] > 0, "%s: x has no columns", op);
  PRECIS_CHECK(epsilon >= 0, "%s: epsilon is %g", op, epsilon);
  check_apart(op, "dx", dx, "x", x);
  check_apart(op, "dx", dx, "weight", weight);
  check_apart(op, "dx", dx, "dy", dy);
}

void check_all_apart(const char* op, const char* name, const precis_tensor& t,
                     std::initializer_list<Named> others) {
  for (const Named& other : others) check_apart(op, name, t, other.name, other.tensor);
}

// A vector that is added to, one element for each column of x; absent without data.
void check_vector_gradient(const char* op, const char* name, const precis_tensor& gradient,
                           const precis_tensor& x, std::initializer_list<Named> others) {
  if (gradient.data == nullptr) return;
  check_tensor(op, name, gradient, 1, {PRECIS_FLOAT32});
  check_dim(op, name, gradient, 0, x.dims[1], "x's width");
  check_all_apart(op, name, gradient, others);
}

// The vectors of an optimizer: float32, all of the parameter's length, none inside another.
void check_optimizer_vectors(const char* op, std::initializer_list<Named> vectors) {
  const Named& first = *vectors.begin();
  for (const Named* v = vectors.begin(); v != vectors.end(); v++) {
    check_tensor(op, v->name, v->tensor, 1, {PRECIS_FLOAT32});
    check_dim(op, v->name, v->tensor, 0, first.tensor.dims[0], "the number of parameters");
    for (const Named* u = vectors.begin(); u != v; u++) {
      check_apart(op, v->name, v->tensor, u->name, u->tensor);
    }
  }
}

void check_finite(const char* op, const char* name, float value) {
  PRECIS_CHECK(std::isfinite(value), "%s: %s is %g", op, name, value);
}

void check_step(const char* op, int64_t step) {
  PRECIS_CHECK(step >= 1, "%s: step is %lld, not 1 or more", op, static_cast<long long>(step));
}

// What the losses on logits = scale x w' have in common: labels is the name of their int32 vector.
void check_logit_rows(const char* op, const precis_tensor& x, const precis_packed_matrix& w,
                      const precis_packed_matrix& w_transposed, const char* labels_name,
                      const precis_tensor& labels, const precis_tensor& dx, const precis_tensor& dw,
                      float scale) {
  check_tensor(op, "x", x, 2, {PRECIS_FLOAT32, PRECIS_BFLOAT16});
  check_packed(op, "w", w, {PRECIS_FLOAT32, PRECIS_BFLOAT16});
  check_tensor(op, labels_name, labels, 1, {PRECIS_INT32});
  check_dim(op, "x", x, 1, w.inputs, "w's number of inputs");
  check_dim(op, labels_name, labels, 0, x.dims[0], "x's number of rows");
  PRECIS_CHECK(w.outputs <= INT32_MAX, "%s: w has %lld outputs", op,
               static_cast<long long>(w.outputs));
  if (dx.data != nullptr) {
    check_tensor(op, "dx", dx, 2, {PRECIS_FLOAT32});
    check_dim(op, "dx", dx, 0, x.dims[0], "x's number of rows");
    check_dim(op, "dx", dx, 1, x.dims[1], "x's width");
    check_packed(op, "w_transposed", w_transposed, {w.dtype});
    PRECIS_CHECK(w_transposed.outputs == w.inputs && w_transposed.inputs == w.outputs,
                 "%s: w_transposed has %lld outputs and %lld inputs, but w has %lld and %lld", op,
                 static_cast<long long>(w_transposed.outputs),
                 static_cast<long long>(w_transposed.inputs), static_cast<long long>(w.outputs),
                 static_cast<long long>(w.inputs));
  }
  if (dw.data != nullptr) {
    check_tensor(op, "dw", dw, 2, {PRECIS_FLOAT32});
    check_dim(op, "dw", dw, 0, w.outputs, "w's number of outputs");
    check_dim(op, "dw", dw, 1, w.inputs, "w's number of inputs");
  }
  check_finite(op, "scale", scale);
  if (check_reach(op, labels_name, labels.data, extent(labels)) != Reach::kBoth) return;
  const int32_t* label = static_cast<const int32_t*>(labels.data);
  for (int64_t m = 0; m < labels.dims[0]; m++) {
    PRECIS_CHECK(label[m] == kIgnoredLabel || (label[m] >= 0 && label[m] < w.outputs),
                 "%s: %s[%lld] is %d, but the vocabulary has %lld tokens", op, labels_name,
                 static_cast<long long>(m), label[m], static_cast<long long>(w.outputs));
  }
}

// A float32 vector with one element for each row of x.
void check_row_vector(const char* op, const char* name, const precis_tensor& t,
                      const precis_tensor& x) {
  check_tensor(op, name, t, 1, {PRECIS_FLOAT32});
  check_dim(op, name, t, 0, x.dims[0], "x's number of rows");
}

void check_linear_cross_entropy(const precis_linear_cross_entropy_args& a) {
  const char* op = "linear_cross_entropy";
  check_logit_rows(op, a.x, a.w, a.w_transposed, "labels", a.labels, a.dx, a.dw, a.scale);
  check_row_vector(op, "losses", a.losses, a.x);
  check_finite(op, "grad_scale", a.grad_scale);
  PRECIS_CHECK(a.label_smoothing >= 0 && a.label_smoothing < 1,
               "%s: label_smoothing is %g, not in [0, 1)", op, a.label_smoothing);
  check_outputs_apart(op, {{"losses", a.losses}, {"dx", a.dx}, {"dw", a.dw}},
                      {{"x", a.x}, {"labels", a.labels}});
}

void check_log_probability(const precis_log_probability_args& a) {
  const char* op = "log_probability";
  check_logit_rows(op, a.x, a.w, a.w_transposed, "labels", a.labels, a.dx, a.dw, a.scale);
  check_row_vector(op, "log_probabilities", a.log_probabilities, a.x);
  if (a.entropies.data != nullptr) check_row_vector(op, "entropies", a.entropies, a.x);
  if (a.divergences.data != nullptr) {
    check_row_vector(op, "divergences", a.divergences, a.x);
    check_tensor(op, "reference_x", a.reference_x, 2, {PRECIS_FLOAT32, PRECIS_BFLOAT16});
    check_same_dims(op, "reference_x", a.reference_x, "x", a.x);
    check_packed(op, "reference_w", a.reference_w, {PRECIS_FLOAT32, PRECIS_BFLOAT16});
    PRECIS_CHECK(a.reference_w.outputs == a.w.outputs && a.reference_w.inputs == a.w.inputs,
                 "%s: reference_w has %lld outputs and %lld inputs, but w has %lld and %lld", op,
                 static_cast<long long>(a.reference_w.outputs),
                 static_cast<long long>(a.reference_w.inputs), static_cast<long long>(a.w.outputs),
                 static_cast<long long>(a.w.inputs));
  }
  const bool gradient = a.dx.data != nullptr || a.dw.data != nullptr;
  if (gradient) check_row_vector(op, "dlog_probabilities", a.dlog_probabilities, a.x);
  PRECIS_CHECK(gradient || a.dlog_probabilities.data == nullptr,
               "%s: there are dlog_probabilities, but neither dx nor dw", op);
  check_outputs_apart(op,
                      {{"log_probabilities", a.log_probabilities},
                       {"entropies", a.entropies},
                       {"divergences", a.divergences},
                       {"dx", a.dx},
                       {"dw", a.dw}},
                      {{"x", a.x},
                       {"labels", a.labels},
                       {"reference_x", a.reference_x},
                       {"dlog_probabilities", a.dlog_probabilities}});
}

void check_ppo_loss(const precis_ppo_loss_args& a) {
  const char* op = "ppo_loss";
  check_logit_rows(op, a.x, a.w, a.w_transposed, "actions", a.actions, a.dx, a.dw, a.scale);
  for (const Named& n : {Named{"weights", a.weights},
                         {"old_log_probabilities", a.old_log_probabilities},
                         {"advantages", a.advantages},
                         {"log_probabilities", a.log_probabilities},
                         {"entropies", a.entropies},
                         {"policy_losses", a.policy_losses}}) {
    check_row_vector(op, n.name, n.tensor, a.x);
  }
  const bool values = a.values.data != nullptr;
  for (const Named& n : {Named{"old_values", a.old_values}, {"returns", a.returns}}) {
    PRECIS_CHECK(values == (n.tensor.data != nullptr),
                 "%s: give values, old_values and returns or none of them", op);
  }
  for (const Named& n : {Named{"value_losses", a.value_losses}, {"dvalues", a.dvalues}}) {
    PRECIS_CHECK(values || n.tensor.data == nullptr, "%s: there is a %s, but no values", op,
                 n.name);
  }
  for (const Named& n : {Named{"reference_log_probabilities", a.reference_log_probabilities},
                         {"values", a.values},
                         {"old_values", a.old_values},
                         {"returns", a.returns},
                         {"value_losses", a.value_losses},
                         {"dvalues", a.dvalues}}) {
    if (n.tensor.data != nullptr) check_row_vector(op, n.name, n.tensor, a.x);
  }
  struct Range {
    const char* name;
    float value;
  };
  for (const Range& r : {Range{"clip_range_low", a.clip_range_low},
                         {"clip_range_high", a.clip_range_high},
                         {"clip_range_value", a.clip_range_value}}) {
    PRECIS_CHECK(r.value >= 0, "%s: %s is %g, not 0 or more", op, r.name, r.value);
  }
  check_finite(op, "value_coefficient", a.value_coefficient);
  check_finite(op, "entropy_coefficient", a.entropy_coefficient);
  check_finite(op, "kl_coefficient", a.kl_coefficient);
  PRECIS_CHECK(a.kl_coefficient == 0 || a.reference_log_probabilities.data != nullptr,
               "%s: kl_coefficient is %g, but there are no reference_log_probabilities", op,
               a.kl_coefficient);
  check_outputs_apart(op,
                      {{"log_probabilities", a.log_probabilities},
                       {"entropies", a.entropies},
                       {"policy_losses", a.policy_losses},
                       {"value_losses", a.value_losses},
                       {"dx", a.dx},
                       {"dw", a.dw},
                       {"dvalues", a.dvalues}},
                      {{"x", a.x},
                       {"actions", a.actions},
                       {"weights", a.weights},
                       {"old_log_probabilities", a.old_log_probabilities},
                       {"advantages", a.advantages},
                       {"reference_log_probabilities", a.reference_log_probabilities},
                       {"values", a.values},
                       {"old_values", a.old_values},
                       {"returns", a.returns}});
}

// Holds a context for the length of a call.
class Entry {
 public:
  explicit Entry(precis_context* context) : context_(context) {
    entered_ = !context->busy.exchange(true, std::memory_order_acquire);
  }
  ~Entry() {
    if (entered_) context_->busy.store(false, std::memory_order_release);
  }
  bool entered() const { return entered_; }

 private:
  precis_context* context_;
  bool entered_;
};

// What fails while operations are recorded spoils the recording.
void spoil(precis_context* context) {
  if (context->backend->recording() && context->spoilt.empty()) context->spoilt = context->error;
}

// Runs body; whatever leaves it becomes a status and the context's error text.
template <class Body>
precis_status run(precis_context* context, const void* args, Body&& body) noexcept {
  if (context == nullptr) return PRECIS_INVALID_ARGUMENT;
  Entry entry(context);
  // The other thread may be writing the error text: leave it alone.
  if (!entry.entered()) return PRECIS_INVALID_STATE;
  try {
    try {
      PRECIS_CHECK(args != nullptr, "args is NULL");
      device = context->backend.get();
      device->enter();
      body();
      return PRECIS_OK;
    } catch (const Error& e) {
      context->error = e.text;
      spoil(context);
      return e.status;
    } catch (const std::bad_alloc&) {
      context->error = "out of memory";
      spoil(context);
      return PRECIS_OUT_OF_MEMORY;
    } catch (const std::exception& e) {
      context->error = e.what();
      spoil(context);
      return PRECIS_INTERNAL_ERROR;
    }
  } catch (...) {
    return PRECIS_INTERNAL_ERROR;
  }
}

void refuse_while_recording(const char* what) {
  PRECIS_CHECK(!device->recording(), "%s: not while operations are recorded", what);
}

precis_status allocate(precis_context* context, int64_t bytes, void** memory, bool shared) {
  return run(context, memory, [&] {
    PRECIS_CHECK(bytes > 0, "allocate: %lld bytes", static_cast<long long>(bytes));
    refuse_while_recording("allocate");
    *memory = context->backend->allocate(static_cast<size_t>(bytes), shared);
    context->allocations++;
  });
}

}  // namespace
}  // namespace precis

using namespace precis;

extern "C" {

precis_status precis_context_create(const precis_context_args* args, precis_context** context) {
  if (args == nullptr || context == nullptr) return PRECIS_INVALID_ARGUMENT;
  *context = nullptr;
  auto report = [&](const char* text) {
    if (args->error != nullptr && args->error_bytes > 0) {
      std::snprintf(args->error, static_cast<size_t>(args->error_bytes), "%s", text);
    }
  };
  try {
    PRECIS_CHECK(args->device == PRECIS_CPU || args->device == PRECIS_CUDA,
                 "device: %d is neither the CPU nor CUDA", args->device);
    auto made = std::make_unique<precis_context>();
    made->backend = args->device == PRECIS_CUDA
                        ? make_cuda_backend(args->device_index, args->many_rows != 0)
                        : make_cpu_backend(args->threads, args->isa, args->matmul);
    *context = made.release();
    return PRECIS_OK;
  } catch (const Error& e) {
    report(e.text.c_str());
    return e.status;
  } catch (const std::bad_alloc&) {
    report("out of memory");
    return PRECIS_OUT_OF_MEMORY;
  } catch (...) {
    report("internal error");
    return PRECIS_INTERNAL_ERROR;
  }
}

void precis_context_destroy(precis_context* context) { delete context; }

precis_status precis_context_describe(precis_context* context, precis_context_info* info) {
  return run(context, info, [&] {
    *info = {};
    info->abi_version = PRECIS_ABI_VERSION;
    info->allocations = context->allocations;
    info->replays = context->replays;
    context->backend->describe(info);
  });
}

const char* precis_last_error(precis_context* context) {
  return context == nullptr ? "the context is NULL" : context->error.c_str();
}

precis_status precis_synchronize(precis_context* context) {
  return run(context, context, [&] {
    refuse_while_recording("synchronize");
    context->backend->synchronize();
  });
}

precis_status precis_allocate(precis_context* context, int64_t bytes, void** memory) {
  return allocate(context, bytes, memory, false);
}

precis_status precis_allocate_shared(precis_context* context, int64_t bytes, void** memory) {
  return allocate(context, bytes, memory, true);
}

precis_status precis_free(precis_context* context, void* memory, int64_t bytes) {
  return run(context, memory, [&] {
    refuse_while_recording("free");
    context->backend->free(memory, static_cast<size_t>(bytes));
  });
}

precis_status precis_record_begin(precis_context* context) {
  return run(context, context, [&] {
    refuse_while_recording("record_begin");
    context->spoilt.clear();
    context->backend->record();
  });
}

precis_status precis_record_end(precis_context* context, precis_recording** recording) {
  if (recording != nullptr) *recording = nullptr;
  return run(context, context, [&] {
    Backend& backend = *context->backend;
    PRECIS_CHECK(backend.recording(), "record_end: nothing is recorded");
    if (recording == nullptr || !context->spoilt.empty()) {
      backend.drop_recording();
      PRECIS_CHECK(recording == nullptr, "record_end: %s", context->spoilt.c_str());
      return;
    }
    auto made = std::make_unique<precis_recording>();
    made->operations = backend.end_recording();
    *recording = made.release();
  });
}

precis_status precis_replay(precis_context* context, precis_recording* recording,
                            int32_t* replayed) {
  return run(context, recording, [&] {
    PRECIS_CHECK(replayed != nullptr, "replay: replayed is NULL");
    refuse_while_recording("replay");
    *replayed = context->backend->replay(*recording->operations) ? 1 : 0;
    context->replays += *replayed;
  });
}

precis_status precis_recording_destroy(precis_context* context, precis_recording* recording) {
  return run(context, context, [&] {
    refuse_while_recording("recording_destroy");
    const std::unique_ptr<precis_recording> owned(recording);
    if (recording != nullptr) context->backend->synchronize();
  });
}

precis_status precis_zero(precis_context* context, const precis_zero_args* args) {
  return run(context, args, [&] {
    const int rank = args->y.rank == 1 ? 1 : 2;
    check_tensor("zero", "y", args->y, rank,
                 {PRECIS_FLOAT32, PRECIS_BFLOAT16, PRECIS_INT8, PRECIS_UINT8, PRECIS_INT32,
                  PRECIS_INT64, PRECIS_FLOAT16});
    context->backend->zero(*args);
  });
}

precis_status precis_matmul_pack_size(precis_context* context, const precis_matmul_pack_args* args,
                                      int64_t* bytes) {
  return run(context, args, [&] {
    PRECIS_CHECK(bytes != nullptr, "matmul_pack_size: bytes is NULL");
    *bytes = check_pack(*args);
  });
}

precis_status precis_matmul_pack(precis_context* context, const precis_matmul_pack_args* args) {
  return run(context, args, [&] {
    const precis_matmul_pack_args& a = *args;
    const int64_t bytes = check_pack(a);
    refuse_while_recording("matmul_pack");
    for (int i = 0; i < a.weight_count; i++) {
      check_shape("matmul_pack", "weights", a.weights[i], 2, {PRECIS_FLOAT32, PRECIS_BFLOAT16});
    }
    PRECIS_CHECK(a.packed != nullptr && reinterpret_cast<uintptr_t>(a.packed) % 64 == 0,
                 "matmul_pack: packed is %p, which is not aligned to 64 bytes", a.packed);
    PRECIS_CHECK(a.packed_bytes >= bytes, "matmul_pack: packed_bytes is %lld, but %lld are needed",
                 static_cast<long long>(a.packed_bytes), static_cast<long long>(bytes));
    check_reach("matmul_pack", "packed", a.packed, bytes);
    context->backend->matmul_pack(a);
  });
}

precis_status precis_transpose_packed(precis_context* context,
                                      const precis_transpose_packed_args* args) {
  return run(context, args, [&] {
    const precis_transpose_packed_args& a = *args;
    const char* op = "transpose_packed";
    check_packed(op, "w", a.w, {PRECIS_FLOAT32, PRECIS_BFLOAT16});
    check_packed(op, "out", a.out, {PRECIS_FLOAT32, PRECIS_BFLOAT16});
    PRECIS_CHECK(a.w.dtype == a.out.dtype, "%s: w is %s, but out is %s", op, dtype_name(a.w.dtype),
                 dtype_name(a.out.dtype));
    PRECIS_CHECK(a.out.outputs == a.w.inputs && a.out.inputs == a.w.outputs,
                 "%s: w is %lld x %lld, but out is %lld x %lld", op,
                 static_cast<long long>(a.w.outputs), static_cast<long long>(a.w.inputs),
                 static_cast<long long>(a.out.outputs), static_cast<long long>(a.out.inputs));
    const char* from = static_cast<const char*>(a.w.data);
    const char* to = static_cast<const char*>(a.out.data);
    PRECIS_CHECK(from + a.w.bytes <= to || to + a.out.bytes <= from, "%s: out overlaps w", op);
    context->backend->transpose_packed(a);
  });
}

precis_status precis_matmul(precis_context* context, const precis_matmul_args* args) {
  return run(context, args, [&] {
    const precis_matmul_args& a = *args;
    check_product("matmul", a.x, a.w, a.y, a.accumulate);
    context->backend->matmul(a);
  });
}

precis_status precis_lora_matmul(precis_context* context, const precis_lora_matmul_args* args) {
  return run(context, args, [&] {
    const precis_lora_matmul_args& a = *args;
    check_product("lora_matmul", a.x, a.w, a.y, a.accumulate);
    check_packed("lora_matmul", "a", a.a, {PRECIS_FLOAT32, PRECIS_BFLOAT16});
    check_packed("lora_matmul", "b", a.b, {PRECIS_FLOAT32, PRECIS_BFLOAT16});
    PRECIS_CHECK(a.a.dtype == a.b.dtype, "lora_matmul: a is %s, but b is %s", dtype_name(a.a.dtype),
                 dtype_name(a.b.dtype));
    auto check = [](const char* name, const char* what, int64_t is, int64_t want,
                    const char* whose) {
      PRECIS_CHECK(is == want, "lora_matmul: %s has %lld %s, but %s is %lld", name,
                   static_cast<long long>(is), what, whose, static_cast<long long>(want));
    };
    check("a", "inputs", a.a.inputs, a.w.inputs, "w's number of inputs");
    check("b", "outputs", a.b.outputs, a.w.outputs, "w's number of outputs");
    check("b", "inputs", a.b.inputs, a.a.outputs, "a's number of outputs");
    PRECIS_CHECK(a.segment_count >= 0 && a.segment_count <= 4,
                 "lora_matmul: segment_count is %d, not between 0 and 4", a.segment_count);
    for (int i = 0; i < a.segment_count; i++) {
      const precis_lora_segment& s = a.segments[i];
      PRECIS_CHECK(0 <= s.output_begin && s.output_begin <= s.output_end &&
                       s.output_end <= a.w.outputs && 0 <= s.rank_begin &&
                       s.rank_begin <= s.rank_end && s.rank_end <= a.a.outputs,
                   "lora_matmul: segments[%d] has outputs [%lld, %lld) of %lld and ranks "
                   "[%lld, %lld) of %lld",
                   i, static_cast<long long>(s.output_begin), static_cast<long long>(s.output_end),
                   static_cast<long long>(a.w.outputs), static_cast<long long>(s.rank_begin),
                   static_cast<long long>(s.rank_end), static_cast<long long>(a.a.outputs));
    }
    if (a.lora_x.data != nullptr) {
      check_tensor("lora_matmul", "lora_x", a.lora_x, 2, {PRECIS_FLOAT32, PRECIS_BFLOAT16});
      check_dim("lora_matmul", "lora_x", a.lora_x, 0, a.x.dims[0], "x's number of rows");
      check_dim("lora_matmul", "lora_x", a.lora_x, 1, a.x.dims[1], "x's width");
      check_apart("lora_matmul", "y", a.y, "lora_x", a.lora_x);
    }
    if (a.down.data != nullptr) check_down(a);
    check_lora_dropout(a);
    context->backend->lora_matmul(a);
  });
}

precis_status precis_weight_gradient(precis_context* context,
                                     const precis_weight_gradient_args* args) {
  return run(context, args, [&] {
    const precis_weight_gradient_args& a = *args;
    const char* op = "weight_gradient";
    check_tensor(op, "dy", a.dy, 2, {PRECIS_FLOAT32, PRECIS_BFLOAT16});
    check_tensor(op, "x", a.x, 2, {PRECIS_FLOAT32, PRECIS_BFLOAT16});
    check_tensor(op, "dw", a.dw, 2, {PRECIS_FLOAT32});
    check_dim(op, "x", a.x, 0, a.dy.dims[0], "dy's number of rows");
    check_dim(op, "dw", a.dw, 0, a.dy.dims[1], "dy's width");
    check_dim(op, "dw", a.dw, 1, a.x.dims[1], "x's width");
    check_apart(op, "dw", a.dw, "dy", a.dy);
    check_apart(op, "dw", a.dw, "x", a.x);
    PRECIS_CHECK(a.dtype == PRECIS_FLOAT32 || a.dtype == PRECIS_BFLOAT16,
                 "%s: the product cannot be in %s (dtype %d)", op, dtype_name(a.dtype), a.dtype);
    context->backend->weight_gradient(a);
  });
}

precis_status precis_linear_cross_entropy(precis_context* context,
                                          const precis_linear_cross_entropy_args* args) {
  return run(context, args, [&] {
    const precis_linear_cross_entropy_args& a = *args;
    check_linear_cross_entropy(a);
    context->backend->linear_cross_entropy(a);
  });
}

precis_status precis_log_probability(precis_context* context,
                                     const precis_log_probability_args* args) {
  return run(context, args, [&] {
    check_log_probability(*args);
    context->backend->log_probability(*args);
  });
}

precis_status precis_ppo_loss(precis_context* context, const precis_ppo_loss_args* args) {
  return run(context, args, [&] {
    check_ppo_loss(*args);
    context->backend->ppo_loss(*args);
  });
}

precis_status precis_convert(precis_context* context, const precis_convert_args* args) {
  return run(context, args, [&] {
    const precis_convert_args& a = *args;
    check_tensor("convert", "x", a.x, a.x.rank, {PRECIS_FLOAT32, PRECIS_BFLOAT16});
    check_tensor("convert", "y", a.y, a.x.rank, {PRECIS_FLOAT32, PRECIS_BFLOAT16});
    for (int i = 0; i < a.x.rank; i++) check_dim("convert", "y", a.y, i, a.x.dims[i], "x's");
    context->backend->convert(a);
  });
}

precis_status precis_rms_norm(precis_context* context, const precis_rms_norm_args* args) {
  return run(context, args, [&] {
    const precis_rms_norm_args& a = *args;
    check_tensor("rms_norm", "x", a.x, 2, {PRECIS_FLOAT32});
    check_tensor("rms_norm", "weight", a.weight, 1, {PRECIS_FLOAT32});
    check_tensor("rms_norm", "y", a.y, 2, {PRECIS_FLOAT32, PRECIS_BFLOAT16});
    check_dim("rms_norm", "weight", a.weight, 0, a.x.dims[1], "x's width");
    check_dim("rms_norm", "y", a.y, 0, a.x.dims[0], "x's number of rows");
    check_dim("rms_norm", "y", a.y, 1, a.x.dims[1], "x's width");
    PRECIS_CHECK(a.x.dims[1] > 0, "rms_norm: x has no columns");
    PRECIS_CHECK(a.epsilon >= 0, "rms_norm: epsilon is %g", a.epsilon);
    context->backend->rms_norm(a);
  });
}

precis_status precis_layer_norm(precis_context* context, const precis_layer_norm_args* args) {
  return run(context, args, [&] {
    const precis_layer_norm_args& a = *args;
    const char* op = "layer_norm";
    check_tensor(op, "x", a.x, 2, {PRECIS_FLOAT32});
    check_tensor(op, "weight", a.weight, 1, {PRECIS_FLOAT32});
    check_tensor(op, "bias", a.bias, 1, {PRECIS_FLOAT32});
    check_tensor(op, "y", a.y, 2, {PRECIS_FLOAT32, PRECIS_BFLOAT16});
    check_dim(op, "weight", a.weight, 0, a.x.dims[1], "x's width");
    check_dim(op, "bias", a.bias, 0, a.x.dims[1], "x's width");
    check_same_dims(op, "y", a.y, "x", a.x);
    PRECIS_CHECK(a.x.dims[1] > 0, "%s: x has no columns", op);
    PRECIS_CHECK(a.epsilon >= 0, "%s: epsilon is %g", op, a.epsilon);
    check_all_apart(op, "y", a.y, {{"x", a.x}, {"weight", a.weight}, {"bias", a.bias}});
    context->backend->layer_norm(a);
  });
}

precis_status precis_layer_norm_backward(precis_context* context,
                                         const precis_layer_norm_backward_args* args) {
  return run(context, args, [&] {
    const precis_layer_norm_backward_args& a = *args;
    const char* op = "layer_norm_backward";
    check_norm_backward(op, a.x, a.weight, a.dy, a.dx, a.epsilon);
    check_vector_gradient(op, "dweight", a.dweight, a.x,
                          {{"x", a.x}, {"weight", a.weight}, {"dy", a.dy}, {"dx", a.dx}});
    check_vector_gradient(op, "dbias", a.dbias, a.x,
                          {{"x", a.x}, {"weight", a.weight}, {"dy", a.dy}, {"dx", a.dx}});
    if (a.dweight.data != nullptr && a.dbias.data != nullptr) {
      check_apart(op, "dbias", a.dbias, "dweight", a.dweight);
    }
    context->backend->layer_norm_backward(a);
  });
}

precis_status precis_add_bias(precis_context* context, const precis_add_bias_args* args) {
  return run(context, args, [&] {
    const precis_add_bias_args& a = *args;
    check_tensor("add_bias", "y", a.y, 2, {PRECIS_FLOAT32, PRECIS_BFLOAT16});
    check_tensor("add_bias", "bias", a.bias, 1, {PRECIS_FLOAT32});
    check_dim("add_bias", "bias", a.bias, 0, a.y.dims[1], "y's width");
    check_apart("add_bias", "y", a.y, "bias", a.bias);
    context->backend->add_bias(a);
  });
}

precis_status precis_bias_gradient(precis_context* context, const precis_bias_gradient_args* args) {
  return run(context, args, [&] {
    const precis_bias_gradient_args& a = *args;
    check_tensor("bias_gradient", "dy", a.dy, 2, {PRECIS_FLOAT32, PRECIS_BFLOAT16});
    check_tensor("bias_gradient", "dbias", a.dbias, 1, {PRECIS_FLOAT32});
    check_dim("bias_gradient", "dbias", a.dbias, 0, a.dy.dims[1], "dy's width");
    check_apart("bias_gradient", "dbias", a.dbias, "dy", a.dy);
    context->backend->bias_gradient(a);
  });
}

precis_status precis_embedding(precis_context* context, const precis_embedding_args* args) {
  return run(context, args, [&] {
    const precis_embedding_args& a = *args;
    check_tensor("embedding", "table", a.table, 2, {PRECIS_FLOAT32, PRECIS_BFLOAT16});
    check_tensor("embedding", "ids", a.ids, 1, {PRECIS_INT32});
    check_tensor("embedding", "y", a.y, 2, {PRECIS_FLOAT32});
    check_dim("embedding", "y", a.y, 0, a.ids.dims[0], "the number of ids");
    check_dim("embedding", "y", a.y, 1, a.table.dims[1], "table's width");
    check_apart("embedding", "y", a.y, "table", a.table);
    check_apart("embedding", "y", a.y, "ids", a.ids);
    check_ids("embedding", a.ids, "the table", a.table.dims[0]);
    context->backend->embedding(a);
  });
}

precis_status precis_embedding_backward(precis_context* context,
                                        const precis_embedding_backward_args* args) {
  return run(context, args, [&] {
    const precis_embedding_backward_args& a = *args;
    const char* op = "embedding_backward";
    check_tensor(op, "dy", a.dy, 2, {PRECIS_FLOAT32, PRECIS_BFLOAT16});
    check_tensor(op, "dtable", a.dtable, 2, {PRECIS_FLOAT32});
    check_tensor(op, "ids", a.ids, 1, {PRECIS_INT32});
    check_dim(op, "dy", a.dy, 0, a.ids.dims[0], "the number of ids");
    check_dim(op, "dy", a.dy, 1, a.dtable.dims[1], "dtable's width");
    check_all_apart(op, "dtable", a.dtable, {{"ids", a.ids}, {"dy", a.dy}});
    check_ids(op, a.ids, "dtable", a.dtable.dims[0]);
    context->backend->embedding_backward(a);
  });
}

precis_status precis_dropout(precis_context* context, const precis_dropout_args* args) {
  return run(context, args, [&] {
    const precis_dropout_args& a = *args;
    check_tensor("dropout", "x", a.x, 2, {PRECIS_FLOAT32, PRECIS_BFLOAT16});
    check_tensor("dropout", "y", a.y, 2, {PRECIS_FLOAT32, PRECIS_BFLOAT16});
    check_same_dims("dropout", "y", a.y, "x", a.x);
    PRECIS_CHECK(a.probability >= 0 && a.probability < 1,
                 "dropout: probability is %g, not in [0, 1)", a.probability);
    PRECIS_CHECK(!a.accumulate || a.y.dtype == PRECIS_FLOAT32,
                 "dropout: accumulate needs y in float32, not %s", dtype_name(a.y.dtype));
    if (a.accumulate) {
      check_apart("dropout", "y", a.y, "x", a.x);
    } else {
      check_same_or_apart("dropout", "y", a.y, "x", a.x);
    }
    context->backend->dropout(a);
  });
}

precis_status precis_activation(precis_context* context, const precis_activation_args* args) {
  return run(context, args, [&] {
    const precis_activation_args& a = *args;
    check_tensor("activation", "x", a.x, 2, {PRECIS_FLOAT32, PRECIS_BFLOAT16});
    check_tensor("activation", "y", a.y, 2, {PRECIS_FLOAT32, PRECIS_BFLOAT16});
    check_dim("activation", "y", a.y, 0, a.x.dims[0], "x's number of rows");
    PRECIS_CHECK(a.kind >= PRECIS_RELU && a.kind <= PRECIS_TANH, "activation: kind %d is unknown",
                 a.kind);
    if (a.gated) {
      check_dim("activation", "x", a.x, 1, 2 * a.y.dims[1], "twice y's width");
      check_apart("activation", "y", a.y, "x", a.x);
    } else {
      check_dim("activation", "y", a.y, 1, a.x.dims[1], "x's width");
      check_same_or_apart("activation", "y", a.y, "x", a.x);
    }
    context->backend->activation(a);
  });
}

precis_status precis_add(precis_context* context, const precis_add_args* args) {
  return run(context, args, [&] {
    const precis_add_args& a = *args;
    check_tensor("add", "x", a.x, 2, {PRECIS_FLOAT32, PRECIS_BFLOAT16});
    check_tensor("add", "y", a.y, 2, {PRECIS_FLOAT32, PRECIS_BFLOAT16});
    check_same_dims("add", "y", a.y, "x", a.x);
    check_apart("add", "y", a.y, "x", a.x);
    context->backend->add(a);
  });
}

precis_status precis_rms_norm_backward(precis_context* context,
                                       const precis_rms_norm_backward_args* args) {
  return run(context, args, [&] {
    const precis_rms_norm_backward_args& a = *args;
    const char* op = "rms_norm_backward";
    check_norm_backward(op, a.x, a.weight, a.dy, a.dx, a.epsilon);
    check_vector_gradient(op, "dweight", a.dweight, a.x,
                          {{"x", a.x}, {"weight", a.weight}, {"dy", a.dy}, {"dx", a.dx}});
    context->backend->rms_norm_backward(a);
  });
}

precis_status precis_activation_backward(precis_context* context,
                                         const precis_activation_backward_args* args) {
  return run(context, args, [&] {
    const precis_activation_backward_args& a = *args;
    const char* op = "activation_backward";
    check_tensor(op, "x", a.x, 2, {PRECIS_FLOAT32, PRECIS_BFLOAT16});
    check_tensor(op, "dy", a.dy, 2, {PRECIS_FLOAT32, PRECIS_BFLOAT16});
    check_tensor(op, "dx", a.dx, 2, {PRECIS_FLOAT32, PRECIS_BFLOAT16});
    check_same_dims(op, "dx", a.dx, "x", a.x);
    check_dim(op, "dy", a.dy, 0, a.x.dims[0], "x's number of rows");
    PRECIS_CHECK(a.kind >= PRECIS_RELU && a.kind <= PRECIS_TANH, "%s: kind %d is unknown", op,
                 a.kind);
    check_apart(op, "dx", a.dx, "x", a.x);
    if (a.gated) {
      check_dim(op, "x", a.x, 1, 2 * a.dy.dims[1], "twice dy's width");
      check_apart(op, "dx", a.dx, "dy", a.dy);
    } else {
      check_dim(op, "dy", a.dy, 1, a.x.dims[1], "x's width");
      check_same_or_apart(op, "dx", a.dx, "dy", a.dy);
    }
    context->backend->activation_backward(a);
  });
}

precis_status precis_softmax(precis_context* context, const precis_softmax_args* args) {
  return run(context, args, [&] {
    const precis_softmax_args& a = *args;
    check_tensor("softmax", "x", a.x, 2, {PRECIS_FLOAT32});
    check_tensor("softmax", "y", a.y, 2, {PRECIS_FLOAT32});
    check_dim("softmax", "y", a.y, 0, a.x.dims[0], "x's number of rows");
    check_dim("softmax", "y", a.y, 1, a.x.dims[1], "x's width");
    PRECIS_CHECK(a.x.dims[1] > 0, "softmax: x has no columns");
    check_same_or_apart("softmax", "y", a.y, "x", a.x);
    context->backend->softmax(a);
  });
}

precis_status precis_top_k(precis_context* context, const precis_top_k_args* args) {
  return run(context, args, [&] {
    const precis_top_k_args& a = *args;
    check_tensor("top_k", "x", a.x, 2, {PRECIS_FLOAT32});
    check_tensor("top_k", "values", a.values, 2, {PRECIS_FLOAT32});
    check_tensor("top_k", "indices", a.indices, 2, {PRECIS_INT32});
    check_dim("top_k", "values", a.values, 0, a.x.dims[0], "x's number of rows");
    check_dim("top_k", "indices", a.indices, 0, a.x.dims[0], "x's number of rows");
    check_dim("top_k", "indices", a.indices, 1, a.values.dims[1], "values' width");
    PRECIS_CHECK(a.values.dims[1] > 0 && a.values.dims[1] <= a.x.dims[1],
                 "top_k: k is %lld, not between 1 and x's width, %lld",
                 static_cast<long long>(a.values.dims[1]), static_cast<long long>(a.x.dims[1]));
    PRECIS_CHECK(a.x.dims[1] <= INT32_MAX, "top_k: x has %lld columns, more than int32 can count",
                 static_cast<long long>(a.x.dims[1]));
    check_apart("top_k", "values", a.values, "x", a.x);
    check_apart("top_k", "indices", a.indices, "x", a.x);
    check_apart("top_k", "indices", a.indices, "values", a.values);
    context->backend->top_k(a);
  });
}

precis_status precis_process_logits(precis_context* context,
                                    const precis_process_logits_args* args) {
  return run(context, args, [&] {
    const precis_process_logits_args& a = *args;
    check_tensor("process_logits", "scores", a.scores, 2, {PRECIS_FLOAT32});
    check_rules("process_logits", a.rules, a.scores.dims[0], a.scores.dims[1]);
    context->backend->process_logits(a);
  });
}

precis_status precis_sample(precis_context* context, const precis_sample_args* args) {
  return run(context, args, [&] {
    const precis_sample_args& a = *args;
    check_tensor("sample", "logits", a.logits, 2, {PRECIS_FLOAT32});
    PRECIS_CHECK(a.logits.dims[1] > 0 && a.logits.dims[1] <= (1 << 22),
                 "sample: logits has %lld columns, not between 1 and %d",
                 static_cast<long long>(a.logits.dims[1]), 1 << 22);
    const int64_t m = a.logits.dims[0];
    PRECIS_CHECK(a.tokens != nullptr || m == 0, "sample: tokens is NULL");
    check_reach("sample", "tokens", a.tokens, m * 4);
    for (const float* each : {a.log_probabilities, a.warped_log_probabilities}) {
      if (each != nullptr) check_reach("sample", "log_probabilities", each, m * 4);
    }
    if (!a.greedy) {
      PRECIS_CHECK(a.temperature > 0 && a.temperature <= 3e38f,
                   "sample: temperature is %g, not above 0", a.temperature);
      PRECIS_CHECK(a.top_k >= 0, "sample: top_k is %d", a.top_k);
      PRECIS_CHECK(a.top_p >= 0 && a.top_p <= 1, "sample: top_p is %g, not between 0 and 1",
                   a.top_p);
      PRECIS_CHECK(a.streams != nullptr || m == 0, "sample: streams is NULL");
      PRECIS_CHECK(a.offsets != nullptr || m == 0, "sample: offsets is NULL");
      check_reach("sample", "streams", a.streams, m * 8);
      check_array("sample", "offsets", a.offsets, m);
      for (int64_t r = 0; r < m; r++) {
        PRECIS_CHECK(a.offsets[r] >> 32 == 0, "sample: offsets[%lld] is %llu, not below 2^32",
                     static_cast<long long>(r), static_cast<unsigned long long>(a.offsets[r]));
      }
    }
    if (a.probabilities.data != nullptr) {
      check_tensor("sample", "probabilities", a.probabilities, 2, {PRECIS_FLOAT32});
      check_dim("sample", "probabilities", a.probabilities, 0, a.logits.dims[0],
                "logits' number of rows");
      check_dim("sample", "probabilities", a.probabilities, 1, a.logits.dims[1], "logits' width");
      check_apart("sample", "probabilities", a.probabilities, "logits", a.logits);
    }
    check_rules("sample", a.rules, m, a.logits.dims[1]);
    context->backend->sample(a);
  });
}

precis_status precis_attention(precis_context* context, const precis_attention_args* args) {
  return run(context, args, [&] {
    check_attention("attention", *args);
    context->backend->attention(*args);
  });
}

precis_status precis_attention_backward(precis_context* context,
                                        const precis_attention_backward_args* args) {
  return run(context, args, [&] {
    check_attention_backward(*args);
    context->backend->attention_backward(*args);
  });
}

precis_status precis_attention_decode(precis_context* context,
                                      const precis_attention_decode_args* args) {
  return run(context, args, [&] {
    const precis_attention_decode_args& a = *args;
    const char* op = "attention_decode";
    check_tensor(op, "q", a.q, 2, {PRECIS_FLOAT32, PRECIS_BFLOAT16});
    check_tensor(op, "k_cache", a.k_cache, 2, {a.q.dtype});
    check_tensor(op, "v_cache", a.v_cache, 2, {a.q.dtype});
    check_tensor(op, "out", a.out, 2, {PRECIS_FLOAT32, PRECIS_BFLOAT16});
    check_dim(op, "k_cache", a.k_cache, 1, a.q.dims[1], "q's width");
    check_dim(op, "v_cache", a.v_cache, 1, a.q.dims[1], "q's width");
    check_dim(op, "v_cache", a.v_cache, 0, a.k_cache.dims[0], "k_cache's number of rows");
    check_dim(op, "out", a.out, 0, a.q.dims[0], "q's number of rows");
    check_dim(op, "out", a.out, 1, a.q.dims[1], "q's width");
    PRECIS_CHECK((a.k_new.data == nullptr) == (a.v_new.data == nullptr),
                 "%s: give both k_new and v_new or neither", op);
    if (a.k_new.data != nullptr) {
      check_tensor(op, "k_new", a.k_new, 2, {a.q.dtype});
      check_tensor(op, "v_new", a.v_new, 2, {a.q.dtype});
      check_dim(op, "k_new", a.k_new, 0, a.q.dims[0], "q's number of rows");
      check_dim(op, "k_new", a.k_new, 1, a.q.dims[1], "q's width");
      check_dim(op, "v_new", a.v_new, 0, a.q.dims[0], "q's number of rows");
      check_dim(op, "v_new", a.v_new, 1, a.q.dims[1], "q's width");
      check_apart(op, "k_cache", a.k_cache, "k_new", a.k_new);
      check_apart(op, "v_cache", a.v_cache, "v_new", a.v_new);
    }
    check_apart(op, "out", a.out, "q", a.q);
    check_apart(op, "out", a.out, "k_cache", a.k_cache);
    check_apart(op, "out", a.out, "v_cache", a.v_cache);
    check_heads(op, a.q, a.heads, a.scale);
    check_relative_bias(op, a.bias, a.heads, false, a.max_distance);
    check_cache_rows(a);
    context->backend->attention_decode(a);
  });
}

precis_status precis_sum_of_squares(precis_context* context,
                                    const precis_sum_of_squares_args* args) {
  return run(context, args, [&] {
    const precis_sum_of_squares_args& a = *args;
    check_tensor("sum_of_squares", "x", a.x, 1, {PRECIS_FLOAT32});
    PRECIS_CHECK(a.result != nullptr, "sum_of_squares: result is NULL");
    check_reach("sum_of_squares", "result", a.result, sizeof *a.result);
    context->backend->sum_of_squares(a);
  });
}

precis_status precis_adam(precis_context* context, const precis_adam_args* args) {
  return run(context, args, [&] {
    const precis_adam_args& a = *args;
    const char* op = "adam";
    check_optimizer_vectors(
        op, {{"parameter", a.parameter}, {"gradient", a.gradient}, {"m", a.m}, {"v", a.v}});
    check_step(op, a.step);
    check_finite(op, "learning_rate", a.learning_rate);
    check_finite(op, "weight_decay", a.weight_decay);
    check_finite(op, "gradient_scale", a.gradient_scale);
    PRECIS_CHECK(a.beta1 >= 0 && a.beta1 < 1, "%s: beta1 is %g, not in [0, 1)", op, a.beta1);
    PRECIS_CHECK(a.beta2 >= 0 && a.beta2 < 1, "%s: beta2 is %g, not in [0, 1)", op, a.beta2);
    PRECIS_CHECK(a.epsilon >= 0, "%s: epsilon is %g", op, a.epsilon);
    context->backend->adam(a);
  });
}

precis_status precis_sgd(precis_context* context, const precis_sgd_args* args) {
  return run(context, args, [&] {
    const precis_sgd_args& a = *args;
    check_optimizer_vectors("sgd", {{"parameter", a.parameter}, {"gradient", a.gradient}});
    PRECIS_CHECK(a.momentum >= 0 && a.momentum < 1, "sgd: momentum is %g, not in [0, 1)",
                 a.momentum);
    if (a.momentum != 0) {
      check_optimizer_vectors(
          "sgd", {{"parameter", a.parameter}, {"gradient", a.gradient}, {"buffer", a.buffer}});
    }
    check_step("sgd", a.step);
    check_finite("sgd", "learning_rate", a.learning_rate);
    check_finite("sgd", "weight_decay", a.weight_decay);
    check_finite("sgd", "gradient_scale", a.gradient_scale);
    context->backend->sgd(a);
  });
}

precis_status precis_adafactor(precis_context* context, const precis_adafactor_args* args) {
  return run(context, args, [&] {
    const precis_adafactor_args& a = *args;
    const char* op = "adafactor";
    const bool matrix = a.parameter.rank == 2;
    check_tensor(op, "parameter", a.parameter, matrix ? 2 : 1, {PRECIS_FLOAT32});
    check_tensor(op, "gradient", a.gradient, matrix ? 2 : 1, {PRECIS_FLOAT32});
    check_tensor(op, "row", a.row, 1, {PRECIS_FLOAT32});
    check_same_dims(op, "gradient", a.gradient, "parameter", a.parameter);
    check_dim(op, "row", a.row, 0, a.parameter.dims[0], "parameter's first dimension");
    check_apart(op, "parameter", a.parameter, "gradient", a.gradient);
    check_all_apart(op, "row", a.row, {{"parameter", a.parameter}, {"gradient", a.gradient}});
    if (matrix) {
      check_tensor(op, "column", a.column, 1, {PRECIS_FLOAT32});
      check_dim(op, "column", a.column, 0, a.parameter.dims[1], "parameter's width");
      check_all_apart(op, "column", a.column,
                      {{"parameter", a.parameter}, {"gradient", a.gradient}, {"row", a.row}});
    }
    check_step(op, a.step);
    check_finite(op, "learning_rate", a.learning_rate);
    check_finite(op, "weight_decay", a.weight_decay);
    check_finite(op, "gradient_scale", a.gradient_scale);
    PRECIS_CHECK(a.decay_rate <= 0, "%s: decay_rate is %g, not 0 or less", op, a.decay_rate);
    PRECIS_CHECK(a.epsilon1 >= 0, "%s: epsilon1 is %g", op, a.epsilon1);
    PRECIS_CHECK(a.epsilon2 >= 0, "%s: epsilon2 is %g", op, a.epsilon2);
    PRECIS_CHECK(a.clip_threshold > 0, "%s: clip_threshold is %g, not above 0", op,
                 a.clip_threshold);
    context->backend->adafactor(a);
  });
}

}  // extern "C"
