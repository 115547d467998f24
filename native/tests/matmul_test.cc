#include "ops/matmul.h"

#include "matmul_cases.h"

using namespace precis;

namespace {

constexpr int32_t kWeightTypes[] = {PRECIS_FLOAT32, PRECIS_BFLOAT16, PRECIS_INT8, PRECIS_INT4};

// Tests every combination of sizes and cycles through types, strides and options.
void test_sizes(std::vector<TestContext>& contexts) {
  const int64_t row_counts[] = {1, 2, 5, 6, 7, 8, 13, 64, 67};
  Random random(1);
  int turn = 0;
  for (int64_t k : {1, 3, 31, 33, 63, 64, 65, 96, 130, 257}) {
    for (int64_t n : {1, 3, 31, 33, 63, 64, 65, 96, 130, 257}) {
      for (int32_t dtype : kWeightTypes) {
        turn++;
        const int64_t m = row_counts[random.below(9)];
        const int32_t x_type = turn % 2 == 0 ? PRECIS_FLOAT32 : PRECIS_BFLOAT16;
        const bool accumulate = random.below(3) == 0;
        const int32_t y_type =
            accumulate || random.below(2) == 0 ? PRECIS_FLOAT32 : PRECIS_BFLOAT16;
        Weights weights(random, {n}, k, dtype,
                        random.below(2) == 0 ? PRECIS_FLOAT32 : PRECIS_BFLOAT16);
        GuardedTensor x(x_type, {m, k}, random.below(4), random.below(4));
        GuardedTensor before(y_type, {m, n}), want(y_type, {m, n});
        x.fill_normal(random);
        before.fill_normal(random);
        precis_matmul_args args = {};
        args.x = x;
        args.y = want;
        args.alpha = random.below(2) == 0 ? 1.0f : -0.75f;
        args.accumulate = accumulate;
        std::memcpy(want.data<void>(), before.data<void>(),
                    m * n * (y_type == PRECIS_FLOAT32 ? 4 : 2));
        matmul_ref(args, weights.args());
        for (TestContext& context : contexts) {
          GuardedTensor y(y_type, {m, n}, random.below(4), random.below(4));
          for (int64_t r = 0; r < m; r++) {
            for (int64_t c = 0; c < n; c++) store_element(y, r, c, before.at(r, c));
          }
          args.w = weights.pack(context);
          args.y = y;
          EXPECT_OK(context, precis_matmul(context, &args));
          EXPECT(y.intact(), "%s", context.name());
          char what[128];
          std::snprintf(what, sizeof what, "%s %s M %lld K %lld N %lld", context.name(),
                        dtype_text(dtype), static_cast<long long>(m), static_cast<long long>(k),
                        static_cast<long long>(n));
          expect_close(y, want, rounding(y_type), sum_error(k), what);
        }
      }
    }
  }
}

// Long sums go through memory between chunks of K, and M has several blocks of rows.
void test_large(std::vector<TestContext>& contexts) {
  Random random(2);
  struct Case {
    int64_t m, k, n;
  };
  for (const Case& c : {Case{7, 4501, 65}, Case{300, 130, 200}, Case{2, 9000, 64}}) {
    for (int32_t dtype : kWeightTypes) {
      Weights weights(random, {c.n}, c.k, dtype, PRECIS_FLOAT32);
      GuardedTensor x(PRECIS_FLOAT32, {c.m, c.k}, 1), want(PRECIS_FLOAT32, {c.m, c.n});
      x.fill_normal(random);
      precis_matmul_args args = {};
      args.x = x;
      args.alpha = 1;
      args.y = want;
      matmul_ref(args, weights.args());
      for (TestContext& context : contexts) {
        GuardedTensor y(PRECIS_FLOAT32, {c.m, c.n}, 2, 1);
        args.w = weights.pack(context);
        args.y = y;
        EXPECT_OK(context, precis_matmul(context, &args));
        EXPECT(y.intact(), "%s", context.name());
        expect_close(y, want, 2e-6, 4 * sum_error(c.k), context.name());
      }
    }
  }
}

// A row is bitwise identical to the same row alone, for any number of threads.
void test_batches() {
  Random random(3);
  constexpr int64_t kRows = 70, kInputs = 1111, kOutputs = 200;
  for (const Engine& e : all_engines()) {
    TestContext one(e.isa, 1, e.matmul), two(e.isa, 2, e.matmul), three(e.isa, 3, e.matmul);
    if (one.status() != PRECIS_OK) continue;
    for (int32_t dtype : kWeightTypes) {
      for (int32_t x_type : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
        Weights weights(random, {kOutputs}, kInputs, dtype, PRECIS_FLOAT32);
        GuardedTensor x(x_type, {kRows, kInputs}), alone(PRECIS_FLOAT32, {kRows, kOutputs});
        x.fill_normal(random);
        precis_matmul_args args = {};
        args.w = weights.pack(one);
        args.alpha = 0.3f;
        for (int64_t r = 0; r < kRows; r++) {
          args.x = some_rows(x, r, 1);
          args.y = some_rows(alone, r, 1);
          EXPECT_OK(one, precis_matmul(one, &args));
        }
        for (int64_t m = 1; m <= kRows; m++) {
          GuardedTensor y(PRECIS_FLOAT32, {m, kOutputs});
          args.x = some_rows(x, kRows - m, m);
          args.y = y;
          TestContext& context = m % 3 == 0 ? one : m % 3 == 1 ? two : three;
          EXPECT_OK(context, precis_matmul(context, &args));
          for (int64_t r = 0; r < m; r++) {
            const int64_t c = first_difference(alone, kRows - m + r, y, r);
            EXPECT(c < 0, "%s %s M %lld: row %lld differs in column %lld", context.name(),
                   dtype_text(dtype), static_cast<long long>(m), static_cast<long long>(r),
                   static_cast<long long>(c));
          }
        }
      }
    }
  }
}

// Sums of integers are exact: int8 is bitwise identical on every instruction set, also at the
// extremes.
void test_int8_extremes(std::vector<TestContext>& contexts) {
  Random random(4);
  constexpr int64_t kInputs = 515, kOutputs = 70, kRows = 9;
  Weights weights(random, {kOutputs}, kInputs, PRECIS_INT8, PRECIS_FLOAT32);
  GuardedTensor x(PRECIS_FLOAT32, {kRows, kInputs});
  for (int64_t k = 0; k < kInputs; k++) {
    for (int64_t n = 0; n < kOutputs; n++) {
      const float sign = n % 3 == 0 ? 1.0f : n % 3 == 1 ? -1.0f : (k % 2 == 0 ? 1.0f : -1.0f);
      store_element(weights.source(0), n, k, sign * 127);
    }
    for (int64_t m = 0; m < kRows; m++) {
      const float sign = m % 3 == 0 ? 1.0f : m % 3 == 1 ? -1.0f : (k % 2 == 0 ? -1.0f : 1.0f);
      store_element(x, m, k, sign * 127);
    }
  }
  for (TestContext& context : contexts) {
    GuardedTensor y(PRECIS_FLOAT32, {kRows, kOutputs}), want(PRECIS_FLOAT32, {kRows, kOutputs});
    precis_matmul_args args = {};
    args.x = x;
    args.w = weights.pack(context);
    args.alpha = 1;
    args.y = want;
    matmul_ref(args, weights.args());
    args.y = y;
    EXPECT_OK(context, precis_matmul(context, &args));
    expect_close(y, want, 0, 0, context.name());
  }
}

// Rows with a few outliers keep them exactly. With one more than int8_outliers allows, the other
// elements lose their low bits. Everything is an integer here.
void test_int8_outliers(std::vector<TestContext>& contexts) {
  Random random(14);
  constexpr int64_t kInputs = 515, kOutputs = 70;
  const int64_t most = int8_outliers(kInputs), count = most + 5;
  Weights weights(random, {kOutputs}, kInputs, PRECIS_INT8, PRECIS_FLOAT32);
  auto some = [&](int limit) { return static_cast<float>(random.below(2 * limit + 1) - limit); };
  for (int64_t n = 0; n < kOutputs; n++) {
    for (int64_t k = 0; k < kInputs; k++) store_element(weights.source(0), n, k, some(127));
    store_element(weights.source(0), n, n, 127);
  }
  for (const int64_t rows : {count, int64_t{1}, int64_t{100}}) {
    GuardedTensor x(PRECIS_FLOAT32, {rows, kInputs});
    for (int64_t m = 0; m < rows; m++) {
      for (int64_t k = 0; k < kInputs; k++) store_element(x, m, k, some(63));
      const int64_t large = (m + most) % count;
      const float magnitude = 127.0f * static_cast<float>(1 << (m % (kMaxOutlierBits + 1)));
      for (int64_t i = 0; i < large; i++) {
        store_element(x, m, (i * 101 + m) % kInputs, i % 2 == 0 ? magnitude : -magnitude);
      }
    }
    for (TestContext& context : contexts) {
      GuardedTensor y(PRECIS_FLOAT32, {rows, kOutputs}), want(PRECIS_FLOAT32, {rows, kOutputs});
      precis_matmul_args args = {};
      args.x = x;
      args.w = weights.pack(context);
      args.alpha = 1;
      args.y = want;
      matmul_ref(args, weights.args());
      args.y = y;
      EXPECT_OK(context, precis_matmul(context, &args));
      expect_close(y, want, 0, 0, context.name());
    }
  }
}

// The sums of a group reach the ends of their range, where 16 bits are just enough, and an outlier
// of x or of W costs the other elements of its group their precision, but no other group's.
void test_int4_extremes(std::vector<TestContext>& contexts) {
  Random random(15);
  constexpr int64_t kInputs = 515, kOutputs = 70, kRows = 9;
  Weights weights(random, {kOutputs}, kInputs, PRECIS_INT4, PRECIS_FLOAT32);
  GuardedTensor x(PRECIS_FLOAT32, {kRows, kInputs});
  for (int64_t k = 0; k < kInputs; k++) {
    for (int64_t n = 0; n < kOutputs; n++) {
      // Sevens of one sign, with an eight that makes the scale 1; a group of 32 codes of 15 or 1.
      const float sign = n % 3 == 0 ? 1.0f : n % 3 == 1 ? -1.0f : (k % 2 == 0 ? 1.0f : -1.0f);
      store_element(weights.source(0), n, k, k % 32 == 5 ? -8 : sign * 7);
    }
    for (int64_t m = 0; m < kRows; m++) {
      const float sign = m % 3 == 0 ? 1.0f : m % 3 == 1 ? -1.0f : (k % 2 == 0 ? -1.0f : 1.0f);
      store_element(x, m, k, sign * 127);
    }
  }
  store_element(x, 3, 100, 12700);
  store_element(weights.source(0), 9, 200, -4096);
  for (TestContext& context : contexts) {
    GuardedTensor y(PRECIS_FLOAT32, {kRows, kOutputs}), want(PRECIS_FLOAT32, {kRows, kOutputs});
    precis_matmul_args args = {};
    args.x = x;
    args.w = weights.pack(context);
    args.alpha = 1;
    args.y = want;
    matmul_ref(args, weights.args());
    // All of it but the outliers is exact: integers, and scales of 1.
    EXPECT(want.at(0, 0) == 127 * (7 * kInputs - 15 * 16), "%g", want.at(0, 0));
    args.y = y;
    EXPECT_OK(context, precis_matmul(context, &args));
    expect_close(y, want, 1e-6, 0, context.name());
  }
}

// The layout of int4, padding included, and its rounding: the bytes are the same on every
// instruction set, and what they stand for is what the reference finds.
void test_int4_layout(std::vector<TestContext>& contexts) {
  Random random(16);
  constexpr int64_t kInputs = 101, kOutputs = 70, kGroupBytes = 1024 + 128;
  for (int32_t source : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
    Weights weights(random, {30, 40}, kInputs, PRECIS_INT4, source);
    for (int64_t k = 0; k < 40; k++) store_element(weights.source(0), 3, k, 0);
    store_element(weights.source(0), 4, 70, 3);  // an outlier
    const PackedLayout layout = packed_layout(kOutputs, kInputs, PRECIS_INT4);
    EXPECT(layout.units == 16 && layout.tiles == 2 && layout.bytes == 2 * 4 * kGroupBytes);
    for (TestContext& context : contexts) {
      const char* data = static_cast<const char*>(weights.pack(context).data);
      for (int64_t n = 0; n < 128; n++) {
        int wrong = 0;
        for (int64_t k = 0; k < 128; k++) {
          const char* group = data + (n / 64 * 4 + k / 32) * kGroupBytes;
          const auto byte = static_cast<uint8_t>(group[(k % 32 / 8 * 64 + n % 64) * 4 + k % 4]);
          uint16_t scale;
          std::memcpy(&scale, group + 1024 + n % 64 * 2, 2);
          const int code = k % 8 < 4 ? byte & 15 : byte >> 4;
          const float got = bf16_to_float(scale) * static_cast<float>(code - 8);
          const bool inside = n < kOutputs && k < kInputs;
          wrong += got != (inside ? packed_weight_ref(weights.args(), n, k) : 0.0f);
        }
        EXPECT(wrong == 0, "%s output %lld: %d differ", context.name(), static_cast<long long>(n),
               wrong);
      }
    }
  }
}

void test_special_values(std::vector<TestContext>& contexts) {
  Random random(5);
  constexpr int64_t kInputs = 100, kOutputs = 70, kRows = 9;
  for (int32_t dtype : kWeightTypes) {
    Weights weights(random, {kOutputs}, kInputs, dtype, PRECIS_FLOAT32);
    GuardedTensor x(PRECIS_FLOAT32, {kRows, kInputs});
    x.fill_normal(random);
    for (int64_t k = 0; k < kInputs; k++) store_element(x, 2, k, 0);
    for (int64_t k = 0; k < kInputs; k++) store_element(x, 5, k, 1e-40);
    store_element(x, 3, 99, NAN);
    store_element(x, 4, 0, INFINITY);
    for (TestContext& context : contexts) {
      GuardedTensor y(PRECIS_FLOAT32, {kRows, kOutputs});
      precis_matmul_args args = {};
      args.x = x;
      args.w = weights.pack(context);
      args.y = y;
      args.alpha = 1;
      EXPECT_OK(context, precis_matmul(context, &args));
      for (int64_t n = 0; n < kOutputs; n++) {
        EXPECT(std::isfinite(y.at(0, n)) && std::isfinite(y.at(8, n)), "%s", context.name());
        EXPECT(y.at(2, n) == 0, "%s: a row of zeros gives %g", context.name(), y.at(2, n));
        EXPECT(std::isnan(y.at(3, n)), "%s: NaN became %g", context.name(), y.at(3, n));
        EXPECT(!std::isfinite(y.at(4, n)), "%s: inf became %g", context.name(), y.at(4, n));
        EXPECT(std::fabs(y.at(5, n)) < 1e-36, "%s: 1e-40 became %g", context.name(), y.at(5, n));
      }
    }
    // A weight that is NaN affects its own output and no other.
    store_element(weights.source(0), 7, 50, NAN);
    for (TestContext& context : contexts) {
      GuardedTensor y(PRECIS_FLOAT32, {1, kOutputs});
      precis_matmul_args args = {};
      args.x = some_rows(x, 0, 1);
      args.w = weights.pack(context);
      args.y = y;
      args.alpha = 1;
      EXPECT_OK(context, precis_matmul(context, &args));
      for (int64_t n = 0; n < kOutputs; n++) {
        EXPECT(std::isnan(y.at(0, n)) == (n == 7), "%s: output %lld is %g", context.name(),
               static_cast<long long>(n), y.at(0, n));
      }
    }
  }
}

// Stacked parts of odd sizes and of both types are bitwise identical to each part alone.
void test_stacked(std::vector<TestContext>& contexts) {
  Random random(6);
  constexpr int64_t kInputs = 77, kRows = 5;
  for (int32_t dtype : kWeightTypes) {
    for (int32_t source : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
      Weights weights(random, {1, 66, 33, 130}, kInputs, dtype, source);
      GuardedTensor x(PRECIS_FLOAT32, {kRows, kInputs}), want(PRECIS_FLOAT32, {kRows, 230});
      x.fill_normal(random);
      precis_matmul_args args = {};
      args.x = x;
      args.alpha = 1;
      args.y = want;
      matmul_ref(args, weights.args());
      for (TestContext& context : contexts) {
        GuardedTensor y(PRECIS_FLOAT32, {kRows, 230});
        args.w = weights.pack(context);
        args.y = y;
        EXPECT_OK(context, precis_matmul(context, &args));
        expect_close(y, want, 2e-6, sum_error(kInputs), context.name());
      }
    }
  }
}

// The layout is a promise: it is that of oneDNN's formats, padding included, on every instruction
// set.
void test_layout(std::vector<TestContext>& contexts) {
  Random random(7);
  constexpr int64_t kInputs = 101, kOutputs = 70;
  for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16, PRECIS_INT8}) {
    Weights weights(random, {30, 40}, kInputs, dtype, PRECIS_FLOAT32);
    const PackedLayout layout = packed_layout(kOutputs, kInputs, dtype);
    const int64_t neighbours = layout.unit_inputs;
    EXPECT(layout.units * neighbours == (dtype == PRECIS_FLOAT32 ? 112 : 128));
    for (TestContext& context : contexts) {
      const precis_packed_matrix packed = weights.pack(context);
      const char* data = static_cast<const char*>(packed.data);
      const float* scales = reinterpret_cast<const float*>(data + layout.scales);
      const int32_t* sums = reinterpret_cast<const int32_t*>(data + layout.sums);
      for (int64_t n = 0; n < 128; n++) {
        int32_t sum = 0;
        int wrong = 0;
        for (int64_t k = 0; k < layout.units * neighbours; k++) {
          const int64_t at = ((n / 64 * layout.units + k / neighbours) * 64 + n % 64) * neighbours +
                             k % neighbours;
          const bool inside = n < kOutputs && k < kInputs;
          const float want = inside ? packed_weight_ref(weights.args(), n, k) : 0;
          float got;
          if (dtype == PRECIS_INT8) {
            const int8_t q = reinterpret_cast<const int8_t*>(data)[at];
            sum += q;
            got = scales[n] * q;
          } else if (dtype == PRECIS_BFLOAT16) {
            got = bf16_to_float(reinterpret_cast<const uint16_t*>(data)[at]);
          } else {
            got = reinterpret_cast<const float*>(data)[at];
          }
          wrong += got != want;
        }
        EXPECT(wrong == 0, "%s %s output %lld: %d differ", context.name(), dtype_text(dtype),
               static_cast<long long>(n), wrong);
        if (dtype == PRECIS_INT8) EXPECT(sums[n] == sum, "%s", context.name());
      }
    }
  }
}

