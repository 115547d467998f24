#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/matmul.h"

namespace precis {

namespace {

// Returns W[n, k] before packing.
float source_element(const precis_matmul_pack_args& weights, int64_t n, int64_t k) {
  int64_t& stacked = weights.transposed ? k : n;
  int i = 0;
  while (stacked >= weights.weights[i].dims[0]) stacked -= weights.weights[i++].dims[0];
  return weights.transposed ? load_element(weights.weights[i], k, n)
                            : load_element(weights.weights[i], n, k);
}

// Quantizes a row as matmul.h defines and returns its scale. outliers is the number of elements
// that may leave [-127, 127].
float quantise(std::vector<float>& v, int64_t outliers = 0) {
  float largest = 0;
  for (float f : v) {
    if (!std::isfinite(f)) largest = NAN;
    if (std::fabs(f) > largest) largest = std::fabs(f);
  }
  if (std::isnan(largest)) return NAN;
  const bool zero = largest < kSmallestMagnitude;
  auto above = [&](float limit) {
    int64_t count = 0;
    for (float f : v) count += std::fabs(f) > limit;
    return count;
  };
  for (int bit = 0; !zero && outliers > 0 && bit < kMaxOutlierBits; bit++) {
    if (above(largest / 2) > outliers) break;
    largest /= 2;
  }
  const float inverse = zero ? 0.0f : 127.0f / largest;
  for (float& f : v) {
    const float scaled = f * inverse;
    f = std::nearbyint(scaled);
  }
  return zero ? 0.0f : largest / 127.0f;
}

// Quantizes a row in groups to int4, as matmul.h defines, and returns the weights that result.
std::vector<float> round_to_int4(std::vector<float> v) {
  for (size_t begin = 0; begin < v.size(); begin += kInt4Group) {
    float largest = 0;
    for (size_t i = begin; i < v.size() && i < begin + kInt4Group; i++) {
      if (!std::isfinite(v[i]) || std::fabs(v[i]) > std::fabs(largest)) largest = v[i];
      if (!std::isfinite(v[i])) break;
    }
    const bool zero = std::fabs(largest) < kSmallestMagnitude;
    const float scale = zero ? 0.0f : bf16_to_float(float_to_bf16(largest / -8.0f));
    for (size_t i = begin; i < v.size() && i < begin + kInt4Group; i++) {
      const float q = zero ? 0.0f : std::nearbyint(v[i] * (1 / scale));
      v[i] = std::isfinite(largest) ? scale * std::fmin(std::fmax(q, -8.0f), 7.0f) : NAN;
    }
  }
  return v;
}

// Rounds a row of x as products with int4 weights do.
void round_groups(std::vector<float>& v) {
  for (size_t begin = 0; begin < v.size(); begin += kInt4Group) {
    const size_t end = std::min(begin + kInt4Group, v.size());
    std::vector<float> group(&v[begin], &v[end - 1] + 1);
    const float scale = quantise(group);
    for (size_t i = begin; i < end; i++) v[i] = scale * group[i - begin];
  }
}

}  // namespace

float packed_weight_ref(const precis_matmul_pack_args& weights, int64_t n, int64_t k) {
  if (weights.dtype != PRECIS_INT8 && weights.dtype != PRECIS_INT4) {
    const float f = source_element(weights, n, k);
    return weights.dtype == PRECIS_BFLOAT16 ? bf16_to_float(float_to_bf16(f)) : f;
  }
  std::vector<float> v(columns(weights.weights[0]));
  for (size_t i = 0; i < v.size(); i++) v[i] = source_element(weights, n, static_cast<int64_t>(i));
  if (weights.dtype == PRECIS_INT4) return round_to_int4(v)[k];
  const float scale = quantise(v);
  return scale * v[k];
}

void matmul_ref(const precis_matmul_args& a, const precis_matmul_pack_args& weights) {
  const int64_t inputs = columns(a.x), outputs = columns(a.y);
  std::vector<std::vector<float>> x(rows(a.x), std::vector<float>(inputs));
  std::vector<float> x_scale(rows(a.x), 1.0f);
  for (int64_t m = 0; m < rows(a.x); m++) {
    for (int64_t k = 0; k < inputs; k++) {
      const float f = load_element(a.x, m, k);
      x[m][k] = weights.dtype == PRECIS_BFLOAT16 ? bf16_to_float(float_to_bf16(f)) : f;
    }
    if (weights.dtype == PRECIS_INT8) x_scale[m] = quantise(x[m], int8_outliers(inputs));
    if (weights.dtype == PRECIS_INT4) round_groups(x[m]);
  }
  std::vector<float> w(inputs);
  for (int64_t n = 0; n < outputs; n++) {
    for (int64_t k = 0; k < inputs; k++) {
      const float f = source_element(weights, n, k);
      w[k] = weights.dtype == PRECIS_BFLOAT16 ? bf16_to_float(float_to_bf16(f)) : f;
    }
    const float w_scale = weights.dtype == PRECIS_INT8 ? quantise(w) : 1.0f;
    if (weights.dtype == PRECIS_INT4) w = round_to_int4(w);
    for (int64_t m = 0; m < rows(a.x); m++) {
      double sum = 0;
      for (int64_t k = 0; k < inputs; k++) sum += static_cast<double>(x[m][k]) * w[k];
      const double before = a.accumulate ? load_element(a.y, m, n) : 0.0;
      store_element(a.y, m, n, before + a.alpha * (sum * x_scale[m] * w_scale));
    }
  }
}

}  // namespace precis
