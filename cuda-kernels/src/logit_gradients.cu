// dx and dw from the gradients of a block of logits; logit_rows.cuh describes both.
#include "elements.cuh"
#include "logit_rows.cuh"
#include "logit_tiles.cuh"

namespace precis {
namespace {

template <class T>
__device__ __forceinline__ Operand<T> logit_gradients(const LogitPlan& p) {
  const int64_t stride = p.logits_stride * static_cast<int64_t>(sizeof(float) / sizeof(T));
  return {reinterpret_cast<const T*>(p.logits), stride, p.counted_rows(), p.logits_stride};
}

// Computes g w over one segment of the vocabulary. Blocks of the same segment are adjacent in
// launch order.
template <class Tile>
__global__ void __launch_bounds__(Tile::kThreads, 2)
    logit_dx_kernel(LogitPlan p, const void* w_transposed, int64_t w_stride, int64_t w_rows) {
  using T = typename Tile::Element;
  const int64_t r0 = int64_t{blockIdx.x} * Tile::kRows, d0 = int64_t{blockIdx.y} * Tile::kColumns;
  const Operand<T> g = logit_gradients<T>(p);
  if (r0 >= g.rows) return;
  const Operand<T> w = {static_cast<const T*>(w_transposed), w_stride, w_rows, w_stride};
  const int64_t k0 = blockIdx.z * p.segment_tokens;
  const int64_t k1 = min(k0 + p.segment_tokens, w_stride);
  Tile tile;
  tile.template multiply<false>(g, w, r0, d0, k0, k1);
#pragma unroll
  for (int i = 0; i < Tile::kThreadRows; i++) {
    const int64_t r = r0 + Tile::row(i);
    if (r >= g.rows) continue;
    float* to = p.dx_sums + (blockIdx.z * p.block_rows + r) * p.dx_stride + d0;
#pragma unroll
    for (int j = 0; j < Tile::kThreadColumns; j += 2) {
      store2(to + Tile::column(j), tile.at(i, j), tile.at(i, j + 1));
    }
  }
}

struct AddSegments {
  LogitPlan p;
  Matrix<float> dx;
  float factor;

  __device__ void operator()(int64_t r, int64_t n, int count) const {
    if (r >= p.counted_rows()) return;
    float total[kEight] = {};
    for_eights<2>(
        int64_t{0}, p.segments * kEight, int64_t{kEight},
        [&](int64_t s, int count) {
          RawEight<float> held;
          held.load(p.dx_sums + (s / kEight * p.block_rows + r) * p.dx_stride + n, count);
          return held;
        },
        [&](int64_t, int, const RawEight<float>& held) {
          float v[kEight];
          held.convert(v);
#pragma unroll
          for (int i = 0; i < kEight; i++) total[i] += v[i];
        });
#pragma unroll
    for (int i = 0; i < kEight; i++) total[i] *= factor;
    store8(dx.row(p.index[p.first + r]) + n, count, total);
  }
};

template <class Tile>
__global__ void __launch_bounds__(Tile::kThreads, 2)
    logit_dw_kernel(LogitPlan p, Matrix<float> dw, float factor) {
  using T = typename Tile::Element;
  const int64_t d0 = int64_t{blockIdx.x} * Tile::kColumns, v0 = int64_t{blockIdx.y} * Tile::kRows;
  const Operand<T> g = logit_gradients<T>(p);
  if (g.rows == 0) return;
  const Operand<T> x = {static_cast<const T*>(p.x), p.x_stride, g.rows, p.x_stride};
  Tile tile;
  tile.template multiply<true>(g, x, v0, d0, 0, g.rows);
#pragma unroll
  for (int i = 0; i < Tile::kThreadRows; i++) {
    const int64_t v = v0 + Tile::row(i);
    if (v >= p.tokens) continue;
#pragma unroll
    for (int j = 0; j < Tile::kThreadColumns; j++) {
      const int64_t d = d0 + Tile::column(j);
      if (d < p.width) dw.row(v)[d] = fmaf(factor, tile.at(i, j), dw.row(v)[d]);
    }
  }
}

template <class Tile>
cudaError_t dx_tiles(CudaContext& context, const LogitRows& a, const LogitPlan& p) {
  const CudaPackedLayout layout =
      cuda_packed_layout(a.w_transposed.outputs, a.w_transposed.inputs, a.w_transposed.dtype);
  const dim3 grid(static_cast<uint32_t>(ceil_div(p.block_rows, Tile::kRows)),
                  static_cast<uint32_t>(ceil_div(p.width, Tile::kColumns)),
                  static_cast<uint32_t>(p.segments));
  return launch("logits, dx", logit_dx_kernel<Tile>, grid, Tile::kThreads, Tile::kSharedBytes,
                context.stream, p, a.w_transposed.data, layout.stride, layout.rows);
}

template <class Tile>
cudaError_t dw_tiles(CudaContext& context, const LogitRows& a, const LogitPlan& p) {
  const dim3 grid(static_cast<uint32_t>(ceil_div(p.width, Tile::kColumns)),
                  static_cast<uint32_t>(ceil_div(p.tokens, Tile::kRows)));
  return launch("logits, dw", logit_dw_kernel<Tile>, grid, Tile::kThreads, Tile::kSharedBytes,
                context.stream, p, matrix<float>(a.dw), a.grad_scale * a.scale);
}

}  // namespace

cudaError_t add_logit_gradients(CudaContext& context, const LogitRows& a, const LogitPlan& plan) {
  if (a.dx.data != nullptr) {
    PRECIS_RETURN_IF_ERROR(!plan.bf16 ? dx_tiles<FmaTile>(context, a, plan)
                           : plan.block_rows <= kFewLogitRows
                               ? dx_tiles<FewRows>(context, a, plan)
                               : dx_tiles<ManyRows>(context, a, plan));
    const AddSegments add = {plan, matrix<float>(a.dx), a.grad_scale * a.scale};
    PRECIS_RETURN_IF_ERROR(
        for_elements("logits, dx sums", context.stream, plan.block_rows, plan.width, add));
  }
  if (a.dw.data == nullptr) return cudaSuccess;
  return plan.bf16 ? dw_tiles<ManyRows>(context, a, plan) : dw_tiles<FmaTile>(context, a, plan);
}

}  // namespace precis
