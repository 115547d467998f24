// y = alpha (x W' + sum_i (s_i z A') B' over segment i) (+ y)          native/src/ops/lora_matmul.h
// and with no adapters y = alpha x W' (+ y)                                 native/src/ops/matmul.h
//
// bfloat16: the portable tensor core path, for sm_80 and up. A block has a tile of kRows x kColumns
// of y. Along K, in steps of 32, it multiplies its rows of x with W and, from the same tile in
// shared memory, with A: t = x A' stays in registers. Behind the loop t is scaled, rounded and put
// into shared memory, and its product with B goes into the accumulators of x W'. So x is read once
// and y written once. Rows in shared memory are 80 bytes apart: the eight rows of a fragment lie in
// different banks.
//
// A ring of kStages steps, with one barrier a step, is filled by cp.async: what arrives now was
// asked for kStages - 1 steps ago. x comes that way too where it is bfloat16 in rows of whole,
// aligned eights; else it is converted on its way from registers to shared memory, one step ahead.
//
// Three tiles: 128 x 128 for four warps, or for eight where x goes through registers or there are
// many ranks; for few rows 16 x 64 for four, and 16 x 16 for one with a long ring where that leaves
// most of the GPU idle. Every sum runs through k in steps of 16 in each, so a row's bits do not
// depend on the batch, and K is not split.
//
// A product of one row waits for memory and not for its 1.2 MB (768 x 768): with 7 stages of 24
// steps, 6 under way, four times its latency; with 18, 17 under way, hardly twice, and by 48 blocks
// instead of 12.
//
// For sixteen of K a warp of four has 32 mma and 8 ldmatrix without adapters, 4 and 1/2 more with
// 16 ranks, 8 and 1 more with 32: every block of a row computes t again, 12.5 % and 25 % more
// products than x W', but from the fragments of x that it has anyway. A step of 32 then reads 32
// KiB from shared memory and writes 16, where eight warps of 64 x 32 read 48. With three stages two
// blocks fit into a multiprocessor.
//
// Dropout of what A reads: t = dropout(x) A' comes from lora_down.cu, which draws each mask once
// and not in every block of a row, and the loop is that without adapters. Dropout of the low-rank
// term: on its way into the accumulators.
//
// float32: plain fused multiply-adds, tiles of 64 x 64, for reference and not for speed.
//
// Tried: x always through registers, two stages, eight warps: 162 registers without adapters and
// 188 with, so one block to a multiprocessor, and a copy's whole latency in every step of a small
// tile. Not tried yet: 256 columns. mma.sync reaches about 60 % of a Hopper GPU's rate: there
// lora_matmul_wgmma.cu does what it can, which is all but rows that must be converted.
#include "cublaslt.h"
#include "lora_matmul.cuh"
#include "ops/lora_matmul.h"
#include "ops/matmul.h"

