// y = alpha (x W' + sum_i (s_i z A') B' over segment i) (+ y)          native/src/ops/lora_matmul.h
//
// One fused kernel reads x once and writes y once. This file chooses which: lora_matmul_wgmma.cu on
// Hopper, lora_matmul_mma.cu on every GPU since sm_80, lora_matmul_float.cu for float32 weights, and
// step_product.cu for the rows of a decoding step.
//
// The bfloat16 kernels take kMaxLoraRanks ranks. Adapters that have more are computed in chunks of so
// many. The low-rank terms of all chunks but the first go into a float32 matrix before the product,
// which the product of x W' and the first chunk is then added to. In that order because y may be
// bfloat16, and is rounded once as on the CPU; and because what follows y (a residual sum, an
// activation's gradient) needs all of it and stays in the last kernel's epilogue. A chunk of the
// former costs two launches: t = z A' is a product of its own, and the kernel for a t that is given
// adds its term without any steps along K. Every sum runs in an order that does not depend on the
// number of rows.
#include "lora_matmul.cuh"
#include "ops/lora_matmul.h"

namespace precis {

Product plain_product(const precis_tensor& x, const precis_packed_matrix& w, const precis_tensor& y,
                      float alpha, int32_t accumulate, int32_t step) {
  Product p = {};
  const CudaPackedLayout layout = cuda_packed_layout(w.outputs, w.inputs, w.dtype);
  p.x = any_matrix(x);
  p.y = any_matrix(y);
  p.w = w.data;
  p.w_stride = layout.stride;
  p.w_rows = layout.rows;
  p.rows = rows(x);
  p.outputs = w.outputs;
  p.inputs = w.inputs;
  p.alpha = alpha;
  p.accumulate = accumulate != 0;
  p.step = step != 0;
  if (w.dtype == PRECIS_INT8) {
    p.w_scales = reinterpret_cast<const float*>(static_cast<const char*>(w.data) + layout.scales);
  }
  p.base = static_cast<const float*>(y.data);
  p.base_stride = p.y.stride;
  p.pairs = p.y.stride % 2 == 0 && reinterpret_cast<uintptr_t>(y.data) % (p.y.bf16 ? 4 : 8) == 0;
  return p;
}

void add_to(Product& p, const precis_tensor& base) {
  p.base = static_cast<const float*>(base.data);
  p.base_stride = row_stride(base);
  p.pairs = p.pairs && p.base_stride % 2 == 0 && reinterpret_cast<uintptr_t>(base.data) % 8 == 0;
}

namespace {

// Returns the product with the adapters' ranks [begin, begin + count) alone.
Product chunk_of(const Product& p, int begin, int count) {
  Product c = p;
  c.ranks = count;
  c.a = static_cast<const Bf16*>(p.a) + begin * p.a_stride;
  c.a_rows = p.a_rows - begin;
  c.b = static_cast<const Bf16*>(p.b) + begin;
  c.b_columns = p.b_columns - begin;
  if (p.down != nullptr) c.down = p.down + begin;
  c.segment_count = 0;
  for (int i = 0; i < p.segment_count; i++) {
    precis_lora_segment s = p.segments[i];
    s.rank_begin = s.rank_begin < begin ? 0 : s.rank_begin - begin;
    s.rank_end = min(s.rank_end - begin, int64_t{count});
    if (s.rank_begin < s.rank_end) c.segments[c.segment_count++] = s;
  }
  return c;
}

// Returns t = z A', float32, as a product without adapters.
Product down_product(const Product& p, float* t) {
  Product d = {};
  d.x = p.separate_z ? p.z : p.x;
  d.y = {t, p.ranks, false};
  d.w = p.a;
  d.w_stride = p.a_stride;
  d.w_rows = p.a_rows;
  d.rows = p.rows;
  d.outputs = p.ranks;
  d.inputs = p.inputs;
  d.alpha = 1;
  d.base = t;
  d.base_stride = p.ranks;
  d.pairs = p.ranks % 2 == 0;
  return d;
}

// Returns the low-rank term alone, which is added to sum or, if it is the first, to what the product is
// added to.
Product low_rank_product(const Product& p, const AnyMatrix& sum, bool first) {
  Product low = p;
  low.inputs = 0;  // nothing of x W'
  low.separate_z = false;
  low.y = sum;
  low.residual = {};
  low.activation_backward = {};
  if (!first) {
    low.accumulate = true;
    low.base = static_cast<const float*>(sum.data);
    low.base_stride = sum.stride;
  }
  const bool aligned = reinterpret_cast<uintptr_t>(low.y.data) % 8 == 0 &&
                       reinterpret_cast<uintptr_t>(low.base) % 8 == 0;
  low.pairs = aligned && low.y.stride % 2 == 0 && low.base_stride % 2 == 0;
  return low;
}

// The elements from row to row of the float32 sums of a product in chunks: an even number.
int64_t sum_stride(const Product& p) { return (p.outputs + 1) / 2 * 2; }

// The float32 elements that a product takes in scratch memory: sums and t of chunks, or t.
int64_t scratch_elements(const Product& p) {
  if (p.ranks > kMaxLoraRanks) {
    return (p.y.bf16 ? p.rows * sum_stride(p) : 0) + p.rows * kMaxLoraRanks;
  }
  return p.dropout.of == PRECIS_LORA_DROPOUT_X && p.t == nullptr ? p.rows * p.ranks : 0;
}

cudaError_t reserve_scratch(CudaContext& context, const Product& p, float** start) {
  void* memory = nullptr;
  const size_t bytes = static_cast<size_t>(scratch_elements(p)) * sizeof(float);
  PRECIS_RETURN_IF_ERROR(context.scratch.reserve(p.scratch_used + bytes, &memory));
  *start = reinterpret_cast<float*>(static_cast<char*>(memory) + p.scratch_used);
  return cudaSuccess;
}

// A product of int8 weights outside of a decoding step: of many rows, beside which widening W to
// bfloat16 costs little.
cudaError_t run_widened(CudaContext& context, const Product& p) {
  Product wide = p;
  wide.w_scales = nullptr;
  wide.scratch_used = round_up(static_cast<size_t>(p.w_rows * p.w_stride) * sizeof(Bf16), 256);
  float* behind = nullptr;  // all of the scratch memory, which must not move meanwhile
  PRECIS_RETURN_IF_ERROR(reserve_scratch(context, wide, &behind));
  void* const memory = reinterpret_cast<char*>(behind) - wide.scratch_used;
  PRECIS_RETURN_IF_ERROR(matmul_widen(context, p, memory));
  wide.w = memory;
  return run_product(context, wide, PRECIS_BFLOAT16);
}

// A product whose adapters have more ranks than a kernel takes.
cudaError_t run_chunks(CudaContext& context, const Product& all, int32_t dtype) {
  constexpr int kMost = static_cast<int>(kMaxLoraRanks);
  const bool drops_x = all.dropout.of == PRECIS_LORA_DROPOUT_X;
  // The terms are added up in y if that is float32.
  const int64_t stride = sum_stride(all);
  float* memory = nullptr;
  PRECIS_RETURN_IF_ERROR(reserve_scratch(context, all, &memory));
  float* const t = memory + (all.y.bf16 ? all.rows * stride : 0);
  const AnyMatrix sum = all.y.bf16 ? AnyMatrix{memory, stride, false} : all.y;
  Product p = all;
  // Computes t of a chunk.
  auto go_down = [&](const Product& chunk) {
    if (!drops_x) return run_product(context, down_product(chunk, t), dtype);
    const cudaError_t error = lora_down(context, chunk, t);
    p.norm = {};  // the first has written the normalized rows to x
    return error;
  };
  for (int begin = kMost; begin < p.ranks; begin += kMost) {
    Product chunk = chunk_of(p, begin, min(kMost, p.ranks - begin));
    PRECIS_RETURN_IF_ERROR(go_down(chunk));
    chunk.t = t;
    chunk.norm = {};
    PRECIS_RETURN_IF_ERROR(lora_matmul_mma(context, low_rank_product(chunk, sum, begin == kMost)));
  }
  Product last = chunk_of(p, 0, kMost);
  if (drops_x) {
    PRECIS_RETURN_IF_ERROR(go_down(last));
    last.t = t;
    last.norm = {};
  }
  last.accumulate = true;
  last.base = static_cast<const float*>(sum.data);
  last.base_stride = sum.stride;
  // A pair of bfloat16 results is stored without adding anything.
  last.pairs = last.pairs && !last.y.bf16;
  return run_product(context, last, dtype);
}

}  // namespace

cudaError_t run_product(CudaContext& context, const Product& p, int32_t dtype) {
  if (p.rows == 0) return cudaSuccess;
  constexpr int64_t kMinTileRows = 64;  // for more than kFewRows
  if (ceil_div(p.rows, kMinTileRows) > kMaxGridY) return cudaErrorInvalidValue;
  if (dtype == PRECIS_FLOAT32) return lora_matmul_float(context, p);
  if (dtype == PRECIS_INT8) {
    return is_step_product(context, p, dtype) ? step_product(context, p) : run_widened(context, p);
  }
  if (dtype != PRECIS_BFLOAT16) return cudaErrorInvalidValue;
  if (p.ranks > kMaxLoraRanks) return run_chunks(context, p, dtype);
  if (is_step_product(context, p, dtype)) return step_product(context, p);
  if (p.dropout.of == PRECIS_LORA_DROPOUT_X && p.t == nullptr) {
    float* t = nullptr;
    PRECIS_RETURN_IF_ERROR(reserve_scratch(context, p, &t));
    Product with_t = p;
    with_t.t = t;
    with_t.norm = {};  // lora_down normalizes x
    PRECIS_RETURN_IF_ERROR(lora_down(context, p, t));
    return run_product(context, with_t, dtype);
  }
  if (context.wgmma != Wgmma::kOff && (p.rows > kFewRows || context.wgmma != Wgmma::kManyRows)) {
    bool done = false;
    PRECIS_RETURN_IF_ERROR(lora_matmul_wgmma(context, p, &done));
    if (done) return cudaSuccess;
  }
  return lora_matmul_mma(context, p);
}

// Rows that have adapters of their own have no low-rank term in down.
static cudaError_t zero_down(CudaContext& context, const precis_tensor& down, int64_t begin,
                             int64_t end) {
  const size_t pitch = static_cast<size_t>(row_stride(down)) * sizeof(float);
  return fill_with_zeros(context, row<float>(down, begin), pitch,
                         static_cast<size_t>(columns(down)) * sizeof(float),
                         static_cast<size_t>(end - begin));
}

Product lora_product(const precis_lora_matmul_args& l) {
  Product p = plain_product(l.x, l.w, l.y, l.alpha, l.accumulate, l.step);
  const CudaPackedLayout a = cuda_packed_layout(l.a.outputs, l.a.inputs, l.a.dtype);
  const CudaPackedLayout b = cuda_packed_layout(l.b.outputs, l.b.inputs, l.b.dtype);
  p.separate_z = l.lora_x.data != nullptr;
  p.z = any_matrix(l.lora_x);
  p.down = static_cast<float*>(l.down.data);
  p.down_stride = row_stride(l.down);
  p.a = l.a.data;
  p.a_stride = a.stride;
  p.a_rows = a.rows;
  p.b = l.b.data;
  p.b_stride = b.stride;
  p.b_columns = b.stride;
  p.ranks = static_cast<int>(l.a.outputs);
  p.segment_count = l.segment_count;
  for (int i = 0; i < l.segment_count; i++) p.segments[i] = l.segments[i];
  if (l.dropout > 0 && p.ranks > 0) {
    p.dropout = {element_dropout(l.dropout, l.seed, l.offset, l.dropout_rows), l.dropout_of};
  }
  return p;
}

cudaError_t lora_matmul_cuda(CudaContext& context, const precis_lora_matmul_args& l) {
  if (l.row_adapter_count > 0) {
    cudaError_t error = cudaSuccess;
    for_rows_of_adapters(l, [&](int64_t begin, int64_t end, const precis_lora_rows* own) {
      error = lora_matmul_cuda(context, lora_rows_product(l, begin, end, own));
      if (error == cudaSuccess && own != nullptr && l.down.data != nullptr) {
        error = zero_down(context, l.down, begin, end);
      }
      return error == cudaSuccess;
    });
    return error;
  }
  // Adapters of another type are not worth a kernel of their own; those of int8 weights are bfloat16.
  if (l.a.dtype != adapter_type(l.w.dtype) || l.b.dtype != l.a.dtype) return cudaErrorInvalidValue;
  return run_product(context, lora_product(l), l.w.dtype);
}

}  // namespace precis