// Packing transposed weights, in parts of odd sizes and of both types, is bitwise identical to
// packing the weights, padding included.
void test_transposed(std::vector<TestContext>& contexts) {
  Random random(9);
  struct Case {
    std::vector<int64_t> parts;
    int64_t outputs;
  };
  const std::vector<Case> cases = {{{1}, 1},           {{33}, 64},     {{7, 1, 33, 90}, 63},
                                   {{64, 3}, 130},     {{31, 32}, 65}, {{1, 1, 1}, 257},
                                   {{768, 5, 768}, 96}};
  for (const Case& c : cases) {
    int64_t inputs = 0;
    for (int64_t part : c.parts) inputs += part;
    GuardedTensor whole(PRECIS_FLOAT32, {c.outputs, inputs}, 1, 3);
    std::deque<GuardedTensor> parts;
    precis_matmul_pack_args transposed = {}, plain = {};
    plain.weights[0] = whole;
    plain.weight_count = 1;
    transposed.weight_count = static_cast<int32_t>(c.parts.size());
    transposed.transposed = 1;
    for (size_t i = 0, k = 0; i < c.parts.size(); i++) {
      parts.emplace_back(i % 2 == 0 ? PRECIS_FLOAT32 : PRECIS_BFLOAT16,
                         std::vector<int64_t>{c.parts[i], c.outputs}, i + 1, i % 2);
      parts.back().fill_normal(random);
      transposed.weights[i] = parts.back();
      for (int64_t r = 0; r < c.parts[i]; r++, k++) {
        for (int64_t n = 0; n < c.outputs; n++) {
          store_element(whole, n, static_cast<int64_t>(k), parts.back().at(r, n));
        }
      }
    }
    for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
      plain.dtype = transposed.dtype = dtype;
      for (TestContext& context : contexts) {
        int64_t bytes = 0, same = 0;
        EXPECT_OK(context, precis_matmul_pack_size(context, &plain, &bytes));
        EXPECT_OK(context, precis_matmul_pack_size(context, &transposed, &same));
        EXPECT(bytes == same);
        GuardedTensor want(PRECIS_UINT8, {1, bytes}), got(PRECIS_UINT8, {1, bytes});
        std::memset(got.data<void>(), 0xff, static_cast<size_t>(bytes));
        plain.packed = want.data<void>();
        transposed.packed = got.data<void>();
        plain.packed_bytes = transposed.packed_bytes = bytes;
        EXPECT_OK(context, precis_matmul_pack(context, &plain));
        EXPECT_OK(context, precis_matmul_pack(context, &transposed));
        EXPECT(got.intact(), "%s", context.name());
        EXPECT(std::memcmp(got.data<void>(), want.data<void>(), static_cast<size_t>(bytes)) == 0,
               "%s %s: %lld outputs, %lld inputs", context.name(), dtype_text(dtype),
               static_cast<long long>(c.outputs), static_cast<long long>(inputs));
        EXPECT(packed_weight_ref(transposed, c.outputs - 1, inputs - 1) ==
               packed_weight_ref(plain, c.outputs - 1, inputs - 1));
      }
    }
  }
}