namespace precis {
namespace {

// ------------------------------------------------------------------ bfloat16

constexpr int kDepth = 32;           // of K, a step
constexpr int kStride = kDepth + 8;  // of its rows in shared memory, in elements
constexpr int kPerRow = kDepth / kEight;

// Elements of shared memory: stages of x, z, W and A; later the scaled t and B.
PRECIS_HOST_DEVICE constexpr int64_t stage_elements(int rows, int columns, int ranks,
                                                    bool separate_z) {
  return int64_t{kStride} * (rows + (separate_z ? rows : 0) + columns + ranks);
}
PRECIS_HOST_DEVICE constexpr int64_t shared_elements(int rows, int columns, int ranks,
                                                     int loop_ranks, bool separate_z, int stages) {
  const int64_t ring = stages * stage_elements(rows, columns, loop_ranks, separate_z);
  const int64_t low = int64_t{rank_stride(ranks)} * (rows + columns);
  return ranks > 0 && low > ring ? low : ring;
}

// What a block is. kDirect: x and z are bfloat16 in rows of whole, aligned eights. kGiven: t is
// there already.
template <int rows, int columns, int warps_m, int warps_n, int ranks, int stages, bool direct,
          bool given = false>
struct Block {
  static constexpr int kRows = rows, kColumns = columns, kWarpsM = warps_m, kWarpsN = warps_n;
  static constexpr int kRanks = ranks, kStages = stages;
  static constexpr bool kDirect = direct, kGiven = given;
  static constexpr int kLoopRanks = kGiven ? 0 : ranks;  // of A
  static constexpr int kThreads = warps_m * warps_n * 32;
  // More in one multiprocessor hide each other's waiting.
  static constexpr int kTogether = direct && (ranks <= 32 || given) ? 2 : 1;
};

template <class B>
__global__ void __launch_bounds__(B::kThreads, B::kTogether) lora_matmul_kernel(Product p) {
  constexpr int kRows = B::kRows, kColumns = B::kColumns, kWarpsM = B::kWarpsM;
  constexpr int kWarpsN = B::kWarpsN, kRanks = B::kRanks, kStages = B::kStages;
  constexpr int kLoopRanks = B::kLoopRanks;
  constexpr int kThreads = B::kThreads;
  constexpr int kTilesM = kRows / kWarpsM / 16, kTilesN = kColumns / kWarpsN / 8;
  // t: the warps that have the same rows share the ranks, eight at a time; some may have none.
  constexpr int kRankTiles = kLoopRanks / 8;
  constexpr int kLowTiles = kLoopRanks > 0 ? (kRankTiles + kWarpsN - 1) / kWarpsN : 1;
  static_assert(kTilesN % 2 == 0 && kRankTiles % kLowTiles == 0);
  static_assert(kLowTiles == 1 || kLowTiles % 2 == 0);
  // A thread brings the same eight of rows kPassRows apart: so many of x, and of W and A.
  constexpr int kPassRows = kThreads / kPerRow;
  constexpr int kBring = (kRows + kPassRows - 1) / kPassRows;
  constexpr int kBringW = (kColumns + kLoopRanks + kPassRows - 1) / kPassRows;

  DynamicShared dynamic;
  const int z_rows = p.separate_z ? kRows : 0;
  const int stage_size = static_cast<int>(stage_elements(kRows, kColumns, kLoopRanks, z_rows > 0));
  const Shared<Bf16> memory = dynamic.take<Bf16>(static_cast<int>(
      shared_elements(kRows, kColumns, kRanks, kLoopRanks, p.separate_z, kStages)));
  auto x_tile = [&](int stage) {
    return memory.part(stage * stage_size, kStride * (kRows + z_rows));
  };
  auto w_tile = [&](int stage) {
    return memory.part(stage * stage_size + kStride * (kRows + z_rows),
                       kStride * (kColumns + kLoopRanks));
  };
  const int64_t m0 = int64_t{blockIdx.y} * kRows, n0 = int64_t{blockIdx.x} * kColumns;
  const int warp = thread() / 32, lane = thread() % 32;
  const int warp_m = warp / kWarpsN * (kRows / kWarpsM);
  const int warp_n = warp % kWarpsN * (kColumns / kWarpsN);
  const int first_rank = warp % kWarpsN * kLowTiles * 8;
  const int first_row = thread() / kPerRow, column = thread() % kPerRow * kEight;

  // W's rows, and below them A's. Both are padded to whole passes.
  static_assert(kColumns % kPassRows == 0 && kCudaPackMultiple % kPassRows == 0);
  const Bf16* w_from = static_cast<const Bf16*>(p.w) + (n0 + first_row) * p.w_stride + column;
  const Bf16* a_from = static_cast<const Bf16*>(p.a) + first_row * p.a_stride + column;
  auto copy_w = [&](int stage, int k0) {
    const Shared<Bf16> tile = w_tile(stage);
#pragma unroll
    for (int i = 0; i < kBringW; i++) {
      const int row = first_row + i * kPassRows;
      if (row >= kColumns + kLoopRanks) break;
      // The first row of the pass says whether there are any.
      const int of_pass = i * kPassRows;
      const bool of_w = of_pass < kColumns;
      const bool wanted = of_w ? n0 + of_pass < p.w_rows : of_pass - kColumns < p.a_rows;
      const Bf16* from =
          of_w ? w_from + of_pass * p.w_stride : a_from + (of_pass - kColumns) * p.a_stride;
      copy_async(tile.at(row * kStride + column, kEight), (wanted ? from : w_from) + k0, wanted);
    }
  };
  // x, and below it z.
  auto copy_x = [&](int stage, int k0) {
    const Shared<Bf16> tile = x_tile(stage);
    const int64_t k = k0 + column;
    auto copy_rows = [&](const AnyMatrix& from, int above) {
#pragma unroll
      for (int i = 0; i < kBring; i++) {
        const int row = first_row + i * kPassRows;
        if (row >= kRows) break;
        const bool wanted = m0 + row < p.rows && k < p.inputs;
        copy_async(
            tile.at((above + row) * kStride + column, kEight),
            static_cast<const Bf16*>(from.data) + (wanted ? (m0 + row) * from.stride + k : 0),
            wanted);
      }
    };
    copy_rows(p.x, 0);
    if (p.separate_z) copy_rows(p.z, kRows);
  };
  // Or to registers and later to shared memory.
  constexpr int kHeld = B::kDirect ? 1 : kBring;
  float brought[kHeld][kEight], brought_z[kHeld][kEight];
  auto load_x = [&](int64_t k0) {
#pragma unroll
    for (int i = 0; i < kHeld; i++) {
      const int row = first_row + i * kPassRows;
      const int64_t m = m0 + row, k = k0 + column;
      const int64_t left = row < kRows && m < p.rows ? p.inputs - k : 0;
      const int count = left < 0 ? 0 : left < kEight ? static_cast<int>(left) : kEight;
      p.x.load(m, k, count, brought[i]);
      if (p.separate_z) p.z.load(m, k, count, brought_z[i]);
    }
  };
  auto store_x = [&](int stage) {
    const Shared<Bf16> tile = x_tile(stage);
#pragma unroll
    for (int i = 0; i < kHeld; i++) {
      const int row = first_row + i * kPassRows;
      if (row >= kRows) break;
      const int at = row * kStride + column;
      store8(tile.at(at, kEight), kEight, brought[i]);
      if (p.separate_z) store8(tile.at(at + kRows * kStride, kEight), kEight, brought_z[i]);
    }
  };

  const int steps = static_cast<int>((p.inputs + kDepth - 1) / kDepth);
  // Every step commits a group, an empty one behind the end, so that they can be counted.
  auto copy_step = [&](int step) {
    if (step < steps) {
      copy_w(step % kStages, step * kDepth);
      if constexpr (B::kDirect) copy_x(step % kStages, step * kDepth);
    }
    copy_async_commit();
  };

  float sum[kTilesM][kTilesN][4] = {};
  float low[kTilesM][kLowTiles][4] = {};
  for (int step = 0; step < kStages - 1; step++) copy_step(step);
  if constexpr (!B::kDirect) {
    load_x(0);
    store_x(0);
  }
  for (int step = 0; step < steps; step++) {
    const int stage = step % kStages;
    copy_async_wait<kStages - 2>();
    __syncthreads();  // this stage is there, and nobody reads the one before it any more
    copy_step(step + kStages - 1);
    if constexpr (!B::kDirect) {
      if (step + 1 < steps) load_x(int64_t{step + 1} * kDepth);
    }
    const Shared<Bf16> xs = x_tile(stage), ws = w_tile(stage);
    uint32_t a_low[4];
#pragma unroll
    for (int k = 0; k < kDepth; k += 16) {
      uint32_t a[kTilesM][4], b[4];
#pragma unroll
      for (int i = 0; i < kTilesM; i++) load_a(xs, kStride, warp_m + i * 16, k, a[i]);
#pragma unroll
      for (int j = 0; j < kTilesN; j += 2) {
        load_b(ws, kStride, warp_n + j * 8, k, b);
#pragma unroll
        for (int i = 0; i < kTilesM; i++) {
          mma_bf16(sum[i][j], a[i], b[0], b[1]);
          mma_bf16(sum[i][j + 1], a[i], b[2], b[3]);
        }
      }
      if constexpr (kLoopRanks > 0) {
        if (first_rank >= kLoopRanks) continue;
        // Of A: one tile's operands for both halves of the step, or those of two tiles at a time.
        if (kLowTiles == 1 && k == 0) {
          load_matrices<false>(
              ws.at((kColumns + first_rank + lane % 8) * kStride + lane / 8 * kEight, kEight),
              a_low);
        }
#pragma unroll
        for (int t = 0; t < kLowTiles; t += 2) {
          if (kLowTiles > 1) load_b(ws, kStride, kColumns + first_rank + t * 8, k, b);
          auto multiply = [&](int i, const uint32_t(&x)[4]) {
            if constexpr (kLowTiles == 1) {
              mma_bf16(low[i][0], x, a_low[k / 8], a_low[k / 8 + 1]);
            } else {
              mma_bf16(low[i][t], x, b[0], b[1]);
              mma_bf16(low[i][t + 1], x, b[2], b[3]);
            }
          };
#pragma unroll
          for (int i = 0; i < kTilesM; i++) {
            if (p.separate_z) {
              uint32_t z[4];
              load_a(xs, kStride, kRows + warp_m + i * 16, k, z);
              multiply(i, z);
            } else {
              multiply(i, a[i]);
            }
          }
        }
      }
    }
    if constexpr (!B::kDirect) {
      if (step + 1 < steps) store_x((step + 1) % kStages);
    }
  }

  if constexpr (kRanks > 0) {
    constexpr int kLow = rank_stride(kRanks);
    const Shared<Bf16> ts = memory.part(0, kRows * kLow);
    const Shared<Bf16> bs = memory.part(kRows * kLow, kColumns * kLow);
    // Calls f(row of the tile, rank, t) for what the thread has of t.
    auto each_low = [&](auto f) {
      if constexpr (B::kGiven) {
        for (int e = thread(); e < kRows * kRanks; e += kThreads) {
          const int row = e / kRanks, rank = e % kRanks;
          const bool there = m0 + row < p.rows && rank < p.ranks;
          f(row, rank, there ? p.t[(m0 + row) * p.ranks + rank] : 0.0f);
        }
      } else {
        if (first_rank >= kRanks) return;
#pragma unroll
        for (int i = 0; i < kTilesM; i++) {
#pragma unroll
          for (int t = 0; t < kLowTiles; t++) {
#pragma unroll
            for (int e = 0; e < 4; e++) {
              f(warp_m + i * 16 + lane / 4 + e / 2 * 8, first_rank + t * 8 + lane % 4 * 2 + e % 2,
                low[i][t][e]);
            }
          }
        }
      }
    };
    if (p.down != nullptr && blockIdx.x == 0) {
      each_low([&](int row, int rank, float t) {
        if (m0 + row < p.rows && rank < p.ranks) {
          p.down[(m0 + row) * p.down_stride + rank] = scaling_of_rank(p, rank) * t;
        }
      });
    }
    for (int i = 0; i < p.segment_count; i++) {
      const precis_lora_segment s = p.segments[i];
      if (s.output_end <= n0 || s.output_begin >= n0 + kColumns || s.rank_begin >= s.rank_end) {
        continue;  // the same for all threads
      }
      __syncthreads();  // nobody reads the stages, or the last segment's tiles, any more
      each_low([&](int row, int rank, float t) {
        const bool mine = rank >= s.rank_begin && rank < s.rank_end;
        ts[row * kLow + rank] = to_bf16(mine ? s.scaling * t : 0.0f);
      });
      bring_up<kColumns, kRanks>(p, s, n0, bs);
      __syncthreads();
      add_segment<kTilesM, kTilesN, kRanks, 1>(
          p, s, bs, m0 + warp_m, n0, warp_n,
          [&](int t, int k, uint32_t(&f)[4]) { load_a(ts, kLow, warp_m + t * 16, k, f); },
          [&](int t, int j) -> float(&)[4] { return sum[t][j]; });
    }
  }

#pragma unroll
  for (int i = 0; i < kTilesM; i++) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const int64_t m = m0 + warp_m + i * 16 + lane / 4 + half * 8;
#pragma unroll
      for (int j = 0; j < kTilesN; j++) {
        store_results(p, m, n0 + warp_n + j * 8 + lane % 4 * 2, sum[i][j][2 * half],
                      sum[i][j][2 * half + 1]);
      }
    }
  }
}

