// Checks at the C boundary. Every precis_<op> calls check_<op> (ops/<op>.cc) before the backend sees
// an argument, so kernels and references can rely on what a check promises.
#ifndef PRECIS_CHECK_H_
#define PRECIS_CHECK_H_

#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <string>
#include <type_traits>
#include <utility>

#include "backend.h"
#include "error.h"
#include "ops/op.h"

namespace precis {

// A set of dtypes that an argument may have.
class Dtypes {
 public:
  constexpr explicit Dtypes(int32_t dtype)
      : bits_(dtype >= PRECIS_FLOAT32 && dtype <= PRECIS_INT4 ? 1u << dtype : 0u) {}
  constexpr Dtypes operator|(Dtypes other) const {
    other.bits_ |= bits_;
    return other;
  }
  constexpr bool has(int32_t dtype) const { return (Dtypes(dtype).bits_ & bits_) != 0; }

 private:
  uint32_t bits_;
};
constexpr Dtypes kFloat32(PRECIS_FLOAT32), kBfloat16(PRECIS_BFLOAT16), kInt8(PRECIS_INT8),
    kInt4(PRECIS_INT4),
    kInt32(PRECIS_INT32), kFloats = kFloat32 | kBfloat16,
                          kEveryDtype = kFloats | kInt8 | kInt32 | Dtypes(PRECIS_UINT8) |
                                        Dtypes(PRECIS_INT64) | Dtypes(PRECIS_FLOAT16);

const char* dtype_name(int32_t dtype);

// The ranks that an argument may have.
struct Ranks {
  constexpr Ranks(int only) : least(only), most(only) {}  // NOLINT: a rank reads better alone
  constexpr Ranks(int least_rank, int most_rank) : least(least_rank), most(most_rank) {}
  int least, most;
};

// Memory that an operation reads or writes: rows of row_bytes each, stride bytes apart. It is empty
// where an optional argument is absent.
struct Memory {
  Memory(const char* called, const precis_tensor& t);
  template <class T>
  Memory(const char* called, const T* from, int64_t count)
      : name(called),
        data(reinterpret_cast<const char*>(from)),
        rows(1),
        row_bytes(count * static_cast<int64_t>(sizeof(T))),
        stride(row_bytes) {}
  bool empty() const { return data == nullptr || rows == 0 || row_bytes == 0; }
  int64_t bytes() const { return empty() ? 0 : (rows - 1) * stride + row_bytes; }

  const char* name;
  const char* data;
  int64_t rows, row_bytes, stride;
};

// The checks of one call. Each throws Error with one sentence that starts with the operation and
// names the argument, as precis.h calls it.
class Check {
 public:
  Check(const char* op, Backend& backend) : op_(op), backend_(backend) {}

  Backend& backend() const { return backend_; }

  // Fails with the words, put together, unless the condition holds.
  template <class... Words>
  void that(bool holds, const Words&... words) const {
    if (!holds) [[unlikely]]
      fail(words...);
  }
  template <class... Words>
  [[noreturn, gnu::noinline, gnu::cold]] void fail(const Words&... words) const {
    std::string text = std::string(op_) + ": ";
    (append(text, words), ...);
    throw Error{PRECIS_INVALID_ARGUMENT, std::move(text)};
  }

  // Checks all that holds for any tensor: rank, dtype, dims, stride, alignment and memory.
  void tensor(const char* name, const precis_tensor& t, Ranks ranks, Dtypes dtypes) const;
  // Likewise, but the memory may be anyone's, as that of a mapped file.
  void tensor_anywhere(const char* name, const precis_tensor& t, Ranks ranks, Dtypes dtypes) const;
  void dtype(const char* name, int32_t dtype, Dtypes dtypes) const;
  void packed(const char* name, const precis_packed_matrix& m, Dtypes dtypes) const;
  void dim(const char* name, const precis_tensor& t, int dim, int64_t want, const char* why) const;
  void same_dims(const char* name, const precis_tensor& t, const char* other_name,
                 const precis_tensor& other) const;
  // A float32 vector with one element for each row of x.
  void row_vector(const char* name, const precis_tensor& t, const precis_tensor& x) const;
  // Two packed matrices of the same dims.
  void same_dims(const char* name, const precis_packed_matrix& m, const char* other_name,
                 const precis_packed_matrix& other) const;

