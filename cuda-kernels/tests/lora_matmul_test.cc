#include "ops/lora_matmul.h"

#include "device_products.h"

using namespace precis;

namespace {

struct Shape {
  int64_t m, n, k;
  std::vector<precis_lora_segment> segments;
  int64_t ranks;
};

// A weight and its adapters, on the host and packed by the device.
struct Layer {
  Layer(TestDevice& device, Random& random, int64_t n, int64_t k, int64_t ranks, int32_t dtype,
        float scale = 0.1f)
      : w(random, {n}, k, dtype, PRECIS_FLOAT32),
        a(random, {ranks}, k, dtype, PRECIS_FLOAT32, scale),
        b(random, {n}, ranks, dtype, PRECIS_FLOAT32, scale) {
    pack(device);
  }
  // To be called again when a source has changed.
  void pack(TestDevice& device) {
    w_ = std::make_unique<DeviceWeights>(device, w);
    a_ = std::make_unique<DeviceWeights>(device, a);
    b_ = std::make_unique<DeviceWeights>(device, b);
  }
  precis_lora_matmul_args args(const precis_tensor& x, const precis_tensor& y,
                               const std::vector<precis_lora_segment>& segments) const {
    precis_lora_matmul_args args = {};
    args.x = x;
    args.w = *w_;
    args.a = *a_;
    args.b = *b_;
    args.y = y;
    args.alpha = 1;
    args.segment_count = static_cast<int32_t>(segments.size());
    for (size_t i = 0; i < segments.size(); i++) args.segments[i] = segments[i];
    return args;
  }
  // The same product by the reference, with these tensors in place of the device's.
  void reference(precis_lora_matmul_args args, const precis_tensor& x, const precis_tensor& y,
                 const precis_tensor& down, const precis_tensor& z = {}) const {
    args.x = x;
    args.y = y;
    args.down = down;
    args.lora_x = z;
    lora_matmul_ref(args, w.args(), a.args(), b.args());
  }

  Weights w, a, b;

