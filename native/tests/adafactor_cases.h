// Helpers that the tests of adafactor on the CPU and on a GPU share.
#ifndef PRECIS_TESTS_ADAFACTOR_CASES_H_
#define PRECIS_TESTS_ADAFACTOR_CASES_H_

#include "ops/adafactor.h"
#include "test.h"

namespace precis {

constexpr int kAdafactorVariants = 4;

// Returns the settings of a variant: updates relative to the parameter's size or not, a clipped
// update, weight decay, and tiny gradients, which the tests generate.
inline precis_adafactor_args adafactor_settings(int variant, int64_t step) {
  precis_adafactor_args args = {};
  args.step = step;
  args.learning_rate = 0.01f;
  args.decay_rate = -0.8f;
  args.epsilon1 = 1e-30f;
  args.epsilon2 = 1e-3f;
  args.clip_threshold = variant == 1 ? 0.25f : 1;
  args.weight_decay = variant == 2 ? 0.1f : 0;
  args.gradient_scale = 0.5f;
  args.scale_parameter = variant != 0;
  return args;
}

// A parameter, its gradient and its moments before a step, and copies for the reference.
struct AdafactorCase {
  AdafactorCase(const std::vector<int64_t>& dims, int variant, int64_t step, int64_t gradient_gap,
                int64_t gradient_offset, Random& random)
      : parameter(PRECIS_FLOAT32, dims, 3, 1),
        gradient(PRECIS_FLOAT32, dims, gradient_gap, gradient_offset),
        row(PRECIS_FLOAT32, {dims[0]}, 0, 1),
        column(PRECIS_FLOAT32, {dims.back()}, 0, 5),
        want(PRECIS_FLOAT32, dims),
        want_row(PRECIS_FLOAT32, {dims[0]}),
        want_column(PRECIS_FLOAT32, {dims.back()}) {
    parameter.fill_normal(random, 0.1f);
    gradient.fill_normal(random, variant == 3 ? 1e-12f : 1);
    row.fill(step == 1 ? 0 : 0.7f);
    column.fill(step == 1 ? 0 : 0.9f);
    copy_elements(parameter, want);
    copy_elements(row, want_row);
    copy_elements(column, want_column);
  }

  void by_reference(precis_adafactor_args args) {
    args.parameter = want;
    args.gradient = gradient;
    args.row = want_row;
    args.column = want_column;
    adafactor_ref(args);
  }

  GuardedTensor parameter, gradient, row, column, want, want_row, want_column;
};

}  // namespace precis

#endif  // PRECIS_TESTS_ADAFACTOR_CASES_H_
