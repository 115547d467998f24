// matmul_pack, matmul and lora_matmul.

#include "ops/lora_matmul.h"

#include <deque>

#include "device_test.h"
#include "matmul_cases.h"
#include "wgmma_trial.h"

using namespace precis;

namespace {

// Weights packed by the device.
class DeviceWeights {
 public:
  DeviceWeights(TestDevice& device, Weights& host, int parts, bool transposed = false) {
    precis_matmul_pack_args args = host.args();
    args.transposed = transposed;
    int64_t stacked = 0;
    for (int i = 0; i < parts; i++) {
      sources_.emplace_back(host.source(i));
      args.weights[i] = sources_.back();
      stacked += args.weights[i].dims[0];
    }
    const int64_t common = args.weights[0].dims[1];
    const int64_t outputs = transposed ? common : stacked, inputs = transposed ? stacked : common;
    layout_ = cuda_packed_layout(outputs, inputs, args.dtype);
    memory_ = std::make_unique<GuardedTensor>(args.dtype,
                                              std::vector<int64_t>{layout_.rows, layout_.stride});
    packed_ = std::make_unique<OnDevice>(*memory_);
    args.packed = precis_tensor(*packed_).data;
    args.packed_bytes = layout_.bytes;
    EXPECT_RUN(device, matmul_pack_cuda(device.context(), args));
    matrix_ = {args.packed, layout_.bytes, outputs, inputs, args.dtype, 0};
  }
  const precis_packed_matrix& matrix() const { return matrix_; }
  // As precis_matmul_pack promises, zeros around it.
  void check(const precis_matmul_pack_args& source, const char* what) {
    packed_->download();
    int64_t wrong = 0;
    for (int64_t n = 0; n < layout_.rows; n++) {
      for (int64_t k = 0; k < layout_.stride; k++) {
        const bool inside = n < matrix_.outputs && k < matrix_.inputs;
        wrong += memory_->at(n, k) != (inside ? packed_weight_ref(source, n, k) : 0);
      }
    }
    EXPECT(wrong == 0, "%s: %lld wrong", what, static_cast<long long>(wrong));
  }

 private:
  std::deque<OnDevice> sources_;
  CudaPackedLayout layout_;
  std::unique_ptr<GuardedTensor> memory_;
  std::unique_ptr<OnDevice> packed_;
  precis_packed_matrix matrix_;
};

void packing(TestDevice& device, Random& random) {
  for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
    for (int32_t source : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
      Weights weights(random, {65, 3, 20}, 37, dtype, source);
      DeviceWeights packed(device, weights, 3);
      packed.check(weights.args(), device.name());
      DeviceWeights turned(device, weights, 3, true);
      precis_matmul_pack_args args = weights.args();
      args.transposed = 1;
      turned.check(args, device.name());
    }
  }
}

struct Shape {
  int64_t m, n, k;
  std::vector<precis_lora_segment> segments;
  int64_t ranks;
};

// With b in bfloat16, s x A' may round to either side in the kernel and in the reference; then one
// term is off by a bfloat16 step.
double tolerance(int64_t inputs, int64_t ranks, int32_t dtype) {
  const double projected = 2 * 0.1 * std::sqrt(static_cast<double>(inputs)) * 2.5;
  return sum_error(inputs) + (dtype == PRECIS_BFLOAT16 ? projected * 0x1p-8 * 0.1 * 3 *
                                                             (1 + 0.02 * static_cast<double>(ranks))
                                                       : 0);
}