 private:
  std::unique_ptr<DeviceWeights> w_, a_, b_;
};

// With bfloat16 b, s x A' may round to different neighbors in the kernel and in the reference; then
// one term is off by a bfloat16 step.
double tolerance(int64_t inputs, int64_t ranks, int32_t dtype) {
  const double projected = 2 * 0.1 * std::sqrt(static_cast<double>(inputs)) * 2.5;
  return sum_error(inputs) + (dtype == PRECIS_BFLOAT16 ? projected * 0x1p-8 * 0.1 * 3 *
                                                             (1 + 0.02 * static_cast<double>(ranks))
                                                       : 0);
}

void same_as_reference(TestDevice& device, const Shape& s, int32_t dtype, int32_t x_type,
                       int32_t y_type, bool separate, bool accumulate, Random& random) {
  const int64_t gap = s.k % 8;
  Layer layer(device, random, s.n, s.k, s.ranks, dtype);
  GuardedTensor x(x_type, {s.m, s.k}, gap, gap), z(PRECIS_FLOAT32, {s.m, s.k}, gap);
  // Pairs of neighbors in y are aligned for one store, or not.
  const bool even = (s.m + x_type) % 2 == 0;
  GuardedTensor y(y_type, {s.m, s.n}, even ? 2 + s.n % 2 : 3, !even), want(y_type, {s.m, s.n});
  GuardedTensor down(PRECIS_FLOAT32, {s.m, s.ranks}, 1, 1);
  GuardedTensor want_down(PRECIS_FLOAT32, {s.m, s.ranks});
  x.fill_normal(random);
  z.fill_normal(random);
  y.fill(0.5f);
  want.fill(0.5f);
  OnDevice x_(x), z_(z), y_(y), down_(down);
  precis_lora_matmul_args args = layer.args(x_, y_, s.segments);
  args.alpha = 0.5f;
  args.accumulate = accumulate;
  if (separate) args.lora_x = z_;
  args.down = down_;
  EXPECT_RUN(device, lora_matmul_cuda(device.context(), args));
  y_.download();
  down_.download();
  layer.reference(args, x, want, want_down, separate ? z.tensor() : precis_tensor{});
  const std::string what = std::string(device.name()) + " " + std::to_string(s.m) + "x" +
                           std::to_string(s.n) + "x" + std::to_string(s.k) + " ranks " +
                           std::to_string(s.ranks) + " " + dtype_text(dtype);
  expect_close(y, want, rounding(y_type), tolerance(s.k, s.ranks, dtype), what.c_str());
  expect_close(down, want_down, 2e-6, 2 * sum_error(s.k), what.c_str());
}

// Dropout of A's input and of the low-rank term, in rows that begin at multiples of 64 or not.
void dropouts(TestDevice& device, int32_t dtype, int32_t x_type, int64_t m, int64_t n, int64_t k,
              int64_t ranks, Random& random) {
  Layer layer(device, random, n, k, ranks, dtype);
  GuardedTensor x(x_type, {m, k}, k % 8);
  x.fill_normal(random);
  for (int32_t of : {PRECIS_LORA_DROPOUT_X, PRECIS_LORA_DROPOUT_LOW_RANK}) {
    GuardedTensor y(PRECIS_FLOAT32, {m, n}, 1), want(PRECIS_FLOAT32, {m, n});
    GuardedTensor down(PRECIS_FLOAT32, {m, ranks}, 1), want_down(PRECIS_FLOAT32, {m, ranks});
    y.fill(0.5f);
    want.fill(0.5f);
    GuardedTensor names(PRECIS_INT64, {m});
    for (int64_t r = 0; r < m; r++) {
      names.data<int64_t>()[r] = static_cast<int64_t>(random.next());
    }
    OnDevice x_(x), y_(y), down_(down), names_(names);
    precis_lora_matmul_args args =
        layer.args(x_, y_, {{0, n / 3, 0, ranks / 2, 2, 0}, {n / 3, n, ranks / 2, ranks, 0.5f, 0}});
    args.down = down_;
    args.alpha = 0.5f;
    args.accumulate = 1;
    args.dropout_of = of;
    args.dropout = 0.3f;
    args.seed = 0x123456789abcull;
    args.offset = 3;
    // Rows that are named or not.
    const bool named = (x_type == PRECIS_BFLOAT16) == (of == PRECIS_LORA_DROPOUT_X);
    if (named) args.dropout_rows = names_;
    EXPECT_RUN(device, lora_matmul_cuda(device.context(), args));
    if (named) args.dropout_rows = names;
    y_.download();
    down_.download();
    layer.reference(args, x, want, want_down);
    const std::string what = std::string(device.name()) + " dropout " + std::to_string(of) + " " +
                             std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k);
    expect_close(y, want, 0, 1.5 * tolerance(k, ranks, dtype), what.c_str());
    expect_close(down, want_down, 2e-6, 3 * sum_error(k), what.c_str());
  }
}

// y in bfloat16 is y in float32, rounded: whatever the number of kernels, it is rounded once.
void rounded_once(TestDevice& device, const Shape& s, Random& random) {
  Layer layer(device, random, s.n, s.k, s.ranks, PRECIS_BFLOAT16);
  GuardedTensor x(PRECIS_BFLOAT16, {s.m, s.k}), whole(PRECIS_FLOAT32, {s.m, s.n}, 1);
  GuardedTensor rounded(PRECIS_BFLOAT16, {s.m, s.n}, 2), want(PRECIS_BFLOAT16, {s.m, s.n});
  x.fill_normal(random);
  OnDevice x_(x), whole_(whole), rounded_(rounded);
  EXPECT_RUN(device, lora_matmul_cuda(device.context(), layer.args(x_, whole_, s.segments)));
  EXPECT_RUN(device, lora_matmul_cuda(device.context(), layer.args(x_, rounded_, s.segments)));
  whole_.download();
  rounded_.download();
  copy_elements(whole, want);
  expect_close(rounded, want, 0, 0, device.name());
}