  // An array that is read before anything runs, and nowhere else; NULL is left to the caller.
  template <class T>
  void array(const char* name, const T* data, int64_t count) const {
    if (data == nullptr) return;
    aligned(name, data, alignof(T));
    that(reach(name, data, count * static_cast<int64_t>(sizeof(T))) == Reach::kBoth, name,
         " lies in device memory, where it cannot be checked: take it from "
         "precis_allocate_shared");
  }
  // An array whose contents are checked here where the host can read it, and by the kernel where it
  // cannot. Returns whether the host can.
  template <class T>
  [[nodiscard]] bool readable(const char* name, const T* data, int64_t count) const {
    if (data == nullptr) return true;
    aligned(name, data, alignof(T));
    return reach(name, data, count * static_cast<int64_t>(sizeof(T))) == Reach::kBoth;
  }
  // An array that only the device reads or writes.
  template <class T>
  void device_array(const char* name, const T* data, int64_t count) const {
    if (data == nullptr) return;
    aligned(name, data, alignof(T));
    reach(name, data, count * static_cast<int64_t>(sizeof(T)));
  }
  // count items of stride elements each can be addressed.
  void stride(const char* name, int64_t stride, int64_t count) const;
  // int32 values in [0, count). Those in memory of the device alone are checked by its kernel.
  // rows_of: whose rows they are.
  void ids(const char* name, const precis_tensor& ids, const char* rows_of, int64_t count) const;
  // Fails where the device cannot use the memory; tells who else can.
  Reach reach(const char* name, const void* data, int64_t bytes) const;
  // The host reads or writes the memory.
  void host_memory(const char* name, const void* data, int64_t bytes) const;
  void aligned(const char* name, const void* data, int64_t bytes) const;

  // No element of one lies inside the other.
  void apart(const Memory& a, const Memory& b) const;
  // Likewise, but the two may be the same tensor.
  void same_or_apart(const char* name, const precis_tensor& t, const char* other_name,
                     const precis_tensor& other) const;
  // No output lies inside an input or another output.
  void outputs_apart(std::initializer_list<Memory> outputs,
                     std::initializer_list<Memory> inputs) const;
  // A packed matrix that has been checked.
  Memory memory(const char* name, const precis_packed_matrix& m) const;

  void finite(const char* name, float value) const;
  void not_negative(const char* name, float value) const;
  // value is in [0, 1).
  void fraction(const char* name, float value) const;
  void not_recording() const;
  void not_cancelled() const;

 private:
  template <class T>
  static void append(std::string& text, const T& word) {
    if constexpr (std::is_floating_point_v<T>) {
      char number[40];
      std::snprintf(number, sizeof number, "%g", static_cast<double>(word));
      text += number;
    } else if constexpr (std::is_arithmetic_v<T>) {
      text += std::to_string(word);
    } else if constexpr (std::is_same_v<T, const void*> || std::is_same_v<T, void*>) {
      char number[40];
      std::snprintf(number, sizeof number, "%p", word);
      text += number;
    } else {
      text += word;
    }
  }

  const char* op_;
  Backend& backend_;
};

// An operation without a check does not link.
#define PRECIS_DECLARE_CHECK(op) void check_##op(const Check& check, const precis_##op##_args& a);
PRECIS_FOR_EACH_OP(PRECIS_DECLARE_CHECK)
#undef PRECIS_DECLARE_CHECK

}  // namespace precis

#endif  // PRECIS_CHECK_H_