void products(TestDevice& device, const Shape& s, int32_t dtype, int32_t x_type, int32_t y_type,
              bool separate, bool accumulate, Random& random) {
  const int64_t gap = s.k % 8;
  Weights w(random, {s.n}, s.k, dtype, PRECIS_FLOAT32),
      a(random, {s.ranks}, s.k, dtype, PRECIS_FLOAT32, 0.1f);
  Weights b(random, {s.n}, s.ranks, dtype, PRECIS_FLOAT32, 0.1f);
  GuardedTensor x(x_type, {s.m, s.k}, gap, gap), z(PRECIS_FLOAT32, {s.m, s.k}, gap);
  // Where neighbours lie such that they can be stored together, or not.
  const bool even = (s.m + x_type) % 2 == 0;
  GuardedTensor y(y_type, {s.m, s.n}, even ? 2 + s.n % 2 : 3, !even), want(y_type, {s.m, s.n});
  GuardedTensor down(PRECIS_FLOAT32, {s.m, s.ranks}, 1, 1),
      want_down(PRECIS_FLOAT32, {s.m, s.ranks});
  x.fill_normal(random);
  z.fill_normal(random);
  y.fill(0.5f);
  want.fill(0.5f);
  OnDevice x_(x), z_(z), y_(y), down_(down);
  DeviceWeights w_(device, w, 1), a_(device, a, 1), b_(device, b, 1);
  const std::string what = std::string(device.name()) + " " + std::to_string(s.m) + "x" +
                           std::to_string(s.n) + "x" + std::to_string(s.k) + " ranks " +
                           std::to_string(s.ranks) + (dtype == PRECIS_BFLOAT16 ? " bf16" : " f32");
  precis_matmul_args plain = {x_, w_.matrix(), y_, 0.5f, accumulate};
  EXPECT_RUN(device, matmul_cuda(device.context(), plain));
  y_.download();
  plain = {x, {}, want, 0.5f, accumulate};
  plain.w.dtype = dtype;
  matmul_ref(plain, w.args());
  expect_close(y, want, rounding(y_type), sum_error(s.k), what.c_str());

  y.fill(0.5f);
  want.fill(0.5f);
  y_.upload();
  precis_lora_matmul_args args = {};
  args.x = x_;
  args.w = w_.matrix();
  args.a = a_.matrix();
  args.b = b_.matrix();
  args.y = y_;
  args.alpha = 0.5f;
  args.accumulate = accumulate;
  args.segment_count = static_cast<int32_t>(s.segments.size());
  for (size_t i = 0; i < s.segments.size(); i++) args.segments[i] = s.segments[i];
  if (separate) args.lora_x = z_;
  args.down = down_;
  EXPECT_RUN(device, lora_matmul_cuda(device.context(), args));
  y_.download();
  down_.download();
  args.x = x;
  args.y = want;
  args.down = want_down;
  if (separate) args.lora_x = z;
  lora_matmul_ref(args, w.args(), a.args(), b.args());
  expect_close(y, want, rounding(y_type), tolerance(s.k, s.ranks, dtype), what.c_str());
  expect_close(down, want_down, 2e-6, 2 * sum_error(s.k), what.c_str());
}

// Dropout of what A reads and of the low-rank term, in rows that begin at multiples of 64 or not.
void dropouts(TestDevice& device, int32_t dtype, int32_t x_type, int64_t m, int64_t n, int64_t k,
              int64_t ranks, Random& random) {
  Weights w(random, {n}, k, dtype, PRECIS_FLOAT32),
      a(random, {ranks}, k, dtype, PRECIS_FLOAT32, 0.1f);
  Weights b(random, {n}, ranks, dtype, PRECIS_FLOAT32, 0.1f);
  DeviceWeights w_(device, w, 1), a_(device, a, 1), b_(device, b, 1);
  GuardedTensor x(x_type, {m, k}, k % 8);
  x.fill_normal(random);
  for (int32_t of : {PRECIS_LORA_DROPOUT_X, PRECIS_LORA_DROPOUT_LOW_RANK}) {
    GuardedTensor y(PRECIS_FLOAT32, {m, n}, 1), want(PRECIS_FLOAT32, {m, n});
    GuardedTensor down(PRECIS_FLOAT32, {m, ranks}, 1), want_down(PRECIS_FLOAT32, {m, ranks});
    y.fill(0.5f);
    want.fill(0.5f);
    OnDevice x_(x), y_(y), down_(down);
    precis_lora_matmul_args args = {};
    args.x = x_;
    args.w = w_.matrix();
    args.a = a_.matrix();
    args.b = b_.matrix();
    args.y = y_;
    args.down = down_;
    args.alpha = 0.5f;
    args.accumulate = 1;
    args.dropout_of = of;
    args.dropout = 0.3f;
    args.seed = 0x123456789abcull;
    args.offset = 3;
    args.segment_count = 2;
    args.segments[0] = {0, n / 3, 0, ranks / 2, 2, 0};
    args.segments[1] = {n / 3, n, ranks / 2, ranks, 0.5f, 0};
    EXPECT_RUN(device, lora_matmul_cuda(device.context(), args));
    y_.download();
    down_.download();
    args.x = x;
    args.y = want;
    args.down = want_down;
    lora_matmul_ref(args, w.args(), a.args(), b.args());
    const std::string what = std::string(device.name()) + " dropout " + std::to_string(of) + " " +
                             std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k);
    expect_close(y, want, 0, 1.5 * tolerance(k, ranks, dtype), what.c_str());
    expect_close(down, want_down, 2e-6, 3 * sum_error(k), what.c_str());
  }
}

