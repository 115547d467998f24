// Applies the rules to scores (M, V) in place                       native/src/ops/process_logits.h
//
// There is one block per row, which reads and writes as many scores as the history is long.
#include "kernels.h"
#include "logit_rules.cuh"
#include "ops/process_logits.h"

namespace precis {
namespace {

constexpr int kThreads = 128;

__global__ void __launch_bounds__(kThreads)
    process_logits_kernel(Matrix<float> scores, int vocabulary, precis_logit_rules rules,
                          float* originals, unsigned long long* problem) {
  const int64_t r = blockIdx.x;
  if (!has_rules(rules_of_row(rules, r))) return;
  if (!rules_fit(rules, r, vocabulary, ProblemOp::kProcessLogits, problem)) return;
  apply_rules(
      rules, r, [](int32_t) { return true; }, scores.row(r), originals + r * rules.history_stride);
}

}  // namespace

cudaError_t process_logits_cuda(CudaContext& context, const precis_process_logits_args& a) {
  const int64_t m = rows(a.scores), n = columns(a.scores);
  const bool ruled = a.rules.row_rules != nullptr || has_rules(rules_of_row(a.rules, 0));
  if (m == 0 || !ruled) return cudaSuccess;
  if (n > INT32_MAX) return cudaErrorInvalidValue;
  void* memory = nullptr;
  PRECIS_RETURN_IF_ERROR(context.scratch.reserve(
      static_cast<size_t>(originals_floats(a.rules, m)) * sizeof(float), &memory));
  return launch("process_logits", process_logits_kernel, static_cast<uint32_t>(m), kThreads, 0,
                context.stream, matrix<float>(a.scores), static_cast<int>(n), a.rules,
                static_cast<float*>(memory), context.problem);
}

}  // namespace precis
