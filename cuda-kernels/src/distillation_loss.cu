// The generalized Jensen-Shannon divergence of a student's softmax(z / T) from a teacher's
// softmax(u / T), the cross-entropy of the labels, and their gradients
//                                                           native/src/ops/distillation_loss.h
//
// logit_rows.cuh describes the products before and after. Between them a block of threads has a row:
// it reads z and u three times, for the sums of their exponentials, for the divergence, and for the
// gradient, which overwrites z. A block of rows is 32 MiB of both, most of which stays in L2.
//
// With e(x) = exp((x - largest) / T), q = e(z) / sum e(z) and p likewise of u:
//   t = log(q / p) = (z - largest) / T - (u - largest) / T + log sum e(u) - log sum e(z)
//   log(r / p) = log(beta + (1 - beta) exp(t)),   log(q / r) = t - log(r / p)
// The difference of the logits comes first, so that the divergence from itself is 0.
#include "logit_rows.cuh"
#include "ops/distillation_loss.h"

namespace precis {
namespace {

enum class Kind { kForward, kReverse, kMixed };

struct Distillation {
  precis_tensor divergences, cross_entropies;
  float inverse;  // 1 / T
  float of_p, of_q;
  float slope;  // of the divergence's gradient
  float label_weight;

  __device__ void leave_out(int64_t m) const {
    put(divergences, m, 0);
    put(cross_entropies, m, 0);
  }
};

// A row of student and teacher.
struct DistilledRow {
  float z_largest, u_largest, inverse;
  float q_scale, p_scale, log_scale;