template <class B>
cudaError_t run(CudaContext& context, const Product& p) {
  const size_t bytes = shared_bytes<Bf16>(
      shared_elements(B::kRows, B::kColumns, B::kRanks, B::kLoopRanks, p.separate_z, B::kStages));
  const dim3 grid(static_cast<uint32_t>(ceil_div(p.outputs, B::kColumns)),
                  static_cast<uint32_t>(ceil_div(p.rows, B::kRows)));
  return launch("lora_matmul", lora_matmul_kernel<B>, grid, B::kThreads, bytes, context.stream, p);
}

// Few rows: as many as a decode step has.
constexpr int64_t kFewRows = 32;

template <int kRanks, bool kDirect>
cudaError_t run_bf16(CudaContext& context, const Product& p) {
  // As many stages as fit into 99 KiB, what a block of sm_86 and sm_89 may have, or for few rows
  // without adapters into 48 KiB, which need not be asked for.
  constexpr bool kMany = kRanks > 32;
  // Four warps with 64 x 64 each read less from shared memory than eight; they need the registers.
  constexpr int kAcross = kDirect && !kMany ? 2 : 4;
  if (p.rows > kFewRows) {
    return run<Block<128, 128, 2, kAcross, kRanks, kMany ? 2 : 3, kDirect>>(context, p);
  }
  if constexpr (kRanks == 0) {
    if (ceil_div(p.outputs, 64) * ceil_div(p.rows, 16) < 2 * context.multiprocessors) {
      return run<Block<16, 16, 1, 1, 0, 18, kDirect>>(context, p);
    }
  }
  return run<Block<16, 64, 1, 4, kRanks, kMany ? 4 : 7, kDirect>>(context, p);
}

