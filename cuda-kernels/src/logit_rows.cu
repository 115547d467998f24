// The products behind the losses over the vocabulary; logit_rows.cuh says what they are for.
//
// bfloat16: the portable tensor core path, for sm_80 and up. Both operands lie in memory as
// bfloat16 with their depth padded, so both come by cp.async, several stages ahead, with one
// barrier a step. Shared memory is not padded: the eights of a row are permuted by the row's number
// so that those of eight rows lie in different banks. Two tiles: 128 x 128 of eight warps in steps
// of 32, two blocks a multiprocessor; 16 x 128 of four warps in steps of 64 where there are few
// rows and w has to come from memory as fast as it can: three steps of 16 KB are under way in each
// of two blocks. In either a warp has 32 columns and its sums run through the depth in steps of 16.
//
// float32: plain fused multiply-adds, tiles of 64 x 64, for reference and not for speed.
#include "elements.cuh"
#include "logit_rows.cuh"

namespace precis {
namespace {

// A matrix as it lies in memory; beyond its rows and columns it is zero.
template <class T>
struct Operand {
  const T* data;
  int64_t stride, rows, columns;
};

// ------------------------------------------------------------------ tiles
//
// A tile has kRows x kColumns results, of which a thread has those of rows row(i) and columns
// column(j). kLanes neighbours in a warp and kWarpsN warps share a row. multiply adds a b' over the
// depths [k0, k1), or a' b where kTransposed: from row (a' b: column) row0 of a and column0 of b
// on.

template <int kRowsOfTile, int kWarpsM, int kDepth, int kStages>
struct MmaTile {
  using Element = Bf16;
  static constexpr int kRows = kRowsOfTile, kColumns = 128, kWarpsN = 4, kLanes = 4;
  static constexpr int kThreads = kWarpsM * kWarpsN * 32;
  static constexpr int kTilesM = kRows / kWarpsM / 16, kTilesN = kColumns / kWarpsN / 8;
  static constexpr int kThreadRows = 2 * kTilesM, kThreadColumns = 2 * kTilesN;
  static constexpr int kStage = (kRows + kColumns) * kDepth;
  static constexpr size_t kSharedBytes = shared_bytes<Bf16>(kStages * kStage);

  float sum[kTilesM][kTilesN][4] = {};

  __device__ __forceinline__ float& at(int i, int j) {
    return sum[i / 2][j / 2][i % 2 * 2 + j % 2];
  }
  static __device__ __forceinline__ int warp_row() {
    return thread() / 32 / kWarpsN * (kRows / kWarpsM);
  }
  static __device__ __forceinline__ int warp_column() {
    return thread() / 32 % kWarpsN * (kColumns / kWarpsN);
  }
  static __device__ __forceinline__ int row(int i) {
    return warp_row() + i / 2 * 16 + i % 2 * 8 + thread() % 32 / 4;
  }
  static __device__ __forceinline__ int column(int j) {
    return warp_column() + j / 2 * 8 + thread() % 4 * 2 + j % 2;
  }

  // Where eight elements of a part of shared memory with rows of kWidth lie.
  template <int kWidth>
  static __device__ __forceinline__ Bf16* eight(const Shared<Bf16>& part, int row, int column) {
    constexpr int kEights = kWidth / kEight < 8 ? kWidth / kEight : 8, kSame = 8 / kEights;
    const int permuted = column / kEight ^ row / kSame % kEights;
    return part.at(row * kWidth + permuted * kEight, kEight);
  }
  template <int kHeight, int kWidth>
  static __device__ __forceinline__ void copy(const Shared<Bf16>& part, const Operand<Bf16>& from,
                                              int64_t row0, int64_t column0) {
    constexpr int kPerRow = kWidth / kEight;
    static_assert(kHeight * kPerRow % kThreads == 0);
#pragma unroll
    for (int i = 0; i < kHeight * kPerRow / kThreads; i++) {
      const int e = thread() + i * kThreads, row = e / kPerRow, column = e % kPerRow * kEight;
      const bool wanted = row0 + row < from.rows && column0 + column < from.columns;
      const int64_t at = wanted ? (row0 + row) * from.stride + column0 + column : 0;
      copy_async(eight<kWidth>(part, row, column), from.data + at, wanted);
    }
  }

