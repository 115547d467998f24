#include "check.h"

#include <cmath>

#include "ops/matmul.h"

namespace precis {
namespace {

// No tensor has more elements, and no two of its elements are further apart: byte offsets fit in
// int64 with room to add.
constexpr int64_t kMaxElements = int64_t{1} << 48;

// Returns true if both are columns of one matrix and share none of them.
bool different_columns(const Memory& a, const Memory& b) {
  if (a.stride != b.stride) return false;
  const auto stride = static_cast<uint64_t>(a.stride);
  const auto from = reinterpret_cast<uintptr_t>(a.data), to = reinterpret_cast<uintptr_t>(b.data);
  const uint64_t ahead =
      to >= from ? (to - from) % stride : (stride - (from - to) % stride) % stride;
  return ahead >= static_cast<uint64_t>(a.row_bytes) &&
         ahead + static_cast<uint64_t>(b.row_bytes) <= stride;
}

}  // namespace

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
    case PRECIS_INT4:
      return "int4";
    default:
      return "unknown";
  }
}

Memory::Memory(const char* called, const precis_tensor& t)
    : name(called), data(static_cast<const char*>(t.data)), rows(0), row_bytes(0), stride(0) {
  if (data == nullptr) return;  // absent: the other members mean nothing
  rows = precis::rows(t);
  row_bytes = columns(t) * element_bytes(t.dtype);
  stride = t.rank < 2 ? row_bytes : row_stride(t) * element_bytes(t.dtype);
}

void Check::tensor(const char* name, const precis_tensor& t, Ranks ranks, Dtypes dtypes) const {
  tensor_anywhere(name, t, ranks, dtypes);
  reach(name, t.data, Memory(name, t).bytes());
}

void Check::tensor_anywhere(const char* name, const precis_tensor& t, Ranks ranks,
                            Dtypes dtypes) const {
  if (ranks.least == ranks.most) {
    that(t.rank == ranks.least, name, " has rank ", t.rank, ", not ", ranks.least);
  } else {
    that(t.rank >= ranks.least && t.rank <= ranks.most, name, " has rank ", t.rank,
         ", not between ", ranks.least, " and ", ranks.most);
  }
  dtype(name, t.dtype, dtypes);
  // Dims of 0 count as 1 here: the others must be sane in an empty tensor, too.
  int64_t elements = 1;
  bool empty = false;
  for (int i = 0; i < t.rank; i++) {
    that(t.dims[i] >= 0, name, " has ", t.dims[i], " as dimension ", i);
    empty |= t.dims[i] == 0;
    that(!__builtin_mul_overflow(elements, t.dims[i] == 0 ? 1 : t.dims[i], &elements) &&
             elements <= kMaxElements,
         name, " is too large");
  }
  if (t.rank >= 2) {
    that(t.row_stride == 0 || t.row_stride >= columns(t), name, " has rows of ", columns(t),
         " elements, ", t.row_stride, " apart");
    int64_t reached;
    that(!__builtin_mul_overflow(rows(t), row_stride(t), &reached) && reached <= kMaxElements, name,
         " is too large: it has ", rows(t), " rows, ", row_stride(t), " elements apart");
  }
  if (empty) return;
  that(t.data != nullptr, name, " has no data");
  aligned(name, t.data, element_bytes(t.dtype));
}

void Check::dtype(const char* name, int32_t dtype, Dtypes dtypes) const {
  that(dtypes.has(dtype), name, " cannot be ", dtype_name(dtype), " (dtype ", dtype, ")");
}

void Check::packed(const char* name, const precis_packed_matrix& m, Dtypes dtypes) const {
  dtype(name, m.dtype, dtypes);
  that(m.outputs > 0 && m.inputs > 0 && m.outputs <= PRECIS_MAX_STACKED_WEIGHTS * kMaxPackedDim &&
           m.inputs <= kMaxPackedDim && m.outputs <= kMaxPackedElements / m.inputs,
       name, " has ", m.outputs, " outputs and ", m.inputs, " inputs");
  that(m.dtype != PRECIS_INT8 || m.inputs <= kMaxInt8Inputs, name, " is int8 and has more than ",
       kMaxInt8Inputs, " inputs");
  that(m.data != nullptr && reinterpret_cast<uintptr_t>(m.data) % 64 == 0, name, " has data at ",
       m.data, ", which is not aligned to 64 bytes");
  const int64_t bytes = backend_.packed_bytes(m.outputs, m.inputs, m.dtype);
  that(m.bytes >= bytes, name, " has ", m.bytes, " bytes, but ", m.outputs, " x ", m.inputs, " ",
       dtype_name(m.dtype), " take ", bytes);
  reach(name, m.data, bytes);
}