// A spoilt adapter leaves the outputs of the others alone, whose bits do not change.
void isolation(TestDevice& device, int32_t dtype, Random& random) {
  const int64_t m = 5, n = 90, k = 40, ranks = 12;
  Weights w(random, {n}, k, dtype, PRECIS_FLOAT32),
      a(random, {ranks}, k, dtype, PRECIS_FLOAT32, 0.1f);
  Weights b(random, {n}, ranks, dtype, PRECIS_FLOAT32, 0.1f);
  GuardedTensor x(PRECIS_FLOAT32, {m, k}), y(PRECIS_FLOAT32, {m, n}),
      before(PRECIS_FLOAT32, {m, n});
  x.fill_normal(random);
  OnDevice x_(x), y_(y);
  for (bool spoilt : {false, true}) {
    if (spoilt) {
      for (int64_t i = 0; i < k; i++) store_element(a.source(0), 5, i, NAN);
      for (int64_t i = 0; i < n; i++) store_element(b.source(0), i, 5, INFINITY);
    }
    DeviceWeights w_(device, w, 1), a_(device, a, 1), b_(device, b, 1);
    precis_lora_matmul_args args = {};
    args.x = x_;
    args.w = w_.matrix();
    args.a = a_.matrix();
    args.b = b_.matrix();
    args.y = y_;
    args.alpha = 1;
    args.segment_count = 3;
    args.segments[0] = {0, 37, 0, 5, 2, 0};
    args.segments[1] = {37, 61, 5, 6, 1, 0};
    args.segments[2] = {61, 90, 6, 12, 0.5f, 0};
    EXPECT_RUN(device, lora_matmul_cuda(device.context(), args));
    y_.download();
    for (int64_t i = 0; i < m; i++) {
      for (int64_t j = 0; j < n; j++) {
        if (!spoilt) {
          store_element(before, i, j, y.at(i, j));
        } else if (j >= 37 && j < 61) {
          EXPECT(std::isnan(y.at(i, j)));
        } else {
          EXPECT(y.at(i, j) == before.at(i, j), "[%d, %d] %g", static_cast<int>(i),
                 static_cast<int>(j), y.at(i, j));
        }
      }
    }
  }
}