template <bool kDirect>
cudaError_t run_ranks(CudaContext& context, const Product& p) {
  if (p.t != nullptr) {
    return p.rows <= kFewRows
               ? run<Block<16, 64, 1, 4, 128, 4, kDirect, true>>(context, p)
               : run<Block<128, 128, 2, kDirect ? 2 : 4, 128, 3, kDirect, true>>(context, p);
  }
  if (p.ranks == 0) return run_bf16<0, kDirect>(context, p);
  if (p.ranks <= 16) return run_bf16<16, kDirect>(context, p);
  if (p.ranks <= 32) return run_bf16<32, kDirect>(context, p);
  return run_bf16<128, kDirect>(context, p);
}

bool is_direct(const AnyMatrix& x, int64_t inputs) {
  return x.bf16 && inputs % kEight == 0 && x.stride % kEight == 0 &&
         reinterpret_cast<uintptr_t>(x.data) % 16 == 0;
}

// ------------------------------------------------------------------ float32

constexpr int kTile = 64, kTileDepth = 16, kTilePad = kTile + 4;

// Adds rows of x times rows of w, sixteen of K at a time, for 4 x 4 results a thread: those of rows
// 4 (thread / 16) and columns 4 (thread mod 16). x(m, k) and w(n, k) give 0 outside.
template <class X, class W>
__device__ void add_product(const Shared<float>& xs, const Shared<float>& ws, int64_t depth,
                            const X& x, const W& w, float (&sum)[4][4]) {
  const int row = thread() / 16 * 4, column = thread() % 16 * 4;
  for (int64_t k0 = 0; k0 < depth; k0 += kTileDepth) {
    __syncthreads();
    for (int e = thread(); e < kTile * kTileDepth; e += 256) {
      const int i = e / kTileDepth, k = e % kTileDepth;
      xs[k * kTilePad + i] = k0 + k < depth ? x(i, k0 + k) : 0.0f;
      ws[k * kTilePad + i] = k0 + k < depth ? w(i, k0 + k) : 0.0f;
    }
    __syncthreads();
    for (int k = 0; k < kTileDepth; k++) {
#pragma unroll
      for (int i = 0; i < 4; i++) {
#pragma unroll
        for (int j = 0; j < 4; j++) {
          sum[i][j] = fmaf(xs[k * kTilePad + row + i], ws[k * kTilePad + column + j], sum[i][j]);
        }
      }
    }
  }
}

