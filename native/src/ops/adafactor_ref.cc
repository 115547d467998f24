#include <cmath>
#include <vector>

#include "ops/adafactor.h"

namespace precis {

void adafactor_ref(const precis_adafactor_args& a) {
  const bool matrix = a.parameter.rank == 2;
  const int64_t n = rows(a.parameter), k = columns(a.parameter), count = n * k;
  if (count == 0) return;
  const double keep = 1 - std::pow(double(a.step), double{a.decay_rate});
  auto gradient = [&](int64_t r, int64_t c) {
    return a.gradient_scale * load_element(a.gradient, r, c);
  };
  auto square = [&](int64_t r, int64_t c) { return gradient(r, c) * gradient(r, c) + a.epsilon1; };
  auto decay = [&](const precis_tensor& moments, int64_t i, double now) {
    store_element(moments, 0, i, keep * load_element(moments, 0, i) + (1 - keep) * now);
  };
  std::vector<double> u(count);
  if (matrix) {
    double mean = 0;
    for (int64_t r = 0; r < n; r++) {
      double sum = 0;
      for (int64_t c = 0; c < k; c++) sum += square(r, c);
      decay(a.row, r, sum / k);
      mean += load_element(a.row, 0, r) / n;
    }
    for (int64_t c = 0; c < k; c++) {
      double sum = 0;
      for (int64_t r = 0; r < n; r++) sum += square(r, c);
      decay(a.column, c, sum / n);
    }
    for (int64_t r = 0; r < n; r++) {
      for (int64_t c = 0; c < k; c++) {
        u[r * k + c] = gradient(r, c) /
                       std::sqrt(load_element(a.row, 0, r) * load_element(a.column, 0, c) / mean);
      }
    }
  } else {
    for (int64_t i = 0; i < k; i++) {
      decay(a.row, i, square(0, i));
      u[i] = gradient(0, i) / std::sqrt(load_element(a.row, 0, i));
    }
  }
  double updates = 0, parameters = 0;
  for (int64_t i = 0; i < count; i++) {
    updates += u[i] * u[i];
    parameters += std::pow(load_element(a.parameter, i / k, i % k), 2);
  }
  const double clip = std::fmax(1, std::sqrt(updates / count) / a.clip_threshold);
  double lr = a.learning_rate;
  if (a.scale_parameter) lr *= std::fmax(a.epsilon2, std::sqrt(parameters / count));
  for (int64_t i = 0; i < count; i++) {
    const double p = load_element(a.parameter, i / k, i % k);
    store_element(a.parameter, i / k, i % k, p - lr * a.weight_decay * p - lr * u[i] / clip);
  }
}

}  // namespace precis
