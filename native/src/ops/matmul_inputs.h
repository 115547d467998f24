// The rows of x in the format that matmul's kernels read: rounded to bfloat16 where the weights are,
// quantized to int8 where they are int8 or int4.
#ifndef PRECIS_OPS_MATMUL_INPUTS_H_
#define PRECIS_OPS_MATMUL_INPUTS_H_

#include <type_traits>

#include "cpu/ranges.h"
#include "ops/matmul_onednn.h"
#include "ops/matmul_tile.h"

namespace precis {
namespace PRECIS_ISA {
namespace {

// An element of x that needs more than the eight bits of its byte: the missing multiple of 256, as
// one of a pair of 16 bits, and the position of its unit's words in a tile.
struct Outlier {
  int32_t word;
  uint32_t pair;
};

// The numbers of outliers of a row at even k and at odd k.
struct OutlierCounts {
  int32_t even, odd;
};

// The outliers of a block of rows, at most `most` per row: those at even k are stored from the
// start of the row's range, those at odd k from its end.
struct Outliers {
  Outlier* data = nullptr;
  OutlierCounts* counts = nullptr;
  int64_t most = 0;
};

// True if D's elements have no more than eight bits.
template <class D>
constexpr bool has_outliers() {
  return std::is_base_of_v<ByteInputs, D>;
}

// Rows in the format that D reads.
struct Inputs {
  const char* data;
  int64_t stride;       // bytes
  const float* scales;  // int8: one for each row
  int64_t first;        // the row at data
  Outliers outliers;
  const char* row(int64_t m) const { return data + (m - first) * stride; }
};

// The stride is an odd number of cache lines: the rows of a register tile do not conflict in one
// set of L1.
template <class D>
int64_t prepared_stride(int64_t inputs) {
  const int64_t bytes = round_up(inputs, 64) / D::kInputs * D::kXBytes;
  return (ceil_div(bytes, 64) | 1) * 64;
}

// Writes W neighbors of x to memory that begins at `to`.
template <class D>
void put(Vec v, char* to) {
  if constexpr (D::kX == PRECIS_BFLOAT16) {
    v.store(reinterpret_cast<uint16_t*>(to));
  } else if constexpr (D::kInputs == 2) {
    uint16_t rounded[W];
    v.store(rounded);
    Vec::load(rounded).store(reinterpret_cast<float*>(to));
  } else {
    v.store(reinterpret_cast<float*>(to));
  }
}

// Returns the number of elements whose magnitude is above limit.
template <class T>
int64_t count_above(const T* x, int64_t inputs, float limit) {
  Vec count = Vec::zero();
  for (int64_t k = 0; k < inputs; k += W) {
    const Vec v = load_some(x + k, inputs - k);
    const Vec above = max(v, Vec::zero() - v) - Vec::set1(limit);
    count = count + if_positive(above, Vec::set1(1.0f), Vec::zero());
  }
  return static_cast<int64_t>(count.sum());
}

// Finds the elements that do not fit in a byte: q = 127 x / limit is outside [-128, 127].
template <class T>
OutlierCounts find_outliers(const T* x, int64_t inputs, float limit, Outlier* to) {
  OutlierCounts count = {0, 0};
  Outlier* last = to + int8_outliers(inputs) - 1;
  for (int64_t k = 0; k < inputs; k += W) {
    const Vec v = load_some(x + k, inputs - k);
    if (max(v, Vec::zero() - v).largest() <= limit) continue;
    int32_t q[W];
    quantise(v, Vec::set1(127.0f / limit), 0).store(q);
    for (int i = 0; i < W; i++) {
      const int32_t whole = static_cast<int16_t>(q[i]), rest = whole - static_cast<int8_t>(whole);
      if (rest == 0) continue;
      const int64_t at = k + i;
      Outlier& o = at % 2 == 0 ? to[count.even++] : last[-count.odd++];
      o = {static_cast<int32_t>(at / 4 * kTileOutputs),
           static_cast<uint32_t>(rest) << 16 >> (at % 4 < 2 ? 16 : 0)};
    }
  }
  return count;
}

// Quantizes a row, each kInt4Group elements by themselves, to the groups that D reads.
template <class D, class T>
void prepare_groups(const T* x, int64_t inputs, char* to) {
  for (int64_t k = 0; k < inputs; k += kInt4Group, to += kInt4GroupUnits * D::kXBytes) {
    Vec largest = Vec::zero(), not_finite = Vec::zero();
    Vec group[kInt4Group / W];
    for (int i = 0; i < kInt4Group / W; i++) {
      const int64_t at = k + i * W;
      group[i] = at < inputs ? load_some(x + at, inputs - at) : Vec::zero();
      largest = max(largest, max(group[i], Vec::zero() - group[i]));
      not_finite = fma(group[i], Vec::zero(), not_finite);  // NaN from NaN and infinity
    }
    const float magnitude = largest.largest() + not_finite.sum();
    const bool usable = magnitude >= kSmallestMagnitude;
    const Vec inverse = Vec::set1(usable ? 127.0f / magnitude : 0.0f);
    const float scale = usable || magnitude != magnitude ? magnitude / 127.0f : 0.0f;
    auto* bytes = reinterpret_cast<int8_t*>(to);
    for (int i = 0; i < kInt4Group / W; i++) {
      store_bytes(quantise(group[i], inverse, 0), bytes + i * W);
    }
    int32_t sum = 0;
    for (int i = 0; i < kInt4Group; i++) sum += bytes[i];
    const int32_t offset = -8 * sum;
    __builtin_memcpy(to + D::kScaleAt, &scale, 4);
    __builtin_memcpy(to + D::kOffsetAt, &offset, 4);
  }
}

template <class D, class T>
void prepare_row(const T* x, int64_t inputs, char* to, float* scale, Outlier* outliers,
                 OutlierCounts* counts) {
  if constexpr (D::kInputs == 8) {
    prepare_groups<D>(x, inputs, to);
  } else if constexpr (D::kInputs == 4) {
    Vec largest = Vec::zero(), not_finite = Vec::zero();
    for (int64_t k = 0; k < inputs; k += W) {
      const Vec v = load_some(x + k, inputs - k);
      largest = max(largest, max(v, Vec::zero() - v));
      not_finite = fma(v, Vec::zero(), not_finite);  // NaN from NaN and infinity
    }
    float magnitude = largest.largest() + not_finite.sum();
    const bool usable = magnitude >= kSmallestMagnitude;
    int bits = 0;
    while (usable && bits < kMaxOutlierBits &&
           count_above(x, inputs, magnitude / 2) <= int8_outliers(inputs)) {
      magnitude /= 2;
      bits++;
    }
    if constexpr (has_outliers<D>()) {
      *counts = bits > 0 ? find_outliers(x, inputs, magnitude, outliers) : OutlierCounts{0, 0};
    }
    const Vec inverse = Vec::set1(usable ? 127.0f / magnitude : 0.0f);
    *scale = usable || magnitude != magnitude ? magnitude / 127.0f : 0.0f;
    for (int64_t k = 0; k < round_up(inputs, 16); k += W) {
      const Vec v = k < inputs ? load_some(x + k, inputs - k) : Vec::zero();
      D::put(v, inverse, to, k);
    }
  } else {
    for (int64_t k = 0; k < inputs; k += W) {
      put<D>(load_some(x + k, inputs - k), to + k * (D::kXBytes / D::kInputs));
    }
  }
}

// Prepares rows, all of x or those from first on. Nothing is copied where x can be read in place.
template <class D>
struct Preparation {
  precis_tensor x;
  bool direct;
  int64_t stride;
  char* data = nullptr;
  float* scales = nullptr;
  int64_t first = 0;
  Outliers outliers;

