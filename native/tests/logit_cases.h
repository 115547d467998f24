// Helpers that the tests of the losses on logits = scale x w' share.
#ifndef PRECIS_TESTS_LOGIT_CASES_H_
#define PRECIS_TESTS_LOGIT_CASES_H_

#include "matmul_cases.h"
#include "ops/linear_cross_entropy.h"

namespace precis {

constexpr int32_t kLogitTypes[] = {PRECIS_FLOAT32, PRECIS_BFLOAT16};

struct LogitShape {
  int64_t rows, width, tokens;
};
// Shapes with less than a vector and a run, with more than one, and without rows.
constexpr LogitShape kLogitShapes[] = {{1, 1, 1},     {3, 16, 5},    {7, 33, 64},
                                       {20, 48, 65},  {40, 31, 130}, {5, 64, 1003},
                                       {2, 130, 777}, {300, 8, 70},  {0, 4, 9}};

// A layer packed in both orientations, and rows with labels, some of which are left out.
class LogitCase {
 public:
  LogitCase(Random& random, const LogitShape& s, int32_t dtype, int32_t x_type, double left_out)
      : w(random, {s.tokens}, s.width, dtype, PRECIS_FLOAT32, 0.3f),
        x(x_type, {s.rows, s.width}, random.below(4), random.below(4)),
        labels(PRECIS_INT32, {s.rows}),
        dtype_(dtype) {
    x.fill_normal(random);
    for (int64_t m = 0; m < s.rows; m++) {
      labels.data<int32_t>()[m] = random.uniform() < left_out
                                      ? kIgnoredLabel
                                      : static_cast<int32_t>(random.below(s.tokens));
    }
  }

  bool left_out(int64_t m) const { return labels.data<int32_t>()[m] == kIgnoredLabel; }

  // Packs w and fills in the arguments that all of these losses have.
  template <class Args>
  void put(precis_context* context, Args& args) {
    args.x = x;
    args.w = w.pack(context);
    args.scale = 1;
    precis_matmul_pack_args pack = {};
    pack.weights[0] = w.source(0);
    pack.weight_count = 1;
    pack.dtype = dtype_;
    pack.transposed = 1;
    int64_t bytes = 0;
    EXPECT_OK(context, precis_matmul_pack_size(context, &pack, &bytes));
    transposed_ = std::make_unique<GuardedTensor>(PRECIS_UINT8, std::vector<int64_t>{1, bytes});
    pack.packed = transposed_->data<void>();
    pack.packed_bytes = bytes;
    EXPECT_OK(context, precis_matmul_pack(context, &pack));
    args.w_transposed = {pack.packed, bytes, args.w.inputs, args.w.outputs, dtype_, 0};
  }

  Weights w;
  GuardedTensor x, labels;

 private:
  int32_t dtype_;
  std::unique_ptr<GuardedTensor> transposed_;
};

// A guarded float32 vector with one element for each of m rows.
inline GuardedTensor row_vector(int64_t m, int64_t offset = 1) {
  return GuardedTensor(PRECIS_FLOAT32, {m}, 0, offset);
}

}  // namespace precis

#endif  // PRECIS_TESTS_LOGIT_CASES_H_
