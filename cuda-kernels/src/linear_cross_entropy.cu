// losses[m] = -(1 - e) log p[labels[m]] - e / V sum_v log p[v],  p = softmax of scale x w', and its
// gradients                                                   native/src/ops/linear_cross_entropy.h
//
// With d[v] = z[v] - largest and S = sum exp(d):
//   g[v] = exp(d[v]) / S - e / V - (1 - e) [v = label]
// logit_rows.cuh describes the kernels.
#include "logit_rows.cuh"

namespace precis {
namespace {

struct CrossEntropy {
  precis_tensor losses;
  double smoothing;
  double uniform;  // each token's weight from smoothing: smoothing / V

  __device__ void leave_out(int64_t m) const { put(losses, m, 0); }

  __device__ LogitGradient finish(int64_t m, const RowSums& s) const {
    const double d = static_cast<double>(s.of_label) - s.largest;
    double loss = -(1 - smoothing) * (d - s.log_sum);
    if (smoothing > 0) loss -= uniform * s.terms - smoothing * s.log_sum;
    put(losses, m, loss);
    const double p = exp(d) / s.sum;
    return {static_cast<float>(1 / s.sum), 0, static_cast<float>(-uniform),
            static_cast<float>(p - uniform - (1 - smoothing))};
  }
};

}  // namespace

cudaError_t linear_cross_entropy_cuda(CudaContext& context,
                                      const precis_linear_cross_entropy_args& a) {
  LogitRows rows = logit_rows(a, a.labels, ProblemOp::kLinearCrossEntropy);
  rows.grad_scale = a.grad_scale;
  rows.linear = true;
  const double uniform = a.label_smoothing / static_cast<double>(a.w.outputs);
  return for_logit_rows(context, rows, CrossEntropy{a.losses, a.label_smoothing, uniform});
}

}  // namespace precis