  template <bool kTransposed>
  __device__ __forceinline__ void multiply(const Operand<Bf16>& a, const Operand<Bf16>& b,
                                           int64_t row0, int64_t column0, int64_t k0, int64_t k1) {
    DynamicShared dynamic;
    const Shared<Bf16> memory = dynamic.take<Bf16>(kStages * kStage);
    auto part_a = [&](int stage) { return memory.part(stage * kStage, kRows * kDepth); };
    auto part_b = [&](int stage) {
      return memory.part(stage * kStage + kRows * kDepth, kColumns * kDepth);
    };
    const int steps = static_cast<int>((k1 - k0 + kDepth - 1) / kDepth);
    auto bring = [&](int step) {
      if (step < steps) {
        const int stage = step % kStages;
        const int64_t k = k0 + int64_t{step} * kDepth;
        if constexpr (kTransposed) {
          copy<kDepth, kRows>(part_a(stage), a, k, row0);
          copy<kDepth, kColumns>(part_b(stage), b, k, column0);
        } else {
          copy<kRows, kDepth>(part_a(stage), a, row0, k);
          copy<kColumns, kDepth>(part_b(stage), b, column0, k);
        }
      }
      copy_async_commit();
    };
    const int lane = thread() % 32, warp_m = warp_row(), warp_n = warp_column();
    for (int step = 0; step < kStages - 1; step++) bring(step);
    for (int step = 0; step < steps; step++) {
      copy_async_wait<kStages - 2>();
      __syncthreads();  // this step is there, and nobody reads the last one any more
      bring(step + kStages - 1);
      const Shared<Bf16> as = part_a(step % kStages), bs = part_b(step % kStages);
#pragma unroll
      for (int k = 0; k < kDepth; k += 16) {
        uint32_t af[kTilesM][4], bf[4];
#pragma unroll
        for (int i = 0; i < kTilesM; i++) {
          const int m = warp_m + i * 16;
          load_matrices<kTransposed>(
              kTransposed
                  ? eight<kRows>(as, k + lane % 8 + lane / 16 * 8, m + lane / 8 % 2 * kEight)
                  : eight<kDepth>(as, m + lane % 16, k + lane / 16 * kEight),
              af[i]);
        }
#pragma unroll
        for (int j = 0; j < kTilesN; j += 2) {
          const int n = warp_n + j * 8;
          load_matrices<kTransposed>(
              kTransposed
                  ? eight<kColumns>(bs, k + lane % 16, n + lane / 16 * kEight)
                  : eight<kDepth>(bs, n + lane % 8 + lane / 16 * 8, k + lane / 8 % 2 * kEight),
              bf);
#pragma unroll
          for (int i = 0; i < kTilesM; i++) {
            mma_bf16(sum[i][j], af[i], bf[0], bf[1]);
            mma_bf16(sum[i][j + 1], af[i], bf[2], bf[3]);
          }
        }
      }
    }
  }
};
using ManyRows = MmaTile<128, 2, 32, 4>;
using FewRows = MmaTile<16, 1, 64, 4>;
constexpr int64_t kFewRows = 32;

struct FmaTile {
  using Element = float;
  static constexpr int kRows = 64, kColumns = 64, kWarpsN = 1, kLanes = 16, kThreads = 256;
  static constexpr int kThreadRows = 4, kThreadColumns = 4, kDepth = 16, kPadded = 64 + 4;
  static constexpr size_t kSharedBytes = 0;

  float sum[kThreadRows][kThreadColumns] = {};

  __device__ __forceinline__ float& at(int i, int j) { return sum[i][j]; }
  static __device__ __forceinline__ int row(int i) { return thread() / 16 * 4 + i; }
  static __device__ __forceinline__ int column(int j) { return thread() % 16 * 4 + j; }

