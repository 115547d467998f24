#include <cstddef>

#include "context.h"
#include "ops/dropout.h"
#include "ops/lora_matmul.h"
#include "ops/matmul_product.h"

namespace precis {
namespace PRECIS_ISA {
namespace {

precis_tensor tensor(void* data, int64_t rows, int64_t columns, int32_t dtype) {
  return {data, {rows, columns}, 0, 2, dtype};
}

void plain(CpuContext& context, const precis_lora_matmul_args& a, const precis_tensor& lora_x) {
  const LowRankWeights low = {&a.a, &a.b, a.segments, a.segment_count};
  matmul_product(context, {a.x, a.w, a.y, a.alpha, a.accumulate != 0, low, lora_x, a.down,
                           a.row_adapters, a.row_adapter_count});
}

void with_dropped_x(CpuContext& context, const precis_lora_matmul_args& a) {
  const int64_t m = rows(a.x), k = columns(a.x);
  const auto bytes = static_cast<size_t>(m * k * element_bytes(a.x.dtype));
  const precis_tensor z = tensor(context.outer.reserve(bytes), m, k, a.x.dtype);
  dropout_cpu(context, {a.x, z, a.seed, a.offset, a.dropout, 0, a.dropout_rows});
  plain(context, a, z);
}

// y = alpha x w' (+ y)
void product(CpuContext& context, const precis_tensor& x, const precis_packed_matrix& w,
             const precis_tensor& y, float alpha, bool accumulate) {
  matmul_product(context, {x, w, y, alpha, accumulate});
}

// Dropout applies to the low-rank term as a whole, so that term is a product of its own. It takes
// all ranks at once, because B is zero where an output does not use a rank.
void with_dropped_term(CpuContext& context, const precis_lora_matmul_args& a) {
  const int64_t m = rows(a.x), n = columns(a.y), ranks = a.a.outputs;
  auto* memory = static_cast<float*>(
      context.outer.reserve(static_cast<size_t>(m * (n + ranks) + ranks) * sizeof(float)));
  const precis_tensor term = tensor(memory, m, n, PRECIS_FLOAT32);
  const precis_tensor t =
      a.down.data != nullptr ? a.down : tensor(memory + m * n, m, ranks, PRECIS_FLOAT32);
  product(context, a.x, a.a, t, 1, false);
  float* scaling = memory + m * (n + ranks);
  for (int64_t r = 0; r < ranks; r++) scaling[r] = 0;
  for (int i = 0; i < a.segment_count; i++) {
    const precis_lora_segment& s = a.segments[i];
    for (int64_t r = s.rank_begin; r < s.rank_end; r++) scaling[r] = s.scaling;
  }
  for (int64_t i = 0; i < m; i++) {
    float* of_row = row<float>(t, i);
    for (int64_t r = 0; r < ranks; r++) {
      of_row[r] = scaling[r] != 0 ? scaling[r] * of_row[r] : 0.0f;  // no NaN outside of segments
    }
  }
  product(context, a.x, a.w, a.y, a.alpha, a.accumulate != 0);
  product(context, t, a.b, term, a.alpha, false);
  dropout_cpu(context, {term, a.y, a.seed, a.offset, a.dropout, 1, a.dropout_rows});
}

void zero_rows(const precis_tensor& down, int64_t begin, int64_t end) {
  for (int64_t m = begin; m < end; m++) {
    __builtin_memset(row<float>(down, m), 0, static_cast<size_t>(columns(down)) * 4);
  }
}

}  // namespace

void lora_matmul_cpu(CpuContext& context, const precis_lora_matmul_args& a) {
  // Adapters of all rows beside those of some are rare: a product for each.
  if (a.row_adapter_count > 0 && a.segment_count > 0) {
    for_rows_of_adapters(a, [&](int64_t begin, int64_t end, const precis_lora_rows* own) {
      lora_matmul_cpu(context, lora_rows_product(a, begin, end, own));
      if (own != nullptr && a.down.data != nullptr) zero_rows(a.down, begin, end);
      return true;
    });
    return;
  }
  if (a.down.data != nullptr && a.segment_count == 0) {
    zero_rows(a.down, 0, rows(a.down));
  }
  if (a.dropout_of == PRECIS_LORA_DROPOUT_NONE || a.dropout == 0 || a.segment_count == 0) {
    plain(context, a, a.lora_x);
  } else if (a.dropout_of == PRECIS_LORA_DROPOUT_X) {
    with_dropped_x(context, a);
  } else {
    with_dropped_term(context, a);
  }
}

}  // namespace PRECIS_ISA
}  // namespace precis