// Rows with adapters of their own, of more ranks than a kernel takes, between rows with those of all.
void rows_of_their_own(TestDevice& device, Random& random) {
  const int64_t m = 50, n = 70, k = 40, ranks = 140, own_ranks = 256;
  Layer layer(device, random, n, k, ranks, PRECIS_BFLOAT16);
  Layer own(device, random, n, k, own_ranks, PRECIS_BFLOAT16);
  GuardedTensor x(PRECIS_BFLOAT16, {m, k}), y(PRECIS_BFLOAT16, {m, n}),
      down(PRECIS_FLOAT32, {m, ranks});
  GuardedTensor want(PRECIS_BFLOAT16, {m, n}), want_down(PRECIS_FLOAT32, {m, ranks});
  x.fill_normal(random);
  OnDevice x_(x), y_(y), down_(down);
  const std::vector<precis_lora_segment> segments = {{0, n, 0, ranks, 0.5f, 0}};
  const std::vector<precis_lora_segment> own_segments = {{10, n, 0, own_ranks, 0.25f, 0}};
  const precis_lora_matmul_args with_own = own.args(x_, y_, own_segments);
  precis_lora_rows rows = {};
  rows.row_begin = 5;
  rows.row_end = 44;
  rows.a = with_own.a;
  rows.b = with_own.b;
  rows.segment_count = 1;
  rows.segments[0] = own_segments[0];
  precis_lora_matmul_args args = layer.args(x_, y_, segments);
  args.down = down_;
  args.row_adapters = &rows;
  args.row_adapter_count = 1;
  EXPECT_RUN(device, lora_matmul_cuda(device.context(), args));
  y_.download();
  down_.download();
  args.row_adapters = nullptr;
  args.row_adapter_count = 0;
  layer.reference(args, x, want, want_down);
  precis_lora_matmul_args of_own = with_own;
  of_own.x = some_rows(x, rows.row_begin, rows.row_end - rows.row_begin);
  of_own.y = some_rows(want, rows.row_begin, rows.row_end - rows.row_begin);
  lora_matmul_ref(of_own, layer.w.args(), own.a.args(), own.b.args());
  for (int64_t r = rows.row_begin; r < rows.row_end; r++) {
    for (int64_t i = 0; i < ranks; i++) store_element(want_down, r, i, 0);
  }
  expect_close(y, want, rounding(PRECIS_BFLOAT16), tolerance(k, own_ranks, PRECIS_BFLOAT16),
               device.name());
  expect_close(down, want_down, 2e-6, 2 * sum_error(k), device.name());
}

