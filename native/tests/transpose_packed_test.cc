#include "ops/transpose_packed.h"

#include "matmul_cases.h"

using namespace precis;

namespace {

// transpose_packed is bitwise identical to packing the transposed weights, padding included, and to
// the reference.
void test_bits(TestContext& context, Random& random, int64_t outputs, int64_t inputs,
               int32_t dtype) {
  Weights weights(random, {outputs}, inputs, dtype, PRECIS_FLOAT32);
  precis_transpose_packed_args args = {};
  args.w = weights.pack(context);
  precis_matmul_pack_args transposed = {};
  // Read as (k, N): what was (N, K) is stacked along the inputs.
  transposed.weights[0] = weights.source(0);
  transposed.weight_count = 1;
  transposed.dtype = dtype;
  transposed.transposed = 1;
  int64_t bytes = 0;
  EXPECT_OK(context, precis_matmul_pack_size(context, &transposed, &bytes));
  GuardedTensor want(PRECIS_UINT8, {1, bytes}), got(PRECIS_UINT8, {1, bytes});
  std::memset(got.data<void>(), 0xff, static_cast<size_t>(bytes));
  transposed.packed = want.data<void>();
  transposed.packed_bytes = bytes;
  EXPECT_OK(context, precis_matmul_pack(context, &transposed));
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
  args.w.dtype = PRECIS_INT8;
  EXPECT_REFUSED(context, precis_transpose_packed(context, &args), "w cannot be int8");
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
    test_refused(context, random);
  }
  return test_result();
}
