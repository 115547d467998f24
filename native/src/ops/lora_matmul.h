// The product of a layer with LoRA adapters (Hu et al. 2021), fused:
//
//   y[m, n] = alpha (sum_k x[m, k] W[n, k] + sum_i [n in O_i] sum_{r in R_i} (s_i t[m, r]) B[n, r])
//   t[m, r] = sum_k z[m, k] A[r, k]                      (+ y[m, n] with accumulate)
//   down[m, r] = s_i t[m, r], or 0 where r is in no R_i
//
// z is lora_x or, without it, x. With dropout of x, z is dropout(x) as in dropout.h, in x's type.
// With dropout of the low-rank term, that term is dropout(sum_i ...), at the index m N + n;
// segments then have ranks of their own. x, W, y as in matmul.h; A (R, K) and B (N, R) packed
// float32 or bfloat16; segment i has the outputs O_i, the ranks R_i and the scaling s_i. z is
// converted to A's dtype for t, and s_i t to B's dtype; down is not rounded. The low-rank sums
// continue in the accumulators of x W', segment after segment. Segments may share outputs, and
// ranks too. With down, segments that share a rank must agree on its scaling.
//
// Rows of row_adapters[j] have the A, B and segments of that; their rows of down are 0.
//
// The gradient with respect to x is this product of dy, with W, B and A packed transposed and all
// outputs in every segment; down is then what the gradient of A needs. Where the forward pass had
// dropout of x, the backward pass has dropout of the low-rank term, with the same seed and offset.
//
// For many rows, chunks of A that hold only zeros are skipped, even where x is infinite: where one
// layer stacks several adapters, most of what serves as A in the gradient is zeros.
#ifndef PRECIS_OPS_LORA_MATMUL_H_
#define PRECIS_OPS_LORA_MATMUL_H_

#include "ops/op.h"

namespace precis {

// Returns the product of rows [begin, end) alone; own: their adapters, or NULL for those of all.
// It is static, for it is compiled once for each instruction set.
static inline precis_lora_matmul_args lora_rows_product(const precis_lora_matmul_args& a,
                                                        int64_t begin, int64_t end,
                                                        const precis_lora_rows* own) {
  precis_lora_matmul_args of = a;
  of.row_adapters = nullptr;
  of.row_adapter_count = 0;
  precis_tensor* const tensors[] = {&of.x, &of.y, &of.lora_x, &of.down};
  for (precis_tensor* t : tensors) {
    if (t->data == nullptr) continue;
    t->data = static_cast<char*>(t->data) + begin * row_stride(*t) * element_bytes(t->dtype);
    t->row_stride = row_stride(*t);
    t->dims[0] = end - begin;
  }
  if (own == nullptr) return of;
  of.a = own->a;
  of.b = own->b;
  of.down = {};
  of.segment_count = own->segment_count;
  for (int i = 0; i < own->segment_count; i++) of.segments[i] = own->segments[i];
  return of;
}

// Calls f(begin, end, adapters) for the rows of each of row_adapters and, with NULL, for those
// before, between and behind them. f returns false to end early.
template <class F>
bool for_rows_of_adapters(const precis_lora_matmul_args& a, const F& f) {
  int64_t begin = 0;
  for (int32_t i = 0; i < a.row_adapter_count; i++) {
    const precis_lora_rows& r = a.row_adapters[i];
    if (begin < r.row_begin && !f(begin, r.row_begin, nullptr)) return false;
    if (r.row_begin < r.row_end && !f(r.row_begin, r.row_end, &r)) return false;
    begin = r.row_end;
  }
  return begin >= rows(a.x) || f(begin, rows(a.x), nullptr);
}

// w, a and b are the matrices that the packed ones were packed from. Does not know row_adapters.
void lora_matmul_ref(const precis_lora_matmul_args& args, const precis_matmul_pack_args& w,
                     const precis_matmul_pack_args& a, const precis_matmul_pack_args& b);

PRECIS_DECLARE_CPU_KERNEL(lora_matmul_cpu, precis_lora_matmul_args)

}  // namespace precis

#endif  // PRECIS_OPS_LORA_MATMUL_H_