void Check::dim(const char* name, const precis_tensor& t, int dim, int64_t want,
                const char* why) const {
  that(t.dims[dim] == want, name, " has ", t.dims[dim], " as dimension ", dim, ", but ", why,
       " is ", want);
}

void Check::same_dims(const char* name, const precis_tensor& t, const char* other_name,
                      const precis_tensor& other) const {
  for (int i = 0; i < t.rank; i++) {
    that(t.dims[i] == other.dims[i], name, " has ", t.dims[i], " as dimension ", i, ", but ",
         other_name, "'s is ", other.dims[i]);
  }
}

void Check::same_dims(const char* name, const precis_packed_matrix& m, const char* other_name,
                      const precis_packed_matrix& other) const {
  that(m.outputs == other.outputs && m.inputs == other.inputs, name, " has ", m.outputs,
       " outputs and ", m.inputs, " inputs, but ", other_name, " has ", other.outputs, " and ",
       other.inputs);
}

void Check::row_vector(const char* name, const precis_tensor& t, const precis_tensor& x) const {
  tensor(name, t, 1, kFloat32);
  dim(name, t, 0, x.dims[0], "x's number of rows");
}

void Check::stride(const char* name, int64_t stride, int64_t count) const {
  int64_t reached;
  that(stride >= 0 && !__builtin_mul_overflow(stride, count, &reached) && reached <= kMaxElements,
       name, " is ", stride, " for ", count, " rows");
}

void Check::ids(const char* name, const precis_tensor& ids, const char* rows_of,
                int64_t count) const {
  if (reach(name, ids.data, Memory(name, ids).bytes()) != Reach::kBoth) return;
  const int32_t* id = static_cast<const int32_t*>(ids.data);
  for (int64_t t = 0; t < ids.dims[0]; t++) {
    that(id[t] >= 0 && id[t] < count, name, "[", t, "] is ", id[t], ", outside ", rows_of, "'s ",
         count, " rows");
  }
}

Reach Check::reach(const char* name, const void* data, int64_t bytes) const {
  if (backend_.reaches_everything() || bytes <= 0) return Reach::kBoth;
  const Reach reach = backend_.reach(data, static_cast<size_t>(bytes));
  that(reach != Reach::kNobody, name, " (", data, ", ", bytes,
       " bytes) is not memory of this context, and the GPU reaches no other: take it from "
       "precis_allocate or precis_allocate_shared");
  return reach;
}

void Check::host_memory(const char* name, const void* data, int64_t bytes) const {
  if (backend_.reaches_everything() || bytes <= 0) return;
  that(backend_.reach(data, 1) != Reach::kDevice, name, " (", data,
       ") is memory of the GPU, which the host cannot touch: copy from one tensor to another with "
       "precis_convert");
}

void Check::aligned(const char* name, const void* data, int64_t bytes) const {
  that(reinterpret_cast<uintptr_t>(data) % static_cast<uintptr_t>(bytes) == 0, name,
       " has data at ", data, ", which is not aligned to its elements of ", bytes, " bytes");
}

void Check::apart(const Memory& a, const Memory& b) const {
  if (a.empty() || b.empty() || different_columns(a, b)) return;
  that(a.data + a.bytes() <= b.data || b.data + b.bytes() <= a.data, a.name, " overlaps ", b.name);
}

void Check::same_or_apart(const char* name, const precis_tensor& t, const char* other_name,
                          const precis_tensor& other) const {
  if (t.data == other.data && t.dtype == other.dtype && row_stride(t) == row_stride(other)) return;
  apart({name, t}, {other_name, other});
}

void Check::outputs_apart(std::initializer_list<Memory> outputs,
                          std::initializer_list<Memory> inputs) const {
  for (const Memory* output = outputs.begin(); output != outputs.end(); output++) {
    for (const Memory& input : inputs) apart(*output, input);
    for (const Memory* other = outputs.begin(); other != output; other++) apart(*output, *other);
  }
}

Memory Check::memory(const char* name, const precis_packed_matrix& m) const {
  return {name, static_cast<const char*>(m.data),
          backend_.packed_bytes(m.outputs, m.inputs, m.dtype)};
}

void Check::finite(const char* name, float value) const {
  that(std::isfinite(value), name, " is ", value);
}

void Check::not_negative(const char* name, float value) const {
  that(value >= 0, name, " is ", value, ", not 0 or more");
}

void Check::fraction(const char* name, float value) const {
  that(value >= 0 && value < 1, name, " is ", value, ", not in [0, 1)");
}

void Check::not_cancelled() const {
  if (backend_.cancelled()) precis::fail(PRECIS_CANCELLED, "%s: cancelled", op_);
}

void Check::not_recording() const {
  that(!backend_.recording(), "not while operations are recorded");
}

}  // namespace precis