  explicit Preparation(const precis_tensor& t) : x(t) {
    direct = !is_onednn<D>() && t.dtype == D::kX && columns(t) % D::kInputs == 0;
    stride = prepared_stride<D>(columns(t));
    if (has_outliers<D>()) outliers.most = int8_outliers(columns(t));
  }
  static int64_t padded(int64_t count) { return count + (is_onednn<D>() ? kOneDnnMaxRows : 0); }
  static int64_t padded_words(int64_t count) { return round_up(count * 4, 64); }
  // Returns the size of count prepared rows.
  int64_t bytes(int64_t count) const {
    if (direct) return 0;
    return padded(count) * stride + padded_words(count) + padded_words(2 * count) +
           count * outliers.most * static_cast<int64_t>(sizeof(Outlier));
  }
  void place(char* memory, int64_t first_row, int64_t count) {
    data = memory;
    char* behind = memory + padded(count) * stride;
    scales = reinterpret_cast<float*>(behind);
    behind += padded_words(count);
    outliers.counts = reinterpret_cast<OutlierCounts*>(behind);
    outliers.data = reinterpret_cast<Outlier*>(behind + padded_words(2 * count));
    first = first_row;
  }
  void prepare(int64_t begin, int64_t end) const {
    if (direct) return;
    auto prepare_from = [&](const auto* p, int64_t at) {
      prepare_row<D>(p, columns(x), data + at * stride, scales + at,
                     outliers.data + at * outliers.most, outliers.counts + at);
    };
    for (int64_t m = begin; m < end; m++) {
      if (x.dtype == PRECIS_BFLOAT16) {
        prepare_from(row<const uint16_t>(x, m), m - first);
      } else {
        prepare_from(row<const float>(x, m), m - first);
      }
    }
  }
  Inputs inputs() const {
    if (!direct) return {data, stride, scales, first, outliers};
    return {static_cast<const char*>(x.data),
            row_stride(x) * static_cast<int64_t>(x.dtype == PRECIS_BFLOAT16 ? 2 : 4),
            nullptr,
            0,
            {}};
  }
};

}  // namespace
}  // namespace PRECIS_ISA
}  // namespace precis

#endif  // PRECIS_OPS_MATMUL_INPUTS_H_