  __device__ __forceinline__ float q(float z) const {
    return expf((z - z_largest) * inverse) * q_scale;
  }
  __device__ __forceinline__ float p(float u) const {
    return expf((u - u_largest) * inverse) * p_scale;
  }
  __device__ __forceinline__ float log_ratio(float z, float u) const {
    return (z - z_largest) * inverse - (u - u_largest) * inverse + log_scale;
  }
};

// NaN stays NaN.
__device__ __forceinline__ float clamped(float ratio) {
  return ratio > kMostLogRatio ? kMostLogRatio : ratio < -kMostLogRatio ? -kMostLogRatio : ratio;
}
__device__ __forceinline__ float log_mixed(const Distillation& d, float ratio) {
  return logf(fmaf(d.of_q, expf(ratio), d.of_p));
}

// The gradient of the divergence by z. center: the mean of h under q.
template <Kind kKind>
__device__ __forceinline__ float divergence_gradient(const Distillation& d, const DistilledRow& row,
                                                     float z, float u, float center) {
  if constexpr (kKind == Kind::kForward) {
    return d.slope * (row.q(z) - row.p(u));
  } else {
    float h = row.log_ratio(z, u);
    if constexpr (kKind == Kind::kMixed) {
      h = clamped(h);
      h -= log_mixed(d, h);
    }
    return d.slope * (row.q(z) * (h - center));
  }
}

template <Kind kKind>
__global__ void __launch_bounds__(kFinishThreads, 2)
    distillation_kernel(LogitPlan p, Matrix<float> dx, Distillation d, bool wants_gradient) {
  const int64_t r = blockIdx.x, m = p.index[p.first + r];
  if (!counts(p, r, m, dx, d)) return;
  float* z = p.logits + r * p.logits_stride;
  const float* u = p.reference_logits + r * p.logits_stride;
  auto largest_of = [&](const TileSums& t) {
    float largest = -INFINITY;
    for (int i = thread(); i < t.tiles; i += static_cast<int>(blockDim.x)) {
      largest = Largest()(largest, t.largest[r * t.tiles + i]);
    }
    return block_reduce(largest, Largest());
  };
  DistilledRow row = {};
  row.inverse = d.inverse;
  row.z_largest = largest_of(p.policy);
  row.u_largest = largest_of(p.reference);

  const int64_t step = int64_t{blockDim.x} * kEight;
  // Calls f(z, u) for the thread's logits, eight at a time, after which it calls add().
  auto for_logits = [&](const auto& f, const auto& add) {
    for (int64_t n = thread() * kEight; n < p.tokens; n += step) {
      const int count = up_to_eight(p.tokens - n);
      float v[kEight], w[kEight];
      load8(z + n, count, v);
      load8(u + n, count, w);
#pragma unroll
      for (int i = 0; i < kEight; i++) {
        if (i < count) f(v[i], w[i]);
      }
      add();
    }
  };
  double plain = 0, student = 0, teacher = 0;
  float part[3] = {};
  for_logits(
      [&](float of_z, float of_u) {
        part[0] += expf(of_z - row.z_largest);
        part[1] += expf((of_z - row.z_largest) * row.inverse);
        part[2] += expf((of_u - row.u_largest) * row.inverse);
      },
      [&] {
        plain += part[0];
        student += part[1];
        teacher += part[2];
        part[0] = part[1] = part[2] = 0;
      });
  plain = block_reduce(plain, Sum());
  student = block_reduce(student, Sum());
  teacher = block_reduce(teacher, Sum());
  row.q_scale = static_cast<float>(1 / student);
  row.p_scale = static_cast<float>(1 / teacher);
  row.log_scale = static_cast<float>(log(teacher) - log(student));

  double divergence = 0, mean = 0;
  for_logits(
      [&](float of_z, float of_u) {
        const float t = row.log_ratio(of_z, of_u);
        if constexpr (kKind == Kind::kForward) {
          part[0] -= row.p(of_u) * t;
        } else if constexpr (kKind == Kind::kReverse) {
          part[0] += row.q(of_z) * t;
        } else {
          const float near = clamped(t), mixed = log_mixed(d, near);
          const float term = row.q(of_z) * (near - mixed);
          part[0] += d.of_q * term - d.of_p * (row.p(of_u) * mixed);
          part[1] += term;
        }
      },
      [&] {
        divergence += part[0];
        mean += part[1];
        part[0] = part[1] = 0;
      });
  divergence = block_reduce(divergence, Sum());
  mean = kKind == Kind::kReverse ? divergence : block_reduce(mean, Sum());
  const int64_t label = p.labels[m];
  const float z_of_label = p.of_label[r];
  const double of_label = static_cast<double>(z_of_label) - row.z_largest;
  if (thread() == 0) {
    put(d.divergences, m, divergence);
    put(d.cross_entropies, m, log(plain) - of_label);
  }
  if (!wants_gradient) return;

  const float center = static_cast<float>(mean);
  const auto of_s = static_cast<float>(d.label_weight / plain);
  const bool labelled = d.label_weight != 0;
  double at_label = divergence_gradient<kKind>(d, row, z_of_label, u[label], center);
  if (labelled) at_label += d.label_weight * (exp(of_label) / plain - 1);
  for (int64_t begin = 0; begin < p.logits_stride; begin += step) {
    const int64_t n = begin + thread() * kEight;
    float v[kEight], w[kEight];
    load8(z + n, n < p.logits_stride ? kEight : 0, v);
    load8(u + n, n < p.logits_stride ? kEight : 0, w);
    // g in bfloat16 overwrites the first half of the row, never beyond what has been read.
    __syncthreads();
    if (n >= p.logits_stride) continue;
#pragma unroll
    for (int i = 0; i < kEight; i++) {
      float g = divergence_gradient<kKind>(d, row, v[i], w[i], center);
      if (labelled) g = fmaf(expf(v[i] - row.z_largest), of_s, g);
      v[i] = n + i == label ? static_cast<float>(at_label) : n + i < p.tokens ? g : 0.0f;
    }
    if (p.bf16) {
      store8(reinterpret_cast<Bf16*>(z) + n, kEight, v);
    } else {
      store8(z + n, kEight, v);
    }
  }
}

template <Kind kKind>
cudaError_t run(CudaContext& context, const LogitRows& rows, const Distillation& d) {
  return for_logit_blocks(context, rows, [&](const LogitPlan& plan) {
    return launch("distillation", distillation_kernel<kKind>,
                  static_cast<uint32_t>(plan.block_rows), kFinishThreads, 0, context.stream, plan,
                  matrix<float>(rows.dx), d, rows.wants_gradient());
  });
}

}  // namespace

cudaError_t distillation_loss_cuda(CudaContext& context, const precis_distillation_loss_args& a) {
  LogitRows rows = logit_rows(a, a.labels, ProblemOp::kDistillationLoss);
  rows.reference_x = a.teacher_x;
  rows.reference_w = a.teacher_w;
  rows.reference_scale = a.teacher_scale;
  rows.reads_logits = true;
  const bool mixed = a.beta > 0 && a.beta < 1;
  const double slope =
      static_cast<double>(a.divergence_weight) / a.temperature * (mixed ? 1.0 - a.beta : 1.0);
  const Distillation d = {a.divergences, a.cross_entropies,         1 / a.temperature, a.beta,
                          1 - a.beta,    static_cast<float>(slope), a.label_weight};
  return mixed         ? run<Kind::kMixed>(context, rows, d)
         : a.beta == 0 ? run<Kind::kForward>(context, rows, d)
                       : run<Kind::kReverse>(context, rows, d);
}

}  // namespace precis