void test_refusals(TestContext& context) {
  Random random(8);
  Weights weights(random, {65, 3}, 33, PRECIS_BFLOAT16, PRECIS_FLOAT32);
  const precis_packed_matrix packed = weights.pack(context);
  int64_t bytes = 0;
  precis_matmul_pack_args p = weights.args();
  EXPECT(precis_matmul_pack(context, nullptr) == PRECIS_INVALID_ARGUMENT);
  EXPECT_REFUSED(context, precis_matmul_pack_size(context, &p, nullptr), "bytes is NULL");
  p.packed_bytes--;
  EXPECT_REFUSED(context, precis_matmul_pack(context, &p), "packed_bytes is");
  p = weights.args();
  p.packed = static_cast<char*>(p.packed) + 32;
  EXPECT_REFUSED(context, precis_matmul_pack(context, &p), "not aligned");
  p = weights.args();
  p.weights[1].dims[1] = 32;
  EXPECT_REFUSED(context, precis_matmul_pack(context, &p), "weights[1] has 32 inputs");
  p = weights.args();
  p.weights[0].data = nullptr;
  EXPECT_REFUSED(context, precis_matmul_pack(context, &p), "no data");
  EXPECT_OK(context, precis_matmul_pack_size(context, &p, &bytes));
  EXPECT(bytes == packed.bytes);
  p.weights[0].dtype = PRECIS_INT8;
  EXPECT_REFUSED(context, precis_matmul_pack_size(context, &p, &bytes),
                 "weights[0] cannot be int8");
  p = weights.args();
  p.dtype = PRECIS_INT32;
  EXPECT_REFUSED(context, precis_matmul_pack_size(context, &p, &bytes), "cannot be int32");
  p = weights.args();
  p.transposed = 1;
  EXPECT_OK(context, precis_matmul_pack_size(context, &p, &bytes));
  EXPECT(bytes == packed_layout(33, 68, PRECIS_BFLOAT16).bytes);
  p.weights[1].dims[1] = 32;
  EXPECT_REFUSED(context, precis_matmul_pack(context, &p), "weights[1] has 32 outputs");
  p = weights.args();
  p.transposed = 1;
  p.dtype = PRECIS_INT8;
  EXPECT_REFUSED(context, precis_matmul_pack_size(context, &p, &bytes),
                 "int8 weights cannot come transposed");
  p.dtype = PRECIS_INT4;
  EXPECT_REFUSED(context, precis_matmul_pack_size(context, &p, &bytes),
                 "int4 weights cannot come transposed");
  p = weights.args();
  p.weight_count = 5;
  EXPECT_REFUSED(context, precis_matmul_pack_size(context, &p, &bytes), "weight_count is 5");
  p.weight_count = 1;
  p.weights[0].dims[0] = int64_t{1} << 40;
  EXPECT_REFUSED(context, precis_matmul_pack_size(context, &p, &bytes), "weights[0] is");
  p.weights[0].dims[0] = 0;
  EXPECT_REFUSED(context, precis_matmul_pack_size(context, &p, &bytes), "weights[0] is");
  p.weights[0].dims[0] = 1;
  p.weights[0].dims[1] = 200000;
  p.dtype = PRECIS_INT8;
  EXPECT_REFUSED(context, precis_matmul_pack_size(context, &p, &bytes), "at most");

  GuardedTensor x(PRECIS_FLOAT32, {4, 33}), y(PRECIS_FLOAT32, {4, 68});
  precis_matmul_args args = {};
  args.x = x;
  args.y = y;
  args.w = packed;
  args.alpha = 1;
  args.w.bytes--;
  EXPECT_REFUSED(context, precis_matmul(context, &args), "w has");
  args.w = packed;
  args.w.data = static_cast<const char*>(packed.data) + 4;
  EXPECT_REFUSED(context, precis_matmul(context, &args), "not aligned");
  args.w.data = nullptr;
  EXPECT_REFUSED(context, precis_matmul(context, &args), "w has data at");
  args.w = packed;
  args.w.dtype = PRECIS_FLOAT32;
  EXPECT_REFUSED(context, precis_matmul(context, &args), "float32 take");
  args.w.dtype = PRECIS_FLOAT16;
  EXPECT_REFUSED(context, precis_matmul(context, &args), "w cannot be float16");
  args.w = packed;
  args.x.dims[1] = 32;
  EXPECT_REFUSED(context, precis_matmul(context, &args), "x has 32");
  args.x = x;
  args.y.dims[0] = 3;
  EXPECT_REFUSED(context, precis_matmul(context, &args), "y has 3");
  args.y = y;
  args.y.dims[1] = 67;
  EXPECT_REFUSED(context, precis_matmul(context, &args), "y has 67");
  args.y = y;
  args.y.dtype = PRECIS_BFLOAT16;
  args.accumulate = 1;
  EXPECT_REFUSED(context, precis_matmul(context, &args), "accumulate needs");
  args.accumulate = 0;
  args.y = y;
  args.x.dims[0] = args.y.dims[0] = 0;
  EXPECT_OK(context, precis_matmul(context, &args));
  EXPECT(y.intact());
}

