// The double-precision parts that the references of the losses on logits = scale x w' share.
#ifndef PRECIS_OPS_LOGIT_ROWS_REF_H_
#define PRECIS_OPS_LOGIT_ROWS_REF_H_

#include <cmath>
#include <vector>

#include "ops/linear_cross_entropy.h"
#include "ops/matmul.h"

namespace precis {

class LogitRowsRef {
 public:
  // weights holds the matrices that w was packed from.
  LogitRowsRef(const precis_tensor& x, int32_t w_dtype, const precis_matmul_pack_args& weights,
               int64_t tokens, double scale)
      : x_(x),
        bf16_(w_dtype == PRECIS_BFLOAT16),
        tokens_(tokens),
        width_(columns(x)),
        scale_(scale),
        w_(tokens * width_),
        dw_(tokens * width_) {
    for (int64_t v = 0; v < tokens; v++) {
      for (int64_t d = 0; d < width_; d++) w_[v * width_ + d] = packed_weight_ref(weights, v, d);
    }
  }

  // Returns log softmax of the logits of row m.
  std::vector<double> log_probabilities(int64_t m) const {
    std::vector<double> z(tokens_, 0.0);
    double largest = -INFINITY, sum = 0;
    for (int64_t v = 0; v < tokens_; v++) {
      for (int64_t d = 0; d < width_; d++) z[v] += input(m, d) * w_[v * width_ + d];
      z[v] *= scale_;
      largest = std::fmax(largest, z[v]);
    }
    for (double value : z) sum += std::exp(value - largest);
    for (double& value : z) value -= largest + std::log(sum);
    return z;
  }

  // Writes row m of dx and adds to the gradient of w, given the gradient g of the row's logits.
  void add_gradient(int64_t m, const std::vector<double>& g, const precis_tensor& dx,
                    double grad_scale) {
    std::vector<double> of_row(width_, 0.0);
    for (int64_t v = 0; v < tokens_; v++) {
      const double factor = grad_scale * scale_ * rounded(g[v]);
      for (int64_t d = 0; d < width_; d++) {
        of_row[d] += factor * w_[v * width_ + d];
        dw_[v * width_ + d] += factor * input(m, d);
      }
    }
    for (int64_t d = 0; dx.data != nullptr && d < width_; d++) store_element(dx, m, d, of_row[d]);
  }

  void add_to(const precis_tensor& dw) const {
    for (int64_t v = 0; dw.data != nullptr && v < tokens_; v++) {
      for (int64_t d = 0; d < width_; d++) {
        store_element(dw, v, d, load_element(dw, v, d) + dw_[v * width_ + d]);
      }
    }
  }

 private:
  double rounded(double v) const {
    return bf16_ ? bf16_to_float(float_to_bf16(static_cast<float>(v))) : v;
  }
  double input(int64_t m, int64_t d) const { return rounded(load_element(x_, m, d)); }

  precis_tensor x_;
  bool bf16_;
  int64_t tokens_, width_;
  double scale_;
  std::vector<double> w_, dw_;
};

// Returns -sum p log p.
static inline double entropy_ref(const std::vector<double>& log_p) {
  double entropy = 0;
  for (double l : log_p) entropy -= std::exp(l) * l;
  return entropy;
}

// Stores element m of a vector, if that output is wanted.
static inline void store_row(const precis_tensor& t, int64_t m, double value) {
  if (t.data != nullptr) store_element(t, 0, m, value);
}

static inline int32_t label_of(const precis_tensor& labels, int64_t m) {
  return static_cast<const int32_t*>(labels.data)[m];
}

}  // namespace precis

#endif  // PRECIS_OPS_LOGIT_ROWS_REF_H_