  template <bool kTransposed>
  static __device__ void load(const Shared<float>& part, const Operand<float>& from, int64_t row0,
                              int64_t k0, int64_t k1) {
    for (int e = thread(); e < 64 * kDepth; e += kThreads) {
      const int i = kTransposed ? e % 64 : e / kDepth, k = kTransposed ? e / 64 : e % kDepth;
      const int64_t r = kTransposed ? k0 + k : row0 + i, c = kTransposed ? row0 + i : k0 + k;
      const bool inside = k0 + k < k1 && r < from.rows && c < from.columns;
      part[k * kPadded + i] = inside ? from.data[r * from.stride + c] : 0.0f;
    }
  }
  template <bool kTransposed>
  __device__ void multiply(const Operand<float>& a, const Operand<float>& b, int64_t row0,
                           int64_t column0, int64_t k0, int64_t k1) {
    PRECIS_SHARED(float, as, kDepth* kPadded);
    PRECIS_SHARED(float, bs, kDepth* kPadded);
    for (; k0 < k1; k0 += kDepth) {
      __syncthreads();  // the last step's parts are read no more
      load<kTransposed>(as, a, row0, k0, k1);
      load<kTransposed>(bs, b, column0, k0, k1);
      __syncthreads();
      for (int k = 0; k < kDepth; k++) {
#pragma unroll
        for (int i = 0; i < kThreadRows; i++) {
#pragma unroll
          for (int j = 0; j < kThreadColumns; j++) {
            sum[i][j] = fmaf(as[k * kPadded + row(i)], bs[k * kPadded + column(j)], sum[i][j]);
          }
        }
      }
    }
  }
};

// Two elements at an even index of rows that are aligned.
__device__ __forceinline__ void store2(float* p, float low, float high) {
#if defined(__CUDACC__)
  *reinterpret_cast<float2*>(p) = make_float2(low, high);
#else
  p[0] = low;
  p[1] = high;
#endif
}

// Never one instruction with what comes before or after: nvcc may choose that in one instance of a
// kernel and not in another, and a row's bits would depend on the tile.
__device__ __forceinline__ float rounded_product(float a, float b) {
#if defined(__CUDACC__)
  return __fmul_rn(a, b);
#else
  return a * b;
#endif
}
__device__ __forceinline__ float rounded_sum(float a, float b) {
#if defined(__CUDACC__)
  return __fadd_rn(a, b);
#else
  return a + b;
#endif
}

// ------------------------------------------------------------------ index and gather

// One block: those that count in their order from the front, the others from the back.
__global__ void __launch_bounds__(1024)
    logit_index_kernel(LogitPlan p, ProblemOp op, unsigned long long* problem) {
  PRECIS_SHARED(int32_t, warp_counts, 32);
  const int lane = thread() % 32, warp = thread() / 32, warps = static_cast<int>(blockDim.x) / 32;
  int64_t before = 0;
  for (int64_t begin = 0; begin < p.rows; begin += blockDim.x) {
    const int64_t m = begin + thread();
    const int32_t label = m < p.rows ? p.labels[m] : kIgnoredLabel;
    const bool counts = label >= 0 && label < p.tokens;
    if (!counts && label != kIgnoredLabel) note_problem(problem, op, m, ProblemKind::kId);
    const uint32_t votes = __ballot_sync(kAllLanes, counts);
    if (lane == 0) warp_counts[warp] = __popc(votes);
    __syncthreads();
    int64_t mine = before + __popc(votes & ((1u << lane) - 1));
    for (int w = 0; w < warps; w++) {
      if (w < warp) mine += warp_counts[w];
      before += warp_counts[w];
    }
    if (m < p.rows) p.index[counts ? mine : p.rows - 1 - (m - mine)] = static_cast<int32_t>(m);
    __syncthreads();
  }
  if (thread() == 0) *p.counted = static_cast<int32_t>(before);
}

struct Gather {
  LogitPlan p;
  AnyMatrix from, to;