__global__ void __launch_bounds__(256) lora_matmul_float_kernel(Product p) {
  PRECIS_SHARED(float, xs, kTileDepth* kTilePad);
  PRECIS_SHARED(float, ws, kTileDepth* kTilePad);
  PRECIS_SHARED(float, ts, kTile* kTile);
  const int64_t m0 = int64_t{blockIdx.y} * kTile, n0 = int64_t{blockIdx.x} * kTile;
  const int row = thread() / 16 * 4, column = thread() % 16 * 4;
  auto rows_of = [&](const AnyMatrix& t) {
    return [&p, &t, m0](int i, int64_t k) { return m0 + i < p.rows ? t.get(m0 + i, k) : 0.0f; };
  };
  float sum[4][4] = {};
  auto w = [&](int i, int64_t k) {
    return n0 + i < p.outputs ? static_cast<const float*>(p.w)[(n0 + i) * p.w_stride + k] : 0.0f;
  };
  add_product(xs, ws, p.inputs, rows_of(p.x), w, sum);
  auto dropped_x = [&](int i, int64_t k) {
    if (m0 + i >= p.rows) return 0.0f;
    const float v = dropped(p.dropout, (m0 + i) * p.inputs + k, p.x.get(m0 + i, k));
    return p.x.bf16 ? round_to_bf16(v) : v;
  };
  // Sixty-four ranks at a time.
  for (int r0 = 0; r0 < p.ranks; r0 += kTile) {
    float low[4][4] = {};
    auto a = [&](int i, int64_t k) {
      return r0 + i < p.ranks ? static_cast<const float*>(p.a)[(r0 + i) * p.a_stride + k] : 0.0f;
    };
    if (p.dropout.of == PRECIS_LORA_DROPOUT_X) {
      add_product(xs, ws, p.inputs, dropped_x, a, low);
    } else {
      add_product(xs, ws, p.inputs, rows_of(p.separate_z ? p.z : p.x), a, low);
    }
    for (int i = 0; i < 4; i++) {
      for (int j = 0; j < 4; j++) {
        ts[(row + i) * kTile + column + j] = low[i][j];
        if (p.down != nullptr && blockIdx.x == 0 && m0 + row + i < p.rows &&
            r0 + column + j < p.ranks) {
          p.down[(m0 + row + i) * p.down_stride + r0 + column + j] =
              scaling_of_rank(p, r0 + column + j) * low[i][j];
        }
      }
    }
    // The barriers in add_product stand between writing and reading t.
    for (int i = 0; i < p.segment_count; i++) {
      const precis_lora_segment& s = p.segments[i];
      auto t = [&](int m, int64_t r) {
        const bool mine = r0 + r >= s.rank_begin && r0 + r < s.rank_end;
        return mine ? s.scaling * ts[m * kTile + static_cast<int>(r)] : 0.0f;
      };
      auto b = [&](int n, int64_t r) {
        const bool mine = n0 + n >= s.output_begin && n0 + n < s.output_end &&
                          r0 + r >= s.rank_begin && r0 + r < s.rank_end;
        return mine ? static_cast<const float*>(p.b)[(n0 + n) * p.b_stride + r0 + r] : 0.0f;
      };
      float part[4][4] = {};
      add_product(xs, ws, kTile, t, b, part);
      for (int j = 0; j < 4; j++) {
        const int64_t n = n0 + column + j;
        if (n < s.output_begin || n >= s.output_end) continue;  // not even NaN times 0
        for (int k = 0; k < 4; k++) {
          const int64_t index = (m0 + row + k) * p.outputs + n;
          sum[k][j] += p.dropout.of == PRECIS_LORA_DROPOUT_LOW_RANK
                           ? dropped(p.dropout, index, part[k][j])
                           : part[k][j];
        }
      }
    }
  }
  for (int i = 0; i < 4; i++) {
    for (int j = 0; j < 4; j++) store_result(p, m0 + row + i, n0 + column + j, sum[i][j]);
  }
}

