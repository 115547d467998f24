// The fused LoRA product y = alpha (x W' + sum_i (s_i z A') B' over segment i) (+ y), which matmul
// uses too, without adapters: its arguments, its kernels, and the epilogue that they share.
#ifndef PRECIS_CUDA_LORA_MATMUL_CUH_
#define PRECIS_CUDA_LORA_MATMUL_CUH_

#include "activation_functions.cuh"
#include "element_dropout.cuh"
#include "grid_constant.cuh"
#include "kernels.h"

namespace precis {

// Dropout and the term that it is applied to.
struct ProductDropout : ElementDropout {
  int32_t of;  // precis_lora_dropout
};

// A prologue: x is the RMS norm of these rows, in bfloat16, which the product writes to x as well.
struct ProductNorm {
  const float* rows;  // (M, K); nullptr: x is read
  int64_t stride;
  const float* weight;
  float epsilon;
};

// An epilogue: an activation of y, as native/src/ops/activation.h has it, beside y.
struct ProductActivation {
  AnyMatrix y;  // data nullptr: none
  int32_t kind;
  bool gated;
  bool drops;  // the activation
  ElementDropout mask;
};

// An epilogue: y is the gradient of an activation of x, and dx its gradient, as in
// native/src/ops/activation_backward.h.
struct ProductActivationBackward {
  AnyMatrix x;  // data nullptr: none
  AnyMatrix dx;
  int32_t kind;
  bool gated;
  bool drops;  // y, before that
  ElementDropout mask;
};

// Another epilogue: y, dropped, is added to a residual stream.
struct ProductSum {
  float* sum;  // (M, N); nullptr: none
  int64_t stride;
  const float* base;  // sum = base + dropout(y)
  int64_t base_stride;
  ElementDropout mask;
};

// The kernels' argument. Without adapters segment_count is 0 and a and b are empty.
struct Product {
  AnyMatrix x, z, y;
  float* down;
  int64_t down_stride;
  const void* w;
  const void* a;
  const void* b;
  int64_t w_stride, a_stride, b_stride;  // in elements
  int64_t w_rows, a_rows;                // padding included
  int64_t b_columns;                     // of a row of B, padding included
  int64_t rows, outputs, inputs;
  int ranks;
  int segment_count;
  precis_lora_segment segments[PRECIS_MAX_LORA_SEGMENTS];
  float alpha;
  bool accumulate;
  const float* base;  // with accumulate: what the product is added to, y or another matrix
  int64_t base_stride;
  bool separate_z;
  bool
      pairs;  // two neighbors of y and base, the first at an even column, are aligned for one access
  ProductDropout dropout;
  const float* t;  // x A' (rows, ranks) where lora_down has computed it; otherwise nullptr
  ProductNorm norm;
  ProductActivation activation;
  ProductSum residual;
  ProductActivationBackward activation_backward;
  bool step;              // the rows are those of a decoding step, see is_step_product
  size_t scratch_used;    // bytes at the start of the scratch memory
  const float* w_scales;  // of each output, where W is int8; otherwise nullptr
};

// Tells whether rows are bfloat16, aligned, and a multiple of eight long, so that they can be loaded
// as they lie in memory.
static inline bool is_direct(const AnyMatrix& x, int64_t inputs) {
  return x.bf16 && inputs % kEight == 0 && x.stride % kEight == 0 && is_aligned(x.data);
}

// Returns the output of a column of the tile that begins at n0, where a tile has the outputs of a
// gated activation's values and of their gates, of which there are `width` each, in turns of eight.
__device__ __forceinline__ int64_t gated_output(int64_t n0, int column, int64_t width) {
  return column / 8 % 2 * width + n0 / 2 + column / 16 * 8 + column % 8;
}

// Fills in the random words of the elements first and first + 16: usually two of one call's four.
__device__ __forceinline__ void dropout_words(uint64_t seed, uint64_t offset, uint64_t first,
                                              uint32_t (&word)[2]) {
  const Philox random = dropout_philox(seed, offset, first);
  const uint64_t i = first / 16 % 4;
  const uint32_t(&w)[4] = random.word;
  word[0] = i == 0 ? w[0] : i == 1 ? w[1] : i == 2 ? w[2] : w[3];
  word[1] = i == 0 ? w[1] : i == 1 ? w[2] : w[3];
  if (i == 3) word[1] = dropout_word(seed, offset, first + 16);
}

// The factor of a column of down: the scaling of the segment that has the rank.
__device__ __forceinline__ float scaling_of_rank(const Product& p, int rank) {
  for (int i = 0; i < p.segment_count; i++) {
    const precis_lora_segment& s = p.segments[i];
    if (rank >= s.rank_begin && rank < s.rank_end) return s.scaling;
  }
  return 0;
}

// Large, and called once for an element.
__device__ PRECIS_NOINLINE inline void add_dropped(const ProductSum& s, int64_t outputs, int64_t m,
                                                   int64_t n, float y) {
  s.sum[m * s.stride + n] = s.base[m * s.base_stride + n] + dropped(s.mask, m, n, outputs, y);
}

// Likewise: the gradient of the activation whose gradient y is.
__device__ PRECIS_NOINLINE inline void store_activation_gradient(const Product& p, int64_t m,
                                                                 int64_t n, float y) {
  const ProductActivationBackward& b = p.activation_backward;
  if (b.drops) {
    y = dropped(b.mask, m, n, p.outputs, y);
    if (p.y.bf16) y = round_to_bf16(y);
    p.y.set(m, n, y);
  }
  const SlopeAndValue act = activation_slope(b.kind, b.x.get(m, n));
  const float factor = b.gated ? b.x.get(m, p.outputs + n) : 1.0f;
  b.dx.set(m, n, y * (act.slope * factor));
  if (b.gated) b.dx.set(m, p.outputs + n, y * act.value);
}

__device__ __forceinline__ void store_result(const Product& p, int64_t m, int64_t n, float sum) {
  if (m >= p.rows || n >= p.outputs) return;
  const float y = (p.accumulate ? p.base[m * p.base_stride + n] : 0.0f) + p.alpha * sum;
  p.y.set(m, n, y);
  if (p.residual.sum != nullptr) {
    add_dropped(p.residual, p.outputs, m, n, p.y.bf16 ? round_to_bf16(y) : y);
  } else if (p.activation_backward.x.data != nullptr) {
    store_activation_gradient(p, m, n, p.y.bf16 ? round_to_bf16(y) : y);
  }
}

// Stores the sums of output n and, where the activation is gated, of its factor, and the activation.
__device__ __forceinline__ void store_activated(const Product& p, int64_t m, int64_t n, float sum,
                                                float factor_sum) {
  const ProductActivation& act = p.activation;
  const int64_t width = act.gated ? p.outputs / 2 : p.outputs;
  if (m >= p.rows || n >= width) return;
  const auto rounded = [&](float v) { return p.y.bf16 ? round_to_bf16(p.alpha * v) : p.alpha * v; };
  const float x = rounded(sum);
  p.y.set(m, n, x);
  float y = activate(act.kind, x);
  if (act.gated) {
    const float factor = rounded(factor_sum);
    p.y.set(m, width + n, factor);
    y *= factor;
  }
  if (act.drops) y = dropped(act.mask, m, n, width, act.y.bf16 ? round_to_bf16(y) : y);
  act.y.set(m, n, y);
}
// Stores the results of columns n, which is even, and n + 1.
__device__ __forceinline__ void store_results(const Product& p, int64_t m, int64_t n, float first,
                                              float second) {
  if (!p.pairs || n + 1 >= p.outputs || p.residual.sum != nullptr ||
      p.activation_backward.x.data != nullptr) {
    store_result(p, m, n, first);
    store_result(p, m, n + 1, second);
    return;
  }
  if (m >= p.rows) return;
  const int64_t at = m * p.y.stride + n;
  if (p.y.bf16) {  // never accumulated into
    *reinterpret_cast<uint32_t*>(static_cast<Bf16*>(p.y.data) + at) =
        pack_bf16(p.alpha * first, p.alpha * second);
    return;
  }
  uint2* y = reinterpret_cast<uint2*>(static_cast<float*>(p.y.data) + at);
  uint2 v = {0, 0};
  if (p.accumulate) v = *reinterpret_cast<const uint2*>(p.base + m * p.base_stride + n);
  v.x = __float_as_uint(__uint_as_float(v.x) + p.alpha * first);
  v.y = __float_as_uint(__uint_as_float(v.y) + p.alpha * second);
  *y = v;
}

// ------------------------------------------------------------------ epilogue, bfloat16

// From row to row of the scaled t and of B in shared memory, in elements.
PRECIS_HOST_DEVICE constexpr int rank_stride(int ranks) { return ranks + 8; }

// Tells whether the tile of y with the columns [n0, n0 + columns) overlaps a segment.
__device__ __forceinline__ bool overlaps(const precis_lora_segment& s, int64_t n0, int columns) {
  return s.output_end > n0 && s.output_begin < n0 + columns && s.rank_begin < s.rank_end;
}

// Loads the rows of B for the tile that begins at output n0 into shared memory, with zeros outside
// the segment. All threads of the block take part.
template <int kColumns, int kRanks>
__device__ __forceinline__ void load_up(const Product& p, const precis_lora_segment& s, int64_t n0,
                                        const Shared<Bf16>& bs) {
  constexpr int kPerRow = kRanks / kEight;
  for (int e = thread(); e < kColumns * kPerRow; e += static_cast<int>(blockDim.x)) {
    const int row = e / kPerRow, column = e % kPerRow * kEight;
    const int64_t n = n0 + row;
    const bool wanted = n >= s.output_begin && n < s.output_end && column < p.b_columns;
    float v[kEight];
    load8(static_cast<const Bf16*>(p.b) + (wanted ? n * p.b_stride + column : 0),
          wanted ? kEight : 0, v);
#pragma unroll
    for (int j = 0; j < kEight; j++) {
      // Zero rather than another adapter's element: 0 times NaN is NaN.
      if (column + j < s.rank_begin || column + j >= s.rank_end) v[j] = 0;
    }
    store8(bs.at(row * rank_stride(kRanks) + column, kEight), kEight, v);
  }
}

// Adds the segment's low-rank term to the warp's tiles sum(t, j) of y, which begin at row m0 and at
// column warp_n of the block's tile. a(t, k, f) fills in the operand for rows 16 t to 16 t + 15 and
// ranks k to k + 15 of the scaled t.
//
// kUnroll: the unroll factor of the loop over the ranks, which must be unrolled fully where a takes
// them from registers.
//
// Tiles are processed in pairs that are 16 columns apart, if there are enough of them, so that
// dropout needs one call of Philox for both.
template <int kTilesM, int kTilesN, int kRanks, int kUnroll, class A, class Sum>
__device__ __forceinline__ void add_segment(const Product& p, const precis_lora_segment& s,
                                            const Shared<Bf16>& bs, int64_t m0, int64_t n0,
                                            int warp_n, const A& a, const Sum& sum) {
  constexpr int kPairDistance = kTilesN % 4 == 0 ? 2 : 1;
  const bool drops = p.dropout.of == PRECIS_LORA_DROPOUT_LOW_RANK;
  const int lane = thread() % 32;
#pragma unroll
  for (int pair = 0; pair < kTilesN / 2; pair++) {
    const int first = kPairDistance == 2 ? pair / 2 * 4 + pair % 2 : 2 * pair;
    // The segment overlaps the tile, and covers the whole of it.
    bool touched[2], whole[2];
#pragma unroll
    for (int h = 0; h < 2; h++) {
      const int64_t n = n0 + warp_n + (first + h * kPairDistance) * 8;
      touched[h] = n < s.output_end && n + 8 > s.output_begin;
      whole[h] = n >= s.output_begin && n + 8 <= s.output_end;
    }
    if (!touched[0] && !touched[1]) continue;
    const bool separate = drops || !whole[0] || !whole[1];
#pragma unroll
    for (int t = 0; t < kTilesM; t++) {
      float part[2][4] = {};
#pragma unroll kUnroll
      for (int k = 0; k < kRanks; k += 16) {
        if (k + 16 <= s.rank_begin || k >= s.rank_end) continue;
        uint32_t f[4], b[4];
        a(t, k, f);
        load_b(bs, rank_stride(kRanks), warp_n + first * 8, k, b, 8 * kPairDistance);
#pragma unroll
        for (int h = 0; h < 2; h++) {
          if (separate) {
            mma_bf16(part[h], f, b[2 * h], b[2 * h + 1]);
          } else {
            mma_bf16(sum(t, first + h * kPairDistance), f, b[2 * h], b[2 * h + 1]);
          }
        }
      }
      if (!separate) continue;
#pragma unroll
      for (int e = 0; e < 4; e++) {
        const int64_t m = m0 + t * 16 + lane / 4 + e / 2 * 8;
        const int64_t n = n0 + warp_n + first * 8 + lane % 4 * 2 + e % 2;
        if (drops) {
          // Rows beyond the last get any mask.
          const DropoutRow row = dropout_row(p.dropout.rows, min(m, p.rows - 1), p.dropout.offset);
          const uint64_t index = dropout_index(row, n, p.outputs);
          uint32_t word[2];
          if constexpr (kPairDistance == 2) {
            dropout_words(p.dropout.seed, row.offset, index, word);
          } else {
            for (int h = 0; h < 2; h++) {
              word[h] =
                  dropout_word(p.dropout.seed, row.offset, index + 8 * static_cast<uint64_t>(h));
            }
          }
          for (int h = 0; h < 2; h++) part[h][e] = dropped(p.dropout, word[h], part[h][e]);
        }
#pragma unroll
        for (int h = 0; h < 2; h++) {
          // Outputs outside the segment get nothing, not even NaN times 0.
          const int64_t output = n + h * kPairDistance * 8;
          if (output >= s.output_begin && output < s.output_end) {
            sum(t, first + h * kPairDistance)[e] += part[h][e];
          }
        }
      }
    }
  }
}

// ------------------------------------------------------------------ the kernels

// The most rows that use the tiles for few rows: as many as a decode step usually has.
constexpr int64_t kFewRows = 32;

// The most rows of a product that takes a norm or an activation along: a decode step's. With more,
// every block of a row would normalize it again, which costs more than a launch.
constexpr int64_t kMaxFusedRows = 128;

// Tells whether a product of bfloat16 weights takes its norm and its activation along. There is one
// kernel for all of them, whose tiles have few rows: not worth it where W is read too often.
bool can_fuse(const CudaContext& context, const Product& p);
// Tells whether the down-projection is a launch of its own, which takes a norm of any rows along.
static inline bool normalizes_down(const Product& p, int32_t dtype) {
  return dtype == PRECIS_BFLOAT16 && p.dropout.of == PRECIS_LORA_DROPOUT_X && p.t == nullptr &&
         p.x.bf16;
}

// The product's arguments without adapters.
Product plain_product(const precis_tensor& x, const precis_packed_matrix& w, const precis_tensor& y,
                      float alpha, int32_t accumulate, int32_t step);
// Returns the type of the adapters of a weight.
static inline int32_t adapter_type(int32_t dtype) {
  return dtype == PRECIS_INT8 ? static_cast<int32_t>(PRECIS_BFLOAT16) : dtype;
}
// Returns the product's arguments with the adapters of all rows.
Product lora_product(const precis_lora_matmul_args& l);
// Has the product added to the rows of another matrix than y.
void add_to(Product& p, const precis_tensor& base);
// Multiplies the int8 weights of a product by their scales and rounds them to bfloat16, in rows as far
// apart.
cudaError_t matmul_widen(CudaContext& context, const Product& p, void* to);
// Runs the kernel that suits the weights' type and the GPU, or several where adapters have more ranks
// than one takes.
cudaError_t run_product(CudaContext& context, const Product& p, int32_t dtype);

cudaError_t lora_matmul_float(CudaContext& context, const Product& p);
cudaError_t lora_matmul_mma(CudaContext& context, const Product& p);
// Computes a product with its norm, its activation, or both.
cudaError_t fused_product(CudaContext& context, const Product& p);

// Tells whether a product is computed by the kernel for decoding steps (step_product.cu), whose sums
// have other bits than those of the other kernels. It depends on no number of rows.
bool is_step_product(const CudaContext& context, const Product& p, int32_t dtype);
// Tells whether that kernel takes the norm of x along, an activation, or attention.
bool step_takes_norm(const CudaContext& context, const Product& p);
bool step_takes_activation(const CudaContext& context, const Product& p);
bool step_takes_attention(const CudaContext& context, const Product& p);
// Computes a product of a step, with its norm, its activation, or both.
cudaError_t step_product(CudaContext& context, const Product& p);
// Computes the queries y of a step, with their norm if there is one, and their attention, whose heads
// are at most kMaxFusedHead wide and which appends nothing to its bfloat16 cache.
constexpr int kMaxFusedHead = 64;
cudaError_t step_attention(CudaContext& context, const Product& p,
                           const precis_attention_decode_args& a);
// Computes t = dropout(x) A' (rows, ranks), without the scaling.
cudaError_t lora_down(CudaContext& context, const Product& p, float* t);

// The bfloat16 product by wgmma and TMA, on sm_90a. It does nothing and sets *done to false where
// TMA cannot copy the rows of x or z.
cudaError_t lora_matmul_wgmma(CudaContext& context, const Product& p, bool* done);
// Tells whether lora_matmul_wgmma takes the activation of a product along.
static inline bool wgmma_activates(const CudaContext& context, const Product& p, bool gated) {
  return (context.wgmma == Wgmma::kManyRows || context.wgmma == Wgmma::kAlways) &&
         p.rows > kFewRows && p.ranks == 0 && gated && p.x.bf16 && p.y.bf16 && !p.accumulate &&
         p.norm.rows == nullptr && p.w_scales == nullptr && !p.step;
}

}  // namespace precis

#endif  // PRECIS_CUDA_LORA_MATMUL_CUH_
