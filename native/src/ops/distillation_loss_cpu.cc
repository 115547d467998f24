#include "ops/distillation_loss.h"
#include "ops/logit_rows.h"

namespace precis {
namespace PRECIS_ISA {
namespace {

enum class Kind { kForward, kReverse, kMixed };

// A row of logits divided by the temperature: log softmax is (z - largest) / T - log_sum.
struct Softened {
  float largest;
  double sum, log_sum;
};

// Sums f(i, lanes) over a row: runs in float32, and the runs in double, as sums_of does.
template <int count, class F>
static inline void sum_row(int64_t n, double (&totals)[count], const F& f) {
  for (double& total : totals) total = 0;
  for (int64_t begin = 0; begin < n; begin += kLogitRun) {
    const int64_t end = begin + kLogitRun < n ? begin + kLogitRun : n;
    Vec sums[count];
    for (Vec& s : sums) s = Vec::zero();
    each_vector(begin, end, [&](int64_t i, auto lanes) { f(i, lanes, sums); });
    for (int k = 0; k < count; k++) totals[k] += static_cast<double>(sums[k].sum());
  }
}

static inline Softened softened(const float* z, int64_t n, float inverse) {
  Softened row = {largest_of(z, n), 0, 0};
  const Vec shift = Vec::set1(row.largest), factor = Vec::set1(inverse);
  double sums[1];
  sum_row(n, sums, [&](int64_t i, auto lanes, Vec(&s)[1]) {
    s[0] = s[0] + lanes.keep(exp((lanes.load(z + i) - shift) * factor));
  });
  row.sum = sums[0];
  row.log_sum = __builtin_log(row.sum);
  return row;
}

// Vectors of one row: q, p and log(q / p).
class Ratios {
 public:
  Ratios(const Softened& student, const Softened& teacher, float inverse)
      : factor_(Vec::set1(inverse)),
        z_shift_(Vec::set1(student.largest)),
        u_shift_(Vec::set1(teacher.largest)),
        q_scale_(Vec::set1(static_cast<float>(1 / student.sum))),
        p_scale_(Vec::set1(static_cast<float>(1 / teacher.sum))),
        log_scale_(Vec::set1(static_cast<float>(teacher.log_sum - student.log_sum))) {}

  Vec q(Vec z) const { return exp((z - z_shift_) * factor_) * q_scale_; }
  Vec p(Vec u) const { return exp((u - u_shift_) * factor_) * p_scale_; }
  // The difference of the logits comes first, so that a small one is not lost.
  Vec log_ratio(Vec z, Vec u) const {
    return (z - z_shift_) * factor_ - (u - u_shift_) * factor_ + log_scale_;
  }

 private:
  Vec factor_, z_shift_, u_shift_, q_scale_, p_scale_, log_scale_;
};

// log(r / p) with r / p = beta + (1 - beta) q / p; NaN stays NaN.
struct Mixture {
  explicit Mixture(float beta) : of_p(Vec::set1(beta)), of_q(Vec::set1(1 - beta)) {}
  static Vec clamped(Vec ratio) {
    return min(Vec::set1(kMostLogRatio), max(Vec::set1(-kMostLogRatio), ratio));
  }
  Vec log_of(Vec ratio) const { return log(fma(of_q, exp(ratio), of_p)); }

  Vec of_p, of_q;
};

template <Kind kKind>
void distill(CpuContext& context, const precis_distillation_loss_args& a) {
  const int32_t* labels = static_cast<const int32_t*>(a.labels.data);
  LogitRows all = {a.x, a.w, a.w_transposed, labels, a.scale, a.dx, a.dw, 1};
  all.reference_x = a.teacher_x;
  all.reference_w = a.teacher_w;
  all.reference_scale = a.teacher_scale;
  const int64_t n = a.w.outputs;
  const float inverse = 1 / a.temperature;
  const Mixture mixture(a.beta);
  const Vec of_p = mixture.of_p, of_q = mixture.of_q;
  for (int64_t m = 0; m < rows(a.x); m++) {
    if (labels[m] != kIgnoredLabel) continue;
    put(a.divergences, m, 0);
    put(a.cross_entropies, m, 0);
  }
  for_logit_rows(context, all, [&](int64_t m, float* z, const float* u) {
    const int32_t label = labels[m];
    const Softened plain = softened(z, n, 1), student = softened(z, n, inverse);
    const Softened teacher = softened(u, n, inverse);
    const double of_label = static_cast<double>(z[label]) - plain.largest;
    put(a.cross_entropies, m, plain.log_sum - of_label);
    const Ratios ratios(student, teacher, inverse);
    // The divergence, and the mean of h under q, without its factor 1 - beta.
    double sums[2];
    sum_row(n, sums, [&](int64_t i, auto lanes, Vec(&s)[2]) {
      const Vec logits = lanes.load(z + i), others = lanes.load(u + i);
      const Vec ratio = ratios.log_ratio(logits, others);
      if constexpr (kKind == Kind::kForward) {
        s[0] = s[0] - lanes.keep(ratios.p(others) * ratio);
      } else if constexpr (kKind == Kind::kReverse) {
        s[0] = s[0] + lanes.keep(ratios.q(logits) * ratio);
      } else {
        const Vec t = Mixture::clamped(ratio), log_mixed = mixture.log_of(t);
        const Vec term = ratios.q(logits) * (t - log_mixed);
        s[0] = s[0] + lanes.keep(of_q * term - of_p * (ratios.p(others) * log_mixed));
        s[1] = s[1] + lanes.keep(term);
      }
    });
    put(a.divergences, m, sums[0]);
    if (!all.wants_gradient()) return;
    const double mean = kKind == Kind::kReverse ? sums[0] : sums[1];
    const double weight = static_cast<double>(a.divergence_weight) / a.temperature;
    const double slope =
        kKind == Kind::kMixed ? weight * (1 - static_cast<double>(a.beta)) : weight;
    const Vec factor = Vec::set1(static_cast<float>(slope));
    const Vec center = Vec::set1(static_cast<float>(mean));
    const Vec shift = Vec::set1(plain.largest);
    const Vec of_s = Vec::set1(static_cast<float>(a.label_weight / plain.sum));
    const bool labelled = a.label_weight != 0;
    const auto of_divergence = [&](Vec logits, Vec others) {
      if constexpr (kKind == Kind::kForward) {
        return factor * (ratios.q(logits) - ratios.p(others));
      } else {
        Vec h = ratios.log_ratio(logits, others);
        if constexpr (kKind == Kind::kMixed) {
          h = Mixture::clamped(h);
          h = h - mixture.log_of(h);
        }
        return factor * (ratios.q(logits) * (h - center));
      }
    };
    float at_label[Vec::kWidth];
    of_divergence(Vec::set1(z[label]), Vec::set1(u[label])).store(at_label);
    const double of_cross_entropy =
        labelled ? a.label_weight * (__builtin_exp(of_label) / plain.sum - 1) : 0;
    put_gradients(all, z, label, at_label[0] + of_cross_entropy,
                  [&](int64_t i, auto lanes, Vec logits) {
                    const Vec g = of_divergence(logits, lanes.load(u + i));
                    return labelled ? fma(exp(logits - shift), of_s, g) : g;
                  });
  });
}

}  // namespace

void distillation_loss_cpu(CpuContext& context, const precis_distillation_loss_args& a) {
  a.beta == 0   ? distill<Kind::kForward>(context, a)
  : a.beta == 1 ? distill<Kind::kReverse>(context, a)
                : distill<Kind::kMixed>(context, a);
}

}  // namespace PRECIS_ISA
}  // namespace precis
