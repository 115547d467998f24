// The mean and the inverse standard deviation of a row, for layer norm.
#ifndef PRECIS_OPS_ROW_MOMENTS_H_
#define PRECIS_OPS_ROW_MOMENTS_H_

#include "cpu/lanes.h"

namespace precis {
namespace PRECIS_ISA {

struct RowMoments {
  float mean;
  float r;  // 1 / sqrt(variance + epsilon)

  // The variance is a sum of squared differences, so a mean that is large compared to them costs no
  // precision.
  RowMoments(const float* x, int64_t n, float epsilon) {
    float sum[1], squares[1];
    sum_vectors(n, sum, [&](int64_t i, auto lanes, Vec* s) { s[0] = s[0] + lanes.load(x + i); });
    mean = sum[0] / static_cast<float>(n);
    const Vec center = Vec::set1(mean);
    sum_vectors(n, squares, [&](int64_t i, auto lanes, Vec* s) {
      const Vec v = lanes.keep(lanes.load(x + i) - center);
      s[0] = fma(v, v, s[0]);
    });
    r = 1.0f / __builtin_sqrtf(squares[0] / static_cast<float>(n) + epsilon);
  }
};

}  // namespace PRECIS_ISA
}  // namespace precis

#endif  // PRECIS_OPS_ROW_MOMENTS_H_
