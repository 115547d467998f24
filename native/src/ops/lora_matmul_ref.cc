#include <vector>

#include "ops/lora_matmul.h"
#include "ops/matmul.h"
#include "random/dropout_mask.h"

namespace precis {

void lora_matmul_ref(const precis_lora_matmul_args& args, const precis_matmul_pack_args& w,
                     const precis_matmul_pack_args& a, const precis_matmul_pack_args& b) {
  const bool bf16 = args.b.dtype == PRECIS_BFLOAT16;
  auto rounded = [&](double v) {
    const float f = static_cast<float>(v);
    return bf16 ? bf16_to_float(float_to_bf16(f)) : f;
  };
  // x W' is summed in full precision, then the adapters are added, then the sum is rounded once to
  // y's type.
  const int64_t m_count = rows(args.x), outputs = columns(args.y);
  const precis_tensor& low_x = args.lora_x.data != nullptr ? args.lora_x : args.x;
  const uint32_t threshold = dropout_threshold(args.dropout);
  // Applies dropout to element (m, n) of a matrix of this width, if dropout is of that matrix.
  auto dropped = [&](int32_t of, int64_t m, int64_t n, int64_t width, double v) {
    if (args.dropout_of != of) return v;
    const DropoutRow row =
        dropout_row(static_cast<const int64_t*>(args.dropout_rows.data), m, args.offset);
    const uint64_t index = row.row * static_cast<uint64_t>(width) + static_cast<uint64_t>(n);
    const bool kept = dropout_keeps(args.seed, row.offset, index, threshold);
    // In float32, as kernels do it: near a tie of the rounding to bfloat16 that may follow, another
    // precision would meet the other neighbour.
    return kept ? double{static_cast<float>(v) * (1.0f / (1.0f - args.dropout))} : 0;
  };
  auto low_element = [&](int64_t m, int64_t k) {
    const double v =
        dropped(PRECIS_LORA_DROPOUT_X, m, k, columns(low_x), load_element(low_x, m, k));
    const bool bf16_x = args.dropout_of == PRECIS_LORA_DROPOUT_X && low_x.dtype == PRECIS_BFLOAT16;
    return bf16_x ? double{bf16_to_float(float_to_bf16(static_cast<float>(v)))} : v;
  };
  std::vector<float> base(m_count * outputs);
  precis_matmul_args plain = {};
  plain.x = args.x;
  plain.y = args.y;
  plain.y.data = base.data();
  plain.y.dtype = PRECIS_FLOAT32;
  plain.y.row_stride = 0;
  plain.alpha = 1;
  matmul_ref(plain, w);
  for (int64_t m = 0; m < m_count; m++) {
    for (int64_t r = 0; args.down.data != nullptr && r < columns(args.down); r++) {
      store_element(args.down, m, r, 0);
    }
    std::vector<double> sum(base.begin() + m * outputs, base.begin() + (m + 1) * outputs);
    for (int i = 0; i < args.segment_count; i++) {
      const precis_lora_segment& s = args.segments[i];
      for (int64_t r = s.rank_begin; r < s.rank_end; r++) {
        double t = 0;
        for (int64_t k = 0; k < columns(low_x); k++) {
          t += static_cast<double>(rounded(low_element(m, k))) * packed_weight_ref(a, r, k);
        }
        if (args.down.data != nullptr) store_element(args.down, m, r, s.scaling * t);
        const double scaled = rounded(s.scaling * t);
        for (int64_t n = s.output_begin; n < s.output_end; n++) {
          sum[n] += dropped(PRECIS_LORA_DROPOUT_LOW_RANK, m, n, outputs,
                            scaled * packed_weight_ref(b, n, r));
        }
      }
    }
    for (int64_t n = 0; n < outputs; n++) {
      const double before = args.accumulate ? load_element(args.y, m, n) : 0.0;
      store_element(args.y, m, n, before + args.alpha * sum[n]);
    }
  }
}

}  // namespace precis