// A row has the bits that it has alone, whichever tile that takes.
void alone(TestDevice& device, int32_t dtype, int32_t x_type, Random& random) {
  const int64_t m = 130, n = 200, k = 104, ranks = 16, few = 20;
  Weights w(random, {n}, k, dtype, PRECIS_FLOAT32), a(random, {ranks}, k, dtype, PRECIS_FLOAT32);
  Weights b(random, {n}, ranks, dtype, PRECIS_FLOAT32);
  GuardedTensor x(x_type, {m, k}), y(PRECIS_FLOAT32, {m, n}), one(PRECIS_FLOAT32, {1, n});
  x.fill_normal(random);
  OnDevice x_(x), y_(y), one_(one);
  DeviceWeights w_(device, w, 1), a_(device, a, 1), b_(device, b, 1);
  precis_lora_matmul_args args = {};
  args.x = x_;
  args.w = w_.matrix();
  args.a = a_.matrix();
  args.b = b_.matrix();
  args.y = y_;
  args.alpha = 1;
  args.segment_count = 1;
  args.segments[0] = {0, n, 0, ranks, 2, 0};
  EXPECT_RUN(device, lora_matmul_cuda(device.context(), args));
  y_.download();
  GuardedTensor plain(PRECIS_FLOAT32, {m, n}), some(PRECIS_FLOAT32, {few, n});
  OnDevice plain_(plain), some_(some);
  EXPECT_RUN(device, matmul_cuda(device.context(), {x_, w_.matrix(), plain_, 1, 0}));
  plain_.download();
  for (int64_t r : {0, 17, 110}) {
    args.x = some_rows(x_, r, 1);
    args.y = one_;
    EXPECT_RUN(device, lora_matmul_cuda(device.context(), args));
    one_.download();
    EXPECT(first_difference(y, r, one, 0) < 0, "%s: row %d differs", device.name(),
           static_cast<int>(r));
    EXPECT_RUN(device, matmul_cuda(device.context(), {args.x, w_.matrix(), one_, 1, 0}));
    one_.download();
    EXPECT(first_difference(plain, r, one, 0) < 0, "%s: row %d without adapters differs",
           device.name(), static_cast<int>(r));
    const precis_tensor rows = some_rows(x_, r, few);
    EXPECT_RUN(device, matmul_cuda(device.context(), {rows, w_.matrix(), some_, 1, 0}));
    some_.download();
    for (int64_t i = 0; i < few; i++) {
      EXPECT(first_difference(plain, r + i, some, i) < 0, "%s: row %d of some differs",
             device.name(), static_cast<int>(r + i));
    }
  }
}

// The same numbers in rows of aligned bfloat16, which are copied as they are, in others, and in
// float32: the same bits. So too where y's rows are aligned, and stored in whole eights, or not.
void ways(TestDevice& device, int64_t m, int64_t ranks, bool separate, int32_t y_type,
          Random& random) {
  const int64_t n = 70, k = 264;  // more steps than any ring has stages
  Weights w(random, {n}, k, PRECIS_BFLOAT16, PRECIS_FLOAT32),
      a(random, {ranks}, k, PRECIS_BFLOAT16, PRECIS_FLOAT32, 0.1f);
  Weights b(random, {n}, ranks, PRECIS_BFLOAT16, PRECIS_FLOAT32, 0.1f);
  DeviceWeights w_(device, w, 1), a_(device, a, 1), b_(device, b, 1);
  GuardedTensor values(PRECIS_BFLOAT16, {m, k}), low_values(PRECIS_BFLOAT16, {m, k});
  values.fill_normal(random);
  low_values.fill_normal(random);
  GuardedTensor first(y_type, {m, n}), first_down(PRECIS_FLOAT32, {m, ranks});
  for (int way = 0; way < 4; way++) {
    const int32_t x_type = way == 2 ? PRECIS_FLOAT32 : PRECIS_BFLOAT16;
    const int32_t z_type = way >= 2 ? PRECIS_FLOAT32 : PRECIS_BFLOAT16;
    GuardedTensor x(x_type, {m, k}, 8, way == 1), z(z_type, {m, k}, 8);
    for (int64_t i = 0; i < m * k; i++) {
      store_element(x, i / k, i % k, values.at(i / k, i % k));
      store_element(z, i / k, i % k, low_values.at(i / k, i % k));
    }
    GuardedTensor y(y_type, {m, n}, 2 + way), down(PRECIS_FLOAT32, {m, ranks});
    OnDevice x_(x), z_(z), y_(y), down_(down);
    precis_lora_matmul_args args = {};
    args.x = x_;
    args.w = w_.matrix();
    args.a = a_.matrix();
    args.b = b_.matrix();
    args.y = y_;
    args.down = down_;
    args.alpha = 1;
    args.segment_count = 1;
    args.segments[0] = {0, n, 0, ranks, 2, 0};
    if (separate) args.lora_x = z_;
    EXPECT_RUN(device, lora_matmul_cuda(device.context(), args));
    y_.download();
    down_.download();
    if (way == 0) {
      args.x = x;
      args.y = first;
      args.down = first_down;
      if (separate) args.lora_x = z;
      lora_matmul_ref(args, w.args(), a.args(), b.args());
      expect_close(y, first, rounding(y_type), tolerance(k, ranks, PRECIS_BFLOAT16), device.name());
      expect_close(down, first_down, 2e-6, 2 * sum_error(k), device.name());
      for (int64_t i = 0; i < m * n; i++) store_element(first, i / n, i % n, y.at(i / n, i % n));
      continue;
    }
    expect_close(y, first, 0, 0, device.name());
  }
}

