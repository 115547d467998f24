// The logits of a block of rows and their sums by tile; logit_rows.cuh describes both.
#include "elements.cuh"
#include "logit_rows.cuh"
#include "logit_tiles.cuh"

namespace precis {
namespace {

struct Gather {
  LogitPlan p;
  AnyMatrix from, to;

  static constexpr int kAhead = 4;
  using Held = AnyEight;
  __device__ __forceinline__ Held load(int64_t r, int64_t n, int count) const {
    const bool exists = r < p.counted_rows();
    return from.raw(exists ? p.index[p.first + r] : 0, n,
                    exists ? min(up_to_eight(p.width - n), count) : 0);
  }
  __device__ __forceinline__ void operator()(int64_t r, int64_t n, int count,
                                             const Held& held) const {
    if (r >= p.counted_rows()) return;
    float v[kEight];
    held.convert(v);
    to.save(r, n, count, v);
  }
};

struct LogitProduct {
  LogitPlan plan;
  const void* w;
  int64_t w_stride, w_rows;
  float scale;
  bool linear;
  TileSums to;
  float* logits;  // nullptr: not stored
  const float*
      reference;  // the reference's logits; nullptr without one, and for the reference itself
  bool is_reference;
};

// Reduces each of the thread's rows over all columns of the tile. All threads of a row get the
// result.
template <class Tile, class Op>
__device__ __forceinline__ void reduce_rows(float (&v)[Tile::kThreadRows],
                                            const Shared<float>& exchange, const Op& op) {
#pragma unroll
  for (int i = 0; i < Tile::kThreadRows; i++) {
#pragma unroll
    for (int d = Tile::kLanes / 2; d > 0; d /= 2) {
      v[i] = op(v[i], __shfl_xor_sync(kAllLanes, v[i], d));
    }
  }
  if constexpr (Tile::kWarpsN > 1) {
    const int warp_n = thread() / 32 % Tile::kWarpsN;
    if (thread() % Tile::kLanes == 0) {
#pragma unroll
      for (int i = 0; i < Tile::kThreadRows; i++) {
        exchange[warp_n * Tile::kRows + Tile::row(i)] = v[i];
      }
    }
    __syncthreads();
#pragma unroll
    for (int i = 0; i < Tile::kThreadRows; i++) {
      v[i] = exchange[Tile::row(i)];
#pragma unroll
      for (int w = 1; w < Tile::kWarpsN; w++) {
        v[i] = op(v[i], exchange[w * Tile::kRows + Tile::row(i)]);
      }
    }
    __syncthreads();
  }
}

// Blocks of the same columns of w are adjacent in launch order, so w is read from memory once.
template <class Tile, bool kReference>
__global__ void __launch_bounds__(Tile::kThreads, 2) logits_kernel(LogitProduct p) {
  using T = typename Tile::Element;
  PRECIS_SHARED(float, exchange, Tile::kWarpsN* Tile::kRows);
  const LogitPlan& plan = p.plan;
  const int64_t r0 = int64_t{blockIdx.x} * Tile::kRows, n0 = int64_t{blockIdx.y} * Tile::kColumns;
  const int64_t rows = plan.counted_rows();
  if (r0 >= rows) return;
  Tile tile;
  const Operand<T> x = {static_cast<const T*>(plan.x), plan.x_stride, rows, plan.x_stride};
  const Operand<T> w = {static_cast<const T*>(p.w), p.w_stride, p.w_rows, p.w_stride};
  tile.template multiply<false>(x, w, r0, n0, 0, plan.x_stride);

  constexpr int kRows = Tile::kThreadRows, kColumns = Tile::kThreadColumns;
  const int columns = static_cast<int>(min(plan.tokens - n0, int64_t{Tile::kColumns}));
  auto inside = [&](int j) { return Tile::column(j) < columns; };
  // The reference's logit; 0 for rows outside the block.
  auto other = [&](int i, int j) {
    const int64_t r = r0 + Tile::row(i);
    return r < rows ? p.reference[r * plan.logits_stride + n0 + Tile::column(j)] : 0.0f;
  };
  float largest[kRows], other_largest[kRows];
#pragma unroll
  for (int i = 0; i < kRows; i++) {
    largest[i] = -INFINITY;
    const int64_t r = r0 + Tile::row(i);
    const int64_t label =
        p.is_reference || r >= rows ? -1 : plan.labels[plan.index[plan.first + r]] - n0;
#pragma unroll
    for (int j = 0; j < kColumns; j++) {
      float& z = tile.at(i, j);
      z = rounded_product(z, p.scale);
      if (inside(j)) largest[i] = Largest()(largest[i], z);
      if (Tile::column(j) == label) plan.of_label[r] = z;
    }
    if (p.logits == nullptr || r >= rows) continue;
    float* to = p.logits + r * plan.logits_stride + n0;
#pragma unroll
    for (int j = 0; j < kColumns; j += 2) {
      store2(to + Tile::column(j), tile.at(i, j), tile.at(i, j + 1));
    }
  }
  reduce_rows<Tile>(largest, exchange, Largest());
  if constexpr (kReference) {
#pragma unroll
    for (int i = 0; i < kRows; i++) {
      other_largest[i] = -INFINITY;
#pragma unroll
      for (int j = 0; j < kColumns; j++) {
        if (inside(j)) other_largest[i] = Largest()(other_largest[i], other(i, j));
      }
    }
    reduce_rows<Tile>(other_largest, exchange, Largest());
  }
  float sums[kRows], terms[kRows], differences[kRows];
#pragma unroll
  for (int i = 0; i < kRows; i++) {
    sums[i] = terms[i] = differences[i] = 0;
#pragma unroll
    for (int j = 0; j < kColumns; j++) {
      if (!inside(j)) continue;
      const float d = tile.at(i, j) - largest[i], e = expf(d);
      sums[i] = rounded_sum(sums[i], e);
      terms[i] = p.linear ? rounded_sum(terms[i], d) : fmaf(d, e, terms[i]);
      if constexpr (kReference) {
        differences[i] = fmaf(e, d - (other(i, j) - other_largest[i]), differences[i]);
      }
    }
  }
  reduce_rows<Tile>(sums, exchange, Sum());
  reduce_rows<Tile>(terms, exchange, Sum());
  if constexpr (kReference) reduce_rows<Tile>(differences, exchange, Sum());
  if (thread() % Tile::kLanes != 0 || thread() / 32 % Tile::kWarpsN != 0) return;
#pragma unroll
  for (int i = 0; i < kRows; i++) {
    const int64_t r = r0 + Tile::row(i), at = r * p.to.tiles + blockIdx.y;
    if (r >= rows) continue;
    p.to.largest[at] = largest[i];
    p.to.sums[at] = sums[i];
    p.to.terms[at] = terms[i];
    if constexpr (kReference) {
      p.to.reference_largest[at] = other_largest[i];
      p.to.differences[at] = differences[i];
    }
  }
}

template <class Tile>
cudaError_t multiply_tiles(CudaContext& context, const LogitProduct& p) {
  const dim3 grid(static_cast<uint32_t>(ceil_div(p.plan.block_rows, Tile::kRows)),
                  static_cast<uint32_t>(p.to.tiles));
  const auto kernel =
      p.reference == nullptr ? logits_kernel<Tile, false> : logits_kernel<Tile, true>;
  return launch("logits", kernel, grid, Tile::kThreads, Tile::kSharedBytes, context.stream, p);
}

cudaError_t gather_and_multiply(CudaContext& context, const LogitPlan& plan, const precis_tensor& x,
                                const precis_packed_matrix& w, LogitProduct p) {
  const bool bf16 = w.dtype == PRECIS_BFLOAT16;
  const CudaPackedLayout layout = cuda_packed_layout(w.outputs, w.inputs, w.dtype);
  const Gather gather = {plan, any_matrix(x), {plan.x, plan.x_stride, bf16}};
  PRECIS_RETURN_IF_ERROR(
      for_elements("logits, gather", context.stream, plan.block_rows, plan.x_stride, gather));
  p.plan = plan;
  p.w = w.data;
  p.w_stride = layout.stride;
  p.w_rows = layout.rows;
  if (!bf16) return multiply_tiles<FmaTile>(context, p);
  return plan.block_rows <= kFewLogitRows ? multiply_tiles<FewRows>(context, p)
                                          : multiply_tiles<ManyRows>(context, p);
}

}  // namespace

cudaError_t multiply_logit_rows(CudaContext& context, const LogitRows& a, const LogitPlan& plan) {
  LogitProduct p = {};
  p.scale = a.scale;
  p.linear = a.linear;
  if (a.reference_x.data != nullptr) {
    p.to = plan.reference;
    p.logits = plan.reference_logits;
    p.is_reference = true;
    p.scale = a.reference_scale;
    LogitPlan of_reference = plan;
    of_reference.width = plan.reference_width;
    of_reference.x_stride = plan.reference_stride;
    PRECIS_RETURN_IF_ERROR(
        gather_and_multiply(context, of_reference, a.reference_x, a.reference_w, p));
    p.scale = a.scale;
    p.reference = a.reads_logits ? nullptr : plan.reference_logits;
    p.is_reference = false;
  }
  p.to = plan.policy;
  p.logits = plan.logits;
  return gather_and_multiply(context, plan, a.x, a.w, p);
}

}  // namespace precis