cudaError_t run_product(CudaContext& context, const Product& p, int32_t dtype) {
  if (p.rows == 0) return cudaSuccess;
  if (ceil_div(p.rows, kTile) > kMaxGridY) return cudaErrorInvalidValue;
  if (dtype == PRECIS_FLOAT32) {
    const dim3 grid(static_cast<uint32_t>(ceil_div(p.outputs, kTile)),
                    static_cast<uint32_t>(ceil_div(p.rows, kTile)));
    return launch("lora_matmul, float32", lora_matmul_float_kernel, grid, 256, 0, context.stream,
                  p);
  }
  if (dtype != PRECIS_BFLOAT16 || p.ranks > kMaxLoraRanks) return cudaErrorInvalidValue;
  if (p.dropout.of == PRECIS_LORA_DROPOUT_X && p.t == nullptr) {
    void* t = nullptr;
    PRECIS_RETURN_IF_ERROR(
        context.scratch.reserve(static_cast<size_t>(p.rows * p.ranks) * sizeof(float), &t));
    Product with_t = p;
    with_t.t = static_cast<float*>(t);
    PRECIS_RETURN_IF_ERROR(lora_down(context, p, static_cast<float*>(t)));
    return run_product(context, with_t, dtype);
  }
  if (context.wgmma != Wgmma::kOff && (p.rows > kFewRows || context.wgmma != Wgmma::kManyRows)) {
    bool done = false;
    PRECIS_RETURN_IF_ERROR(lora_matmul_wgmma(context, p, &done));
    if (done) return cudaSuccess;
  }
  const bool direct = is_direct(p.x, p.inputs) && (!p.separate_z || is_direct(p.z, p.inputs));
  return direct ? run_ranks<true>(context, p) : run_ranks<false>(context, p);
}

