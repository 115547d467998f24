#include <cmath>
#include <vector>

#include "ops/linear_cross_entropy.h"
#include "ops/matmul.h"

namespace precis {

void linear_cross_entropy_ref(const precis_linear_cross_entropy_args& args,
                              const precis_matmul_pack_args& weights) {
  const int64_t width = columns(args.x), tokens = args.w.outputs;
  const double e = args.label_smoothing;
  auto rounded = [&](double v) -> double {
    const float f = static_cast<float>(v);
    return args.w.dtype == PRECIS_BFLOAT16 ? bf16_to_float(float_to_bf16(f)) : f;
  };
  std::vector<double> w(tokens * width), dw(tokens * width), x(width), dx(width), z(tokens);
  for (int64_t v = 0; v < tokens; v++) {
    for (int64_t d = 0; d < width; d++) w[v * width + d] = packed_weight_ref(weights, v, d);
  }
  for (int64_t m = 0; m < rows(args.x); m++) {
    const int32_t label = static_cast<const int32_t*>(args.labels.data)[m];
    float& loss = static_cast<float*>(args.losses.data)[m];
    loss = 0;
    dx.assign(width, 0.0);
    if (label != kIgnoredLabel) {
      for (int64_t d = 0; d < width; d++) x[d] = rounded(load_element(args.x, m, d));
      double largest = -INFINITY, sum = 0, mean = 0;
      for (int64_t v = 0; v < tokens; v++) {
        z[v] = 0;
        for (int64_t d = 0; d < width; d++) z[v] += x[d] * w[v * width + d];
        z[v] *= args.scale;
        largest = std::fmax(largest, z[v]);
      }
      for (double value : z) sum += std::exp(value - largest);
      const double log_sum = largest + std::log(sum);
      for (double value : z) mean += (value - log_sum) / static_cast<double>(tokens);
      loss = static_cast<float>(-(1 - e) * (z[label] - log_sum) - e * mean);
      for (int64_t v = 0; v < tokens; v++) {
        const double p = std::exp(z[v] - log_sum), wanted = v == label ? 1 - e : 0;
        const double g = rounded(p - wanted - e / static_cast<double>(tokens));
        for (int64_t d = 0; d < width; d++) {
          dx[d] += args.grad_scale * args.scale * g * w[v * width + d];
          dw[v * width + d] += args.grad_scale * args.scale * g * x[d];
        }
      }
    }
    for (int64_t d = 0; args.dx.data != nullptr && d < width; d++) {
      store_element(args.dx, m, d, dx[d]);
    }
  }
  for (int64_t v = 0; args.dw.data != nullptr && v < tokens; v++) {
    for (int64_t d = 0; d < width; d++) {
      store_element(args.dw, v, d, load_element(args.dw, v, d) + dw[v * width + d]);
    }
  }
}

}  // namespace precis
