// dw[n, k] = alpha sum_m dy[m, n] x[m, k] (+ dw[n, k])             native/src/ops/weight_gradient.h
//
// Designed for the gradients of LoRA's factors: N or K is small and there are many rows. So the
// rows are split into stripes whose length depends on M alone, a block has a tile of 64 x 64 of one
// stripe's sum, and the last of a tile's blocks to finish adds the stripes in order: deterministic,
// and independent of the number of multiprocessors.
//
// One launch computes the gradients of several weights that have the same rows, such as A and B of
// all adapters of a layer. x may be an x before dropout, which is then dropped on its way to shared
// memory, and written by the first of the gradients that reads it.
//
// bfloat16: tensor cores of sm_80 and later. Both operands have the layout of global memory in
// shared memory, rows of m, and are transposed while they are loaded into fragments. float32: plain
// fused multiply-adds, 4 x 4 results a thread.
//
// Not tried yet: larger tiles for full fine-tuning, where neither N nor K is small; copies that
// overlap with the computation of a step.
#include "grid_constant.cuh"
#include "last_block.cuh"
#include "ops/weight_gradient.h"
#include "weight_gradient.cuh"

namespace precis {
namespace {

constexpr int kTile = static_cast<int>(kGradientTile);
constexpr int kDepth = 32;  // rows of m in a step
constexpr int kThreads = 256;
constexpr int64_t kStripe = 512;
constexpr int64_t kMaxStripes = 64;

struct Gradient {
  AnyMatrix dy, x;
  AnyMatrix dropped_x;  // written if it has data and writes_dropped is set
  ElementDropout dropout;
  bool drops, writes_dropped, accumulate;
  float alpha;
  float* dw;
  int64_t dw_stride;
  float* sums;  // (stripes, N, K)
  int64_t outputs, inputs;
  int first_tile;
};

struct Arguments {
  Gradient gradients[kMostGradients];
  int count;
  int64_t rows, stripe_rows, stripes;
  uint32_t* finished;  // for each tile, how many of its blocks have finished; 0 between launches
};

// The part of a block: a tile of one gradient, and a stripe of its rows.
struct Part {
  const Gradient& of;
  int64_t n0, k0, begin, end;
};
__device__ __forceinline__ Part part_of_block(const Arguments& a) {
  const int tile = static_cast<int>(blockIdx.x);
  int i = 0;
  while (i + 1 < a.count && tile >= a.gradients[i + 1].first_tile) i++;
  const Gradient& g = a.gradients[i];
  const int64_t across = (g.inputs + kTile - 1) / kTile, mine = tile - g.first_tile;
  const int64_t begin = int64_t{blockIdx.y} * a.stripe_rows;
  return {g, mine / across * kTile, mine % across * kTile, begin,
          min(begin + a.stripe_rows, a.rows)};
}

// A thread's eight elements of dy and of x of a step, on their way.
struct HeldStep {
  AnyEight dy, x;
};
constexpr int kEights = kTile / kEight;
static_assert(kDepth * kEights == kThreads);
__device__ __forceinline__ int step_row() { return thread() / kEights; }
__device__ __forceinline__ int step_column() { return thread() % kEights * kEight; }
// The number of columns that the thread has in row m of a matrix, from column0 on.
__device__ __forceinline__ int step_count(const Part& p, int64_t m, int64_t column0,
                                          int64_t columns) {
  return up_to_eight(m < p.end ? columns - column0 - step_column() : 0);
}
__device__ __forceinline__ HeldStep load_step(const Part& p, int64_t m0) {
  const Gradient& g = p.of;
  const int64_t m = m0 + step_row();
  return {g.dy.raw(m, p.n0 + step_column(), step_count(p, m, p.n0, g.outputs)),
          g.x.raw(m, p.k0 + step_column(), step_count(p, m, p.k0, g.inputs))};
}

// Converts a step to T and stores it, with zeros outside: dy, and x after its dropout.
template <class T>
__device__ void store_step(const Shared<T>& dys, const Shared<T>& xs, int stride, const Part& p,
                           int64_t m0, const HeldStep& held) {
  const Gradient& g = p.of;
  const int64_t m = m0 + step_row(), k = p.k0 + step_column();
  const int at = step_row() * stride + step_column();
  float v[kEight];
  held.dy.convert(v);
  store8(dys.at(at, kEight), kEight, v);
  held.x.convert(v);
  if (g.drops) {
    const int count = step_count(p, m, p.k0, g.inputs);
#pragma unroll
    for (int i = 0; i < kEight; i++) {
      if (i >= count) break;
      v[i] = dropped(g.dropout, m, k + i, g.inputs, v[i]);
      if (g.dropped_x.bf16) v[i] = round_to_bf16(v[i]);
    }
    if (g.writes_dropped && p.n0 == 0) g.dropped_x.save(m, k, count, v);
  }
  store8(xs.at(at, kEight), kEight, v);
}

// Calls multiply() for each step once it is in shared memory. The next two are on their way
// meanwhile.
template <class T, class Multiply>
__device__ __forceinline__ void for_steps(const Shared<T>& dys, const Shared<T>& xs, int stride,
                                          const Part& p, const Multiply& multiply) {
  constexpr int kAhead = 2;
  HeldStep held[kAhead];
#pragma unroll
  for (int j = 0; j < kAhead; j++) held[j] = load_step(p, p.begin + j * kDepth);
  for (int64_t first = p.begin; first < p.end; first += kAhead * kDepth) {
#pragma unroll
    for (int j = 0; j < kAhead; j++) {
      const int64_t m0 = first + j * kDepth;
      if (m0 >= p.end) break;
      __syncthreads();  // no thread reads the last step's rows any more
      store_step(dys, xs, stride, p, m0, held[j]);
      held[j] = load_step(p, m0 + kAhead * kDepth);
      __syncthreads();
      multiply();
    }
  }
}

// Adds a sum to dw[n, k] where there is one stripe; otherwise leaves it to finish.
__device__ __forceinline__ void store_sum(const Arguments& a, const Part& p, int64_t n, int64_t k,
                                          float sum) {
  const Gradient& g = p.of;
  if (n >= g.outputs || k >= g.inputs) return;
  if (a.stripes > 1) {
    g.sums[(int64_t{blockIdx.y} * g.outputs + n) * g.inputs + k] = sum;
    return;
  }
  float* const to = g.dw + n * g.dw_stride + k;
  *to = fmaf(g.alpha, sum, g.accumulate ? *to : 0.0f);
}

// Adds the tile's stripes in order, in the last of its blocks.
__device__ void finish(const Arguments& a, const Part& p) {
  if (a.stripes == 1) return;
  if (!is_last_block(a.finished + blockIdx.x, static_cast<uint32_t>(a.stripes))) return;
  const Gradient& g = p.of;
  for (int e = thread(); e < kTile * kEights; e += kThreads) {
    const int64_t n = p.n0 + e / kEights, k = p.k0 + e % kEights * kEight;
    const int count = up_to_eight(n < g.outputs ? g.inputs - k : 0);
    if (count == 0) continue;
    float total[kEight] = {}, v[kEight];
    for (int64_t s = 0; s < a.stripes; s++) {
      load8(g.sums + (s * g.outputs + n) * g.inputs + k, count, v);
#pragma unroll
      for (int i = 0; i < kEight; i++) total[i] += v[i];
    }
    float* const to = g.dw + n * g.dw_stride + k;
    load8(to, g.accumulate ? count : 0, v);
#pragma unroll
    for (int i = 0; i < kEight; i++) v[i] = fmaf(g.alpha, total[i], v[i]);
    store8(to, count, v);
  }
}

__global__ void __launch_bounds__(kThreads, 2)
    weight_gradient_kernel(const __grid_constant__ Arguments a) {
  constexpr int kStride = kTile + kEight;
  PRECIS_SHARED(Bf16, dys, kDepth * kStride);
  PRECIS_SHARED(Bf16, xs, kDepth * kStride);
  const Part part = part_of_block(a);
  // Eight warps: four bands of 16 outputs, two halves of 32 inputs.
  const int lane = thread() % 32, warp_n = thread() / 32 / 2 * 16, warp_k = thread() / 32 % 2 * 32;
  float sum[4][4] = {};
  for_steps(dys, xs, kStride, part, [&] {
#pragma unroll
    for (int m = 0; m < kDepth; m += 16) {
      // The 8 x 8 matrices come in the order of the transposed operand: first the upper and lower
      // half of the outputs, then the same for the next eight rows of m.
      uint32_t dyf[4], xf[4];
      load_matrices<true>(
          dys.at((m + lane % 8 + lane / 16 * 8) * kStride + warp_n + lane / 8 % 2 * kEight, kEight),
          dyf);
#pragma unroll
      for (int j = 0; j < 4; j += 2) {
        load_matrices<true>(
            xs.at((m + lane % 16) * kStride + warp_k + j * 8 + lane / 16 * kEight, kEight), xf);
        mma_bf16(sum[j], dyf, xf[0], xf[1]);
        mma_bf16(sum[j + 1], dyf, xf[2], xf[3]);
      }
    }
  });
#pragma unroll
  for (int j = 0; j < 4; j++) {
#pragma unroll
    for (int e = 0; e < 4; e++) {
      store_sum(a, part, part.n0 + warp_n + lane / 4 + e / 2 * 8,
                part.k0 + warp_k + j * 8 + lane % 4 * 2 + e % 2, sum[j][e]);
    }
  }
  finish(a, part);
}

__global__ void __launch_bounds__(kThreads, 2)
    weight_gradient_float_kernel(const __grid_constant__ Arguments a) {
  constexpr int kStride = kTile + 4;
  PRECIS_SHARED(float, dys, kDepth* kStride);
  PRECIS_SHARED(float, xs, kDepth* kStride);
  const Part part = part_of_block(a);
  const int n = thread() / 16 * 4, k = thread() % 16 * 4;
  float sum[4][4] = {};
  for_steps(dys, xs, kStride, part, [&] {
    for (int m = 0; m < kDepth; m++) {
#pragma unroll
      for (int i = 0; i < 4; i++) {
#pragma unroll
        for (int j = 0; j < 4; j++) {
          sum[i][j] = fmaf(dys[m * kStride + n + i], xs[m * kStride + k + j], sum[i][j]);
        }
      }
    }
  });
  for (int i = 0; i < 4; i++) {
    for (int j = 0; j < 4; j++) store_sum(a, part, part.n0 + n + i, part.k0 + k + j, sum[i][j]);
  }
  finish(a, part);
}

}  // namespace

bool WeightGradients::add(const precis_weight_gradient_args& g, const DroppedRows* dropped) {
  if (count > 0 && (rows(g.x) != rows(all[0].x) || g.dtype != all[0].dtype)) return false;
  const int64_t more = weight_gradient_tiles(g);
  if (count == kMostGradients || (count > 0 && tiles + more > kMostTiles)) return false;
  all[count] = g;
  drops[count] = dropped != nullptr;
  if (dropped != nullptr) dropout = *dropped;
  count++;
  tiles += more;
  return true;
}

cudaError_t weight_gradients(CudaContext& context, const WeightGradients& w, uint32_t* finished) {
  if (w.count == 0 || w.tiles == 0) return cudaSuccess;
  const int64_t m = rows(w.all[0].x);
  Arguments a = {};
  a.rows = m;
  a.stripe_rows = kStripe;
  while (ceil_div(m, a.stripe_rows) > kMaxStripes) a.stripe_rows *= 2;
  // Without rows a tile is one empty sum. With too many tiles for the counters, of one huge weight,
  // there is one stripe.
  a.stripes = m == 0 ? 1 : ceil_div(m, a.stripe_rows);
  if (w.tiles > kMostTiles) {
    a.stripe_rows = m;
    a.stripes = 1;
  }
  a.finished = finished;
  int64_t elements = 0;
  for (int i = 0; i < w.count; i++) elements += rows(w.all[i].dw) * columns(w.all[i].dw);
  void* memory = nullptr;
  if (a.stripes > 1) {
    const size_t sum_bytes = static_cast<size_t>(a.stripes * elements) * sizeof(float);
    const size_t counters = static_cast<size_t>(w.tiles) * sizeof(uint32_t);
    PRECIS_RETURN_IF_ERROR(
        context.scratch.reserve(sum_bytes + (finished == nullptr ? counters : 0), &memory));
    if (finished == nullptr) {
      a.finished =
          static_cast<uint32_t*>(static_cast<void*>(static_cast<char*>(memory) + sum_bytes));
      PRECIS_RETURN_IF_ERROR(fill_with_zeros(context, a.finished, counters, counters, 1));
    }
  }
  float* sums = static_cast<float*>(memory);
  int64_t tiles = 0;
  bool written = false;
  for (int i = 0; i < w.count; i++) {
    const precis_weight_gradient_args& of = w.all[i];
    if (weight_gradient_tiles(of) == 0) continue;
    Gradient& g = a.gradients[a.count++];
    g.dy = any_matrix(of.dy);
    g.x = any_matrix(of.x);
    if (w.drops[i]) {
      g.dropped_x = g.x;
      g.x = any_matrix(w.dropout.x);
      g.dropout = w.dropout.mask;
      g.drops = true;
      g.writes_dropped = !written;
      written = true;
    }
    g.accumulate = of.accumulate != 0;
    g.alpha = of.alpha;
    g.dw = static_cast<float*>(of.dw.data);
    g.dw_stride = row_stride(of.dw);
    g.outputs = rows(of.dw);
    g.inputs = columns(of.dw);
    g.sums = sums;
    if (sums != nullptr) sums += a.stripes * g.outputs * g.inputs;
    g.first_tile = static_cast<int>(tiles);
    tiles += weight_gradient_tiles(of);
  }
  const dim3 grid(static_cast<uint32_t>(tiles), static_cast<uint32_t>(a.stripes));
  return launch(
      "weight_gradient",
      w.all[0].dtype == PRECIS_BFLOAT16 ? weight_gradient_kernel : weight_gradient_float_kernel,
      grid, kThreads, 0, context.stream, a);
}

cudaError_t weight_gradient_cuda(CudaContext& context, const precis_weight_gradient_args& g) {
  WeightGradients one;
  one.add(g, nullptr);
  return weight_gradients(context, one, nullptr);
}

}  // namespace precis
