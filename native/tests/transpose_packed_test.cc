#include "ops/transpose_packed.h"

#include "matmul_cases.h"

using namespace precis;

namespace {

// What packing a matrix (N, K) transposed gives.
class Transposed {
 public:
  Transposed(TestContext& context, const precis_tensor& matrix, int32_t dtype) {
    precis_matmul_pack_args args = {};
    // Read as (k, N): what was (N, K) is stacked along the inputs.
    args.weights[0] = matrix;
    args.weight_count = 1;
    args.dtype = dtype;
    args.transposed = 1;
    EXPECT_OK(context, precis_matmul_pack_size(context, &args, &bytes));
    packed = std::make_unique<GuardedTensor>(PRECIS_UINT8, std::vector<int64_t>{1, bytes});
    args.packed = packed->data<void>();
    args.packed_bytes = bytes;
    EXPECT_OK(context, precis_matmul_pack(context, &args));
  }

  int64_t bytes = 0;
  std::unique_ptr<GuardedTensor> packed;
};

// transpose_packed is bitwise identical to packing the transposed weights, padding included, and to
// the reference.
void test_bits(TestContext& context, Random& random, int64_t outputs, int64_t inputs,
               int32_t dtype) {
  Weights weights(random, {outputs}, inputs, dtype, PRECIS_FLOAT32);
  precis_transpose_packed_args args = {};
  args.w = weights.pack(context);
  const Transposed transposed(context, weights.source(0), dtype);
  const int64_t bytes = transposed.bytes;
  const GuardedTensor& want = *transposed.packed;
  GuardedTensor got(PRECIS_UINT8, {1, bytes});
  std::memset(got.data<void>(), 0xff, static_cast<size_t>(bytes));
  args.out = {got.data<void>(), bytes, inputs, outputs, dtype, 0};
  EXPECT_OK(context, precis_transpose_packed(context, &args));
  EXPECT(got.intact(), "%s", context.name());
  EXPECT(std::memcmp(got.data<void>(), want.data<void>(), static_cast<size_t>(bytes)) == 0,
         "%s %s: %lld outputs, %lld inputs", context.name(), dtype_text(dtype),
         static_cast<long long>(outputs), static_cast<long long>(inputs));
  std::memset(got.data<void>(), 0xff, static_cast<size_t>(bytes));
  transpose_packed_ref(args);
  EXPECT(std::memcmp(got.data<void>(), want.data<void>(), static_cast<size_t>(bytes)) == 0,
         "reference, %s: %lld outputs, %lld inputs", dtype_text(dtype),
         static_cast<long long>(outputs), static_cast<long long>(inputs));
}

// Quantized weights give what packing the values that they stand for gives.
void test_quantized(TestContext& context, Random& random, int64_t outputs, int64_t inputs,
                    int32_t dtype) {
  Weights weights(random, {outputs}, inputs, dtype, PRECIS_FLOAT32);
  // An output of zeros, and one that is not finite.
  if (outputs > 2) std::memset(row<float>(weights.source(0), 1), 0, inputs * sizeof(float));
  if (outputs > 15) row<float>(weights.source(0), 14)[inputs - 1] = std::nanf("");
  precis_transpose_packed_args args = {};
  args.w = weights.pack(context);
  GuardedTensor values(PRECIS_FLOAT32, {outputs, inputs});
  for (int64_t n = 0; n < outputs; n++) {
    for (int64_t k = 0; k < inputs; k++) {
      row<float>(values, n)[k] = packed_weight_ref(weights.args(), n, k) + 0.0f;
    }
  }
  const Transposed transposed(context, values, PRECIS_BFLOAT16);
  const int64_t bytes = transposed.bytes;
  const GuardedTensor& want = *transposed.packed;
  GuardedTensor got(PRECIS_UINT8, {1, bytes});
  args.out = {got.data<void>(), bytes, inputs, outputs, PRECIS_BFLOAT16, 0};
  auto same = [&] {
    const uint16_t *a = got.data<uint16_t>(), *b = want.data<uint16_t>();
    for (int64_t i = 0; i < bytes / 2; i++) {
      const float x = bf16_to_float(a[i]), y = bf16_to_float(b[i]);
      if (a[i] != b[i] && !(std::isnan(x) && std::isnan(y))) return false;
    }
    return true;
  };
  for (bool reference : {false, true}) {
    std::memset(got.data<void>(), 0xff, static_cast<size_t>(bytes));
    if (reference) {
      transpose_packed_ref(args);
    } else {
      EXPECT_OK(context, precis_transpose_packed(context, &args));
    }
    EXPECT(got.intact() && same(), "%s%s %s: %lld outputs, %lld inputs", context.name(),
           reference ? ", reference," : "", dtype_text(dtype), static_cast<long long>(outputs),
           static_cast<long long>(inputs));
  }
}

void test_refused(TestContext& context, Random& random) {
  Weights weights(random, {70}, 33, PRECIS_BFLOAT16, PRECIS_FLOAT32);
  precis_transpose_packed_args args = {};
  args.w = weights.pack(context);
  const int64_t bytes = packed_layout(33, 70, PRECIS_BFLOAT16).bytes;
  GuardedTensor out(PRECIS_UINT8, {1, bytes});
  const precis_packed_matrix good = {out.data<void>(), bytes, 33, 70, PRECIS_BFLOAT16, 0};
  args.out = good;
  args.out.inputs = 69;
  EXPECT_REFUSED(context, precis_transpose_packed(context, &args), "out is 33 x 69");
  args.out = good;
  args.out.bytes--;
  EXPECT_REFUSED(context, precis_transpose_packed(context, &args), "bytes");
  args.out = good;
  args.out.dtype = PRECIS_FLOAT32;
  args.out.bytes *= 4;
  EXPECT_REFUSED(context, precis_transpose_packed(context, &args), "out is float32");
  args.out = good;
  args.out.data = args.w.data;
  EXPECT_REFUSED(context, precis_transpose_packed(context, &args), "out overlaps w");
  args.out = good;
  Weights quantized(random, {70}, 33, PRECIS_INT8, PRECIS_FLOAT32);
  args.w = quantized.pack(context);
  args.out.dtype = PRECIS_FLOAT32;
  args.out.bytes *= 4;
  EXPECT_REFUSED(context, precis_transpose_packed(context, &args), "w is int8, but out is float32");
  args.w.dtype = PRECIS_UINT8;
  EXPECT_REFUSED(context, precis_transpose_packed(context, &args), "w cannot be uint8");
}

}  // namespace

int main() {
  for (TestContext& context : all_contexts()) {
    Random random(31);
    for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
      for (int64_t outputs : {1, 15, 33, 64, 65, 160, 257}) {
        for (int64_t inputs : {1, 31, 32, 63, 64, 97, 130}) {
          test_bits(context, random, outputs, inputs, dtype);
        }
      }
    }
    for (int32_t dtype : {PRECIS_INT8, PRECIS_INT4}) {
      for (int64_t outputs : {1, 33, 64, 65, 160}) {
        for (int64_t inputs : {1, 31, 32, 33, 64, 97, 130}) {
          test_quantized(context, random, outputs, inputs, dtype);
        }
      }
    }
    test_refused(context, random);
  }
  return test_result();
}