void test_choice() {
  EXPECT(TestContext(nullptr, 1, "cublas").status() == PRECIS_INVALID_ARGUMENT);
  precis_context_info info;
  TestContext native(nullptr, 1, "native"), onednn(nullptr, 1, "onednn");
  EXPECT_OK(native, precis_context_describe(native, &info));
  EXPECT(info.onednn == 0 && info.onednn_version[0] == 0);
  if (onednn.status() != PRECIS_OK) {
    EXPECT(onednn.error().find("onednn: ") == 0, "said: %s", onednn.error().c_str());
    return;
  }
  EXPECT_OK(onednn, precis_context_describe(onednn, &info));
  EXPECT(info.onednn == 1 && info.onednn_version[0] == '3');
  // The kernels multiply what oneDNN cannot on this processor, and the context says so.
  const bool whole = std::strstr(info.features, "avx512f") != nullptr;
  EXPECT(whole ? info.onednn_error[0] == 0 : std::strstr(info.onednn_error, "bfloat16") != nullptr,
         "%s", info.onednn_error);
  const bool dots = whole || std::strstr(info.features, "vnni") != nullptr;
  EXPECT(dots == (std::strstr(info.onednn_error, "int8") == nullptr), "%s", info.onednn_error);
  EXPECT(std::strstr(info.onednn_path, "libdnnl") != nullptr, "%s", info.onednn_path);
}

}  // namespace

int main() {
  std::vector<TestContext> contexts = all_contexts();
  add_onednn(contexts);
  test_sizes(contexts);
  test_large(contexts);
  test_batches();
  test_int8_extremes(contexts);
  test_int8_outliers(contexts);
  test_int4_extremes(contexts);
  test_int4_layout(contexts);
  test_special_values(contexts);
  test_stacked(contexts);
  test_layout(contexts);
  test_transposed(contexts);
  test_refusals(contexts.back());
  test_choice();
  return test_result();
}