// What wgmma.h promises: the trial finds the kernels of sm_90a right, and tells whether they round
// as the others do.
// Returns in which ways to test; *same_bits whether all give the same.
std::vector<Wgmma> choose(TestDevice& device, bool* same_bits) {
  std::string why;
  EXPECT_RUN(device, choose_wgmma(device.context(), true, &why));
  EXPECT(device.context().wgmma != Wgmma::kOff, "%s: %s", device.name(), why.c_str());
  const Wgmma chosen = device.context().wgmma;
  *same_bits = chosen == Wgmma::kManyRows;
  EXPECT_RUN(device, choose_wgmma(device.context(), false, &why));
  EXPECT(device.context().wgmma == (*same_bits ? Wgmma::kManyRows : Wgmma::kOff));
  if (chosen == Wgmma::kOff) return {Wgmma::kOff};
  if (!*same_bits) return {Wgmma::kOff, Wgmma::kAlways};
  return {Wgmma::kOff, Wgmma::kManyRows, Wgmma::kAlways};
}

}  // namespace

int main() {
  TestDevice device;
  if (!device.open()) return device.skip();
  const std::vector<Shape> shapes = {
      {1, 1, 1, {{0, 1, 0, 1, 2, 0}}, 1},
      {3, 65, 33, {{0, 40, 0, 4, 2, 0}, {40, 65, 4, 8, 0.5f, 0}}, 8},
      {33, 130, 100, {{0, 130, 0, 16, 1, 0}}, 16},
      {18, 72, 64, {{0, 72, 0, 32, 2, 0}}, 32},
      {129, 136, 72, {{3, 60, 0, 20, 2, 0}, {60, 136, 20, 40, 2, 0}, {100, 120, 35, 40, 2, 0}}, 40},
      {40, 20, 16, {}, 5},
      {16, 96, 200, {{0, 96, 0, 128, 0.25f, 0}}, 128},
  };
  std::vector<Wgmma> ways_to_multiply = {Wgmma::kOff};
  bool same_bits = true;
  if (has_wgmma()) ways_to_multiply = choose(device, &same_bits);
  while (device.next_order(3)) {
    Random random(21);
    packing(device, random);
    for (Wgmma wgmma : ways_to_multiply) {
      device.context().wgmma = wgmma;
      for (const Shape& s : shapes) {
        for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
          if (dtype == PRECIS_FLOAT32 && wgmma != Wgmma::kOff) continue;
          products(device, s, dtype, PRECIS_FLOAT32, PRECIS_FLOAT32, true, true, random);
          products(device, s, dtype, PRECIS_BFLOAT16, PRECIS_BFLOAT16, false, false, random);
        }
      }
      for (int32_t x_type : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
        dropouts(device, PRECIS_BFLOAT16, x_type, 130, 192, 128, 16, random);
        dropouts(device, PRECIS_BFLOAT16, x_type, 35, 90, 72, 40, random);
        dropouts(device, PRECIS_BFLOAT16, x_type, 3, 72, 200, 24, random);
        if (wgmma == Wgmma::kOff) dropouts(device, PRECIS_FLOAT32, x_type, 5, 70, 40, 70, random);
      }
      for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
        isolation(device, dtype, random);
        alone(device, dtype, PRECIS_FLOAT32, random);
        alone(device, dtype, PRECIS_BFLOAT16, random);
      }
      if (wgmma == Wgmma::kAlways && !same_bits) continue;
      for (int64_t ranks : {16, 32, 40}) {
        ways(device, 20, ranks, ranks != 32, PRECIS_FLOAT32, random);
        ways(device, 40, ranks, ranks == 32, PRECIS_BFLOAT16, random);
      }
    }
  }
  return test_result();
}