  __device__ void operator()(int64_t r, int64_t n, int count) const {
    if (r >= p.counted_rows()) return;
    const int64_t left = p.width - n;
    float v[kEight];
    from.load(p.index[p.first + r], n,
              left < 0       ? 0
              : left < count ? static_cast<int>(left)
                             : count,
              v);
    to.save(r, n, count, v);
  }
};

// ------------------------------------------------------------------ logits

struct LogitProduct {
  LogitPlan plan;
  const void* w;
  int64_t w_stride, w_rows;
  float scale;
  bool linear;
  TileSums to;
  float* logits;           // NULL: not kept
  const float* reference;  // the reference's logits; NULL: none, or these are the reference's
  bool is_reference;
};

// Over all columns of the tile: for each of the thread's rows the same in all threads that have it.
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

// Blocks of the same columns of w are neighbours: it comes from memory once.
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
  const int columns = static_cast<int>(plan.tokens - n0 < Tile::kColumns ? plan.tokens - n0
                                                                         : int64_t{Tile::kColumns});
  auto inside = [&](int j) { return Tile::column(j) < columns; };
  // The reference's logit; 0 for rows that are none.
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
  return plan.block_rows <= kFewRows ? multiply_tiles<FewRows>(context, p)
                                     : multiply_tiles<ManyRows>(context, p);
}

// ------------------------------------------------------------------ gradients

template <class T>
__device__ __forceinline__ Operand<T> logit_gradients(const LogitPlan& p) {
  const int64_t stride = p.logits_stride * static_cast<int64_t>(sizeof(float) / sizeof(T));
  return {reinterpret_cast<const T*>(p.logits), stride, p.counted_rows(), p.logits_stride};
}

// A segment's g w. Blocks of the same segment are neighbours.
template <class Tile>
__global__ void __launch_bounds__(Tile::kThreads, 2)
    logit_dx_kernel(LogitPlan p, const void* w_transposed, int64_t w_stride, int64_t w_rows) {
  using T = typename Tile::Element;
  const int64_t r0 = int64_t{blockIdx.x} * Tile::kRows, d0 = int64_t{blockIdx.y} * Tile::kColumns;
  const Operand<T> g = logit_gradients<T>(p);
  if (r0 >= g.rows) return;
  const Operand<T> w = {static_cast<const T*>(w_transposed), w_stride, w_rows, w_stride};
  const int64_t k0 = blockIdx.z * p.segment_tokens;
  const int64_t k1 = k0 + p.segment_tokens < w_stride ? k0 + p.segment_tokens : w_stride;
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
    float total[kEight] = {}, v[kEight];
    for (int64_t s = 0; s < p.segments; s++) {
      load8(p.dx_sums + (s * p.block_rows + r) * p.dx_stride + n, kEight, v);
#pragma unroll
      for (int i = 0; i < kEight; i++) total[i] += v[i];
    }
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

constexpr int64_t kLogitBytes = 32 << 20, kLogitBytesWithWeight = 64 << 20;
constexpr int64_t kMaxLogitRows = 1024;
constexpr int64_t kSegmentTokens = 2048, kMaxSegments = 16;

}  // namespace

cudaError_t plan_logit_rows(CudaContext& context, const LogitRows& a, LogitPlan* plan) {
  LogitPlan& p = *plan;
  p = {};
  p.rows = rows(a.x);
  p.width = a.w.inputs;
  p.tokens = a.w.outputs;
  p.labels = a.labels;
  p.bf16 = a.w.dtype == PRECIS_BFLOAT16;
  const bool gradient = a.wants_gradient(), reference = a.reference_x.data != nullptr;
  if (p.rows > INT32_MAX || ceil_div(p.tokens, FmaTile::kColumns) > kMaxGridY) {
    return cudaErrorInvalidValue;
  }
  // All of a tile's columns have their place in a row.
  p.logits_stride = ceil_div(p.tokens, ManyRows::kColumns) * ManyRows::kColumns;
  p.dx_stride = ceil_div(p.width, ManyRows::kColumns) * ManyRows::kColumns;
  p.x_stride = ceil_div(p.width, kCudaPackMultiple) * kCudaPackMultiple;
  p.block_rows = kMaxLogitRows;
  const int64_t row_bytes = p.logits_stride * 4 * (int64_t{gradient} + int64_t{reference});
  if (row_bytes > 0) {
    const int64_t bytes = a.dw.data != nullptr ? kLogitBytesWithWeight : kLogitBytes;
    const int64_t tiles = bytes / row_bytes / ManyRows::kRows;
    const int64_t most = (tiles > 0 ? tiles : 1) * ManyRows::kRows;
    if (most < p.block_rows) p.block_rows = most;
  }
  if (p.rows < p.block_rows) p.block_rows = p.rows;
  const int64_t padded = ceil_div(p.tokens, kCudaPackMultiple);
  const int64_t wanted = ceil_div(padded * kCudaPackMultiple, kSegmentTokens);
  p.segment_tokens =
      ceil_div(padded, wanted < kMaxSegments ? wanted : kMaxSegments) * kCudaPackMultiple;
  p.segments = ceil_div(padded * kCudaPackMultiple, p.segment_tokens);

  // First how much, then where.
  void* memory = nullptr;
  for (bool place : {false, true}) {
    size_t bytes = 0;
    auto claim = [&](auto** to, int64_t count) {
      using T = std::remove_pointer_t<std::remove_pointer_t<decltype(to)>>;
      if (place) *to = reinterpret_cast<T*>(static_cast<char*>(memory) + bytes);
      bytes += (static_cast<size_t>(count) * sizeof(T) + 255) / 256 * 256;
    };
    claim(&p.index, p.rows);
    claim(&p.counted, 1);
    float* x = nullptr;
    claim(&x, p.block_rows * p.x_stride);
    p.x = x;
    claim(&p.of_label, p.block_rows);
    auto claim_sums = [&](TileSums& t, bool bf16, bool beside) {
      t.columns = bf16 ? ManyRows::kColumns : FmaTile::kColumns;
      t.tiles = static_cast<int>(ceil_div(p.tokens, t.columns));
      for (float** to : {&t.largest, &t.sums, &t.terms}) claim(to, p.block_rows * t.tiles);
      if (!beside) return;
      for (float** to : {&t.reference_largest, &t.differences}) claim(to, p.block_rows * t.tiles);
    };
    claim_sums(p.policy, p.bf16, reference);
    if (gradient) claim(&p.logits, p.block_rows * p.logits_stride);
    if (a.dx.data != nullptr) claim(&p.dx_sums, p.segments * p.block_rows * p.dx_stride);
    if (reference) {
      claim_sums(p.reference, a.reference_w.dtype == PRECIS_BFLOAT16, false);
      claim(&p.reference_logits, p.block_rows * p.logits_stride);
    }
    if (!place) PRECIS_RETURN_IF_ERROR(context.scratch.reserve(bytes, &memory));
  }
  const int64_t threads = ceil_div(p.rows, 32) * 32;
  return launch("logits, index", logit_index_kernel, 1,
                static_cast<uint32_t>(threads < 1024 ? threads : 1024), 0, context.stream, p, a.op,
                context.problem);
}

cudaError_t multiply_logit_rows(CudaContext& context, const LogitRows& a, const LogitPlan& plan) {
  LogitProduct p = {};
  p.scale = a.scale;
  p.linear = a.linear;
  if (a.reference_x.data != nullptr) {
    p.to = plan.reference;
    p.logits = plan.reference_logits;
    p.is_reference = true;
    PRECIS_RETURN_IF_ERROR(gather_and_multiply(context, plan, a.reference_x, a.reference_w, p));
    p.reference = plan.reference_logits;
    p.is_reference = false;
  }
  p.to = plan.policy;
  p.logits = plan.logits;
  return gather_and_multiply(context, plan, a.x, a.w, p);
}

cudaError_t add_logit_gradients(CudaContext& context, const LogitRows& a, const LogitPlan& plan) {
  if (a.dx.data != nullptr) {
    PRECIS_RETURN_IF_ERROR(!plan.bf16                    ? dx_tiles<FmaTile>(context, a, plan)
                           : plan.block_rows <= kFewRows ? dx_tiles<FewRows>(context, a, plan)
                                                         : dx_tiles<ManyRows>(context, a, plan));
    const AddSegments add = {plan, matrix<float>(a.dx), a.grad_scale * a.scale};
    PRECIS_RETURN_IF_ERROR(
        for_elements("logits, dx sums", context.stream, plan.block_rows, plan.width, add));
  }
  if (a.dw.data == nullptr) return cudaSuccess;
  return plan.bf16 ? dw_tiles<ManyRows>(context, a, plan) : dw_tiles<FmaTile>(context, a, plan);
}

}  // namespace precis