Product product(const precis_tensor& x, const precis_packed_matrix& w, const precis_tensor& y,
                float alpha, int32_t accumulate) {
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
  p.pairs = p.y.stride % 2 == 0 && reinterpret_cast<uintptr_t>(y.data) % (p.y.bf16 ? 4 : 8) == 0;
  return p;
}

}  // namespace

cudaError_t matmul_cuda(CudaContext& context, const precis_matmul_args& a) {
  bool done = false;
  if (context.cublaslt != nullptr) {
    PRECIS_RETURN_IF_ERROR(context.cublaslt->multiply(context, a, &done));
  }
  if (done) return cudaSuccess;
  return run_product(context, product(a.x, a.w, a.y, a.alpha, a.accumulate), a.w.dtype);
}

cudaError_t lora_matmul_cuda(CudaContext& context, const precis_lora_matmul_args& l) {
  // The low-rank part in another type than W is not worth a kernel of its own.
  if (l.a.dtype != l.w.dtype || l.b.dtype != l.w.dtype) return cudaErrorInvalidValue;
  Product p = product(l.x, l.w, l.y, l.alpha, l.accumulate);
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
  p.ranks = static_cast<int>(l.a.outputs);
  p.segment_count = l.segment_count;
  for (int i = 0; i < l.segment_count; i++) p.segments[i] = l.segments[i];
  if (l.dropout > 0 && p.ranks > 0) {
    p.dropout = {l.dropout_of, dropout_threshold(l.dropout),
                 static_cast<float>(1 / (1 - double{l.dropout})), l.seed, l.offset};
  }
  return run_product(context, p, l.w.dtype);
}

}  // namespace precis