// An adapter with NaN does not change a bit of the other adapters' outputs.
void isolation(TestDevice& device, int32_t dtype, Random& random) {
  const int64_t m = 5, n = 90, k = 40, ranks = 12;
  Layer layer(device, random, n, k, ranks, dtype);
  GuardedTensor x(PRECIS_FLOAT32, {m, k}), y(PRECIS_FLOAT32, {m, n});
  GuardedTensor before(PRECIS_FLOAT32, {m, n});
  x.fill_normal(random);
  OnDevice x_(x), y_(y);
  for (bool with_nan : {false, true}) {
    if (with_nan) {
      for (int64_t i = 0; i < k; i++) store_element(layer.a.source(0), 5, i, NAN);
      for (int64_t i = 0; i < n; i++) store_element(layer.b.source(0), i, 5, INFINITY);
      layer.pack(device);
    }
    const precis_lora_matmul_args args =
        layer.args(x_, y_, {{0, 37, 0, 5, 2, 0}, {37, 61, 5, 6, 1, 0}, {61, 90, 6, 12, 0.5f, 0}});
    EXPECT_RUN(device, lora_matmul_cuda(device.context(), args));
    y_.download();
    for (int64_t i = 0; i < m; i++) {
      for (int64_t j = 0; j < n; j++) {
        if (!with_nan) {
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

// A row is bitwise identical to the same row alone, whichever tile that uses.
void alone(TestDevice& device, int32_t dtype, int32_t x_type, int64_t ranks, Random& random) {
  const int64_t m = 130, n = 200, k = 104;
  Layer layer(device, random, n, k, ranks, dtype, 1);
  GuardedTensor x(x_type, {m, k}), y(PRECIS_FLOAT32, {m, n}), one(PRECIS_FLOAT32, {1, n});
  x.fill_normal(random);
  OnDevice x_(x), y_(y), one_(one);
  precis_lora_matmul_args args = layer.args(x_, y_, {{0, n, 0, ranks, 2, 0}});
  EXPECT_RUN(device, lora_matmul_cuda(device.context(), args));
  y_.download();
  for (int64_t r : {0, 17, 110}) {
    args.x = some_rows(x_, r, 1);
    args.y = one_;
    EXPECT_RUN(device, lora_matmul_cuda(device.context(), args));
    one_.download();
    EXPECT(first_difference(y, r, one, 0) < 0, "%s: row %d differs", device.name(),
           static_cast<int>(r));
  }
}

// int8 weights: in a step they are exact, elsewhere they are multiplied by their scales and rounded to
// bfloat16. In both cases x is not quantized, so the reference is one of float32.
void int8_weights(TestDevice& device, const Shape& s, int32_t x_type, bool step, Random& random) {
  Layer layer(device, random, s.n, s.k, s.ranks, PRECIS_BFLOAT16);
  Weights w(random, {s.n}, s.k, PRECIS_INT8, PRECIS_FLOAT32);
  if (s.n > 2) {
    for (int64_t k = 0; k < s.k; k++) store_element(w.source(0), 2, k, 0);
  }
  const DeviceWeights packed(device, w);
  GuardedTensor values(PRECIS_BFLOAT16, {s.m, s.k}), x(x_type, {s.m, s.k}, 8 - s.k % 8);
  values.fill_normal(random);
  copy_elements(values, x);
  GuardedTensor y(PRECIS_FLOAT32, {s.m, s.n}, 1), want(PRECIS_FLOAT32, {s.m, s.n});
  GuardedTensor down(PRECIS_FLOAT32, {s.m, s.ranks});
  y.fill(0.5f);
  want.fill(0.5f);
  OnDevice x_(x), y_(y);
  precis_lora_matmul_args args = layer.args(x_, y_, s.segments);
  args.w = packed;
  args.accumulate = 1;
  args.alpha = 0.5f;
  args.step = step;
  EXPECT_RUN(device, lora_matmul_cuda(device.context(), args));
  y_.download();
  Weights wide(random, {s.n}, s.k, PRECIS_FLOAT32, PRECIS_FLOAT32);
  const precis_matmul_pack_args quantized = w.args();
  for (int64_t n = 0; n < s.n; n++) {
    for (int64_t k = 0; k < s.k; k++) {
      store_element(wide.source(0), n, k, packed_weight_ref(quantized, n, k));
    }
  }
  args.x = x;
  args.y = want;
  args.down = down;
  lora_matmul_ref(args, wide.args(), layer.a.args(), layer.b.args());
  const std::string what = std::string(device.name()) + " int8 " + (step ? "step " : "") +
                           std::to_string(s.m) + "x" + std::to_string(s.n) + "x" +
                           std::to_string(s.k) + " ranks " + std::to_string(s.ranks);
  const double rounded = step ? 0 : 0.5 * 4 * std::sqrt(static_cast<double>(s.k)) * 0x1p-9;
  expect_close(y, want, 0, tolerance(s.k, s.ranks, PRECIS_BFLOAT16) + rounded, what.c_str());
}

precis_tensor first_rows(precis_tensor t, int64_t m) {
  t.dims[0] = m;
  return t;
}

// Products of a decoding step agree with the reference, and a row has the same bits in a step of one
// row as in one of many, whichever tile that uses, and whether or not x has to be converted.
void steps(TestDevice& device, const Shape& s, int32_t x_type, int32_t y_type, Random& random) {
  Layer layer(device, random, s.n, s.k, s.ranks, PRECIS_BFLOAT16);
  GuardedTensor values(PRECIS_BFLOAT16, {s.m, s.k}), x(x_type, {s.m, s.k}, 8 - s.k % 8);
  values.fill_normal(random);
  copy_elements(values, x);
  GuardedTensor y(y_type, {s.m, s.n}, 3), want(y_type, {s.m, s.n});
  GuardedTensor down(PRECIS_FLOAT32, {s.m, s.ranks});
  y.fill(0.5f);
  want.fill(0.5f);
  OnDevice x_(x), y_(y);
  precis_lora_matmul_args args = layer.args(x_, y_, s.segments);
  args.alpha = 0.5f;
  args.accumulate = y_type == PRECIS_FLOAT32;
  args.step = 1;
  const auto run = [&] {
    const precis_matmul_args plain = {args.x, args.w, args.y, args.alpha, args.accumulate, 1, 0};
    EXPECT_RUN(device, s.segments.empty() ? matmul_cuda(device.context(), plain)
                                          : lora_matmul_cuda(device.context(), args));
  };
  run();
  y_.download();
  layer.reference(args, x, want, down);
  const std::string what = std::string(device.name()) + " step of " + std::to_string(s.m) + "x" +
                           std::to_string(s.n) + "x" + std::to_string(s.k) + " ranks " +
                           std::to_string(s.ranks);
  expect_close(y, want, rounding(y_type), tolerance(s.k, s.ranks, PRECIS_BFLOAT16), what.c_str());
  for (int64_t m : {1, 16, 17, 40}) {
    if (m >= s.m) continue;
    GuardedTensor some(y_type, {m, s.n}, 1), same(x_type, {m, s.k}, 8 - s.k % 8, s.k % 3 == 0);
    copy_elements(first_rows(values, m), same);
    some.fill(0.5f);
    OnDevice some_(some), same_(same);
    args.x = same_;
    args.y = some_;
    run();
    some_.download();
    for (int64_t r = 0; r < m; r++) {
      EXPECT(first_difference(y, r, some, r) < 0, "%s: row %d differs among %d", what.c_str(),
             static_cast<int>(r), static_cast<int>(m));
    }
  }
}

// The same numbers in aligned bfloat16 rows, which are copied asynchronously, in misaligned ones,
// and in float32 give bitwise identical results. So do aligned rows of y, which are stored eight
// elements at a time, and misaligned ones.
void copy_paths(TestDevice& device, int64_t m, int64_t ranks, bool separate, int32_t y_type,
                Random& random) {
  const int64_t n = 70, k = 264;  // more steps than any ring has stages
  Layer layer(device, random, n, k, ranks, PRECIS_BFLOAT16);
  GuardedTensor values(PRECIS_BFLOAT16, {m, k}), low_values(PRECIS_BFLOAT16, {m, k});
  values.fill_normal(random);
  low_values.fill_normal(random);
  GuardedTensor first(y_type, {m, n}), first_down(PRECIS_FLOAT32, {m, ranks});
  for (int path = 0; path < 4; path++) {
    const int32_t x_type = path == 2 ? PRECIS_FLOAT32 : PRECIS_BFLOAT16;
    const int32_t z_type = path >= 2 ? PRECIS_FLOAT32 : PRECIS_BFLOAT16;
    GuardedTensor x(x_type, {m, k}, 8, path == 1), z(z_type, {m, k}, 8);
    copy_elements(values, x);
    copy_elements(low_values, z);
    GuardedTensor y(y_type, {m, n}, 2 + path), down(PRECIS_FLOAT32, {m, ranks});
    OnDevice x_(x), z_(z), y_(y), down_(down);
    precis_lora_matmul_args args = layer.args(x_, y_, {{0, n, 0, ranks, 2, 0}});
    args.down = down_;
    if (separate) args.lora_x = z_;
    EXPECT_RUN(device, lora_matmul_cuda(device.context(), args));
    y_.download();
    down_.download();
    if (path == 0) {
      layer.reference(args, x, first, first_down, separate ? z.tensor() : precis_tensor{});
      expect_close(y, first, rounding(y_type), tolerance(k, ranks, PRECIS_BFLOAT16), device.name());
      expect_close(down, first_down, 2e-6, 2 * sum_error(k), device.name());
      copy_elements(y, first);
      continue;
    }
    expect_close(y, first, 0, 0, device.name());
  }
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
  // The tiles of 16 to 64 rows and 16 to 64 columns, few and many outputs, long and short sums.
  const std::vector<Shape> step_shapes = {
      {3, 20, 7, {{0, 20, 0, 1, 2, 0}}, 1},
      {65, 40, 1100, {{0, 40, 0, 5, 2, 0}}, 5},
      {130, 200, 264, {{0, 120, 0, 16, 2, 0}, {90, 200, 16, 33, 0.5f, 0}}, 33},
      {70, 70, 96, {{10, 60, 3, 128, 2, 0}}, 128},
      {41, 300, 264, {}, 1},
      {20, 17, 1100, {}, 1},
  };
  // More ranks than a kernel takes at once: of one adapter, and of several, some of which lie in more
  // than one chunk, share ranks or have none in the first.
  const std::vector<Shape> wide = {
      {3, 70, 40, {{0, 70, 0, 129, 0.5f, 0}}, 129},
      {40, 136, 72, {{0, 60, 0, 70, 0.5f, 0}, {60, 100, 70, 160, 1, 0}}, 160},
      {130, 65, 33, {{0, 65, 100, 256, 0.25f, 0}}, 256},
      {17,
       150,
       64,
       {{0, 80, 0, 140, 0.25f, 0}, {70, 150, 130, 140, 0.25f, 0}, {20, 150, 260, 300, 0.5f, 0}},
       300},
  };
  bool same_bits = true;
  const std::vector<Wgmma> modes = wgmma_modes(device, &same_bits);
  while (device.next_order(3)) {
    Random random(21);
    for (Wgmma wgmma : modes) {
      device.context().wgmma = wgmma;
      for (const Shape& s : shapes) {
        for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
          if (dtype == PRECIS_FLOAT32 && wgmma != Wgmma::kOff) continue;
          same_as_reference(device, s, dtype, PRECIS_FLOAT32, PRECIS_FLOAT32, true, true, random);
          same_as_reference(device, s, dtype, PRECIS_BFLOAT16, PRECIS_BFLOAT16, false, false,
                            random);
        }
      }
      if (wgmma == Wgmma::kOff) {
        for (const Shape& s : step_shapes) {
          int8_weights(device, s, PRECIS_BFLOAT16, true, random);
          int8_weights(device, s, PRECIS_FLOAT32, true, random);
          int8_weights(device, s, PRECIS_BFLOAT16, false, random);
          steps(device, s, PRECIS_BFLOAT16, PRECIS_FLOAT32, random);
          steps(device, s, PRECIS_FLOAT32, PRECIS_BFLOAT16, random);
        }
      }
      for (const Shape& s : wide) {
        same_as_reference(device, s, PRECIS_BFLOAT16, PRECIS_FLOAT32, PRECIS_FLOAT32, true, true,
                          random);
        same_as_reference(device, s, PRECIS_BFLOAT16, PRECIS_BFLOAT16, PRECIS_BFLOAT16, false,
                          false, random);
        rounded_once(device, s, random);
      }
      for (int32_t x_type : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
        dropouts(device, PRECIS_BFLOAT16, x_type, 35, 72, 64, 160, random);
        dropouts(device, PRECIS_BFLOAT16, x_type, 3, 90, 72, 300, random);
        dropouts(device, PRECIS_BFLOAT16, x_type, 130, 192, 128, 16, random);
        dropouts(device, PRECIS_BFLOAT16, x_type, 35, 90, 72, 40, random);
        dropouts(device, PRECIS_BFLOAT16, x_type, 3, 72, 200, 24, random);
        if (wgmma == Wgmma::kOff) dropouts(device, PRECIS_FLOAT32, x_type, 5, 70, 40, 70, random);
      }
      for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
        isolation(device, dtype, random);
        alone(device, dtype, PRECIS_FLOAT32, 16, random);
        alone(device, dtype, PRECIS_BFLOAT16, 16, random);
      }
      alone(device, PRECIS_BFLOAT16, PRECIS_BFLOAT16, 200, random);
      rows_of_their_own(device, random);
      if (wgmma == Wgmma::kAlways && !same_bits) continue;
      for (int64_t ranks : {16, 32, 40}) {
        copy_paths(device, 20, ranks, ranks != 32, PRECIS_FLOAT32, random);
        copy_paths(device, 40, ranks, ranks == 32, PRECIS_BFLOAT16, random);
      }
    }
  }
  return test_result();
}
