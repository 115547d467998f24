// The fused product of lora_matmul.cuh by wgmma and TMA on Hopper (sm_90a), for bfloat16 rows of x
// that TMA can copy.
//
// A block has a tile of 128 x 128 of y: two warpgroups of 64 rows each. One thread issues the TMA
// copies, in steps of 64 of K. A stage of the ring holds x's tile and, as one tile, W's rows with
// A's below them. So a single wgmma of 64 x (128 + ranks) x 16 computes x W' and t = x A', and x is
// read once from shared memory too. (A z that is not x has a tile and a product of its own; t after
// dropout comes from lora_down.cu.) The barrier "full" counts a stage's bytes, the barrier "empty"
// the eight warps that have read it.
//
// After the loop t, scaled and rounded, is already in the registers that mma.sync wants as its
// operand; its product with B is added there, with the epilogue of the portable kernel. y in
// bfloat16 is transposed through shared memory and stored in rows of 256 bytes.
//
// Of a gated activation a tile has 64 values and their 64 factors, so that a thread has both.
//
// Arithmetic of a multiprocessor, for 16 elements of K and 64 rows: at 2048 multiply-adds a cycle
// 64 cycles without adapters, 72 with 16 ranks, 80 with 32; shared memory, at 128 bytes a cycle,
// delivers the 6, 6.5 and 7 KiB in 48, 52 and 56. The occupancy is two blocks per multiprocessor
// (at most 128 registers and 113 KiB each): one stores while the other multiplies, which is why the
// grid is not persistent. A producer warp would leave 96 registers, which is too few: a ninth warp
// is the fifth of one of the four quarters of a multiprocessor. At 8192 x 768 x 768 there are 384
// tiles, 2.9 for each of 132 multiprocessors, so the last wave is 97 % full; with tiles of 128 x
// 256 it would be 73 % (192 tiles).
//
// Not tried, for want of a GPU: 128 x 192 with two alternating consumers, multicast of W to a
// cluster.
#include "hopper.cuh"
#include "lora_matmul.cuh"

namespace precis {
namespace {

constexpr int kRows = 128, kColumns = 128;
constexpr int kThreads = 256;

// The way t is computed: as x A', as z A', or before this kernel by lora_down.
enum class Low { kX, kZ, kGiven };

template <int ranks, Low low>
struct Ring {
  static constexpr bool kGiven = low == Low::kGiven, kSeparateZ = low == Low::kZ;
  static constexpr int kRanks = ranks, kLoopRanks = kGiven ? 0 : ranks;
  static constexpr int kXBytes = kRows * kTileRowBytes;
  static constexpr int kWBytes = (kColumns + kLoopRanks) * kTileRowBytes;
  static constexpr int kStageBytes = (kSeparateZ ? 2 : 1) * kXBytes + kWBytes;
  // Blocks per multiprocessor.
  static constexpr int kMinBlocks = kLoopRanks <= 32 ? 2 : 1;
  static constexpr int kBlockBytes = ((228 << 10) / kMinBlocks) - 1024;
  static constexpr int kBarrierBytes = 16;  // a stage's "full" and "empty"
  static constexpr int kStages = (kBlockBytes - kTileAlignment) / (kStageBytes + kBarrierBytes);
  static constexpr int kBytes = kTileAlignment + kStages * (kStageBytes + kBarrierBytes);
  static_assert(kStages >= 2 && kBytes <= 227 << 10);
  static_assert(kStageBytes % kTileAlignment == 0 && kXBytes % kTileAlignment == 0);
  // The epilogue needs room for B, and then for y.
  static_assert(kColumns * rank_stride(ranks) * 2 <= kStages * kStageBytes);
  static_assert(kRows * rank_stride(kColumns) * 2 <= kStages * kStageBytes);
};

struct TiledProduct {
  CUtensorMap x, z, w, a;
  Product p;
  bool bounded_wait;  // barriers time out, so that a trial cannot hang
  bool wide;          // y is bfloat16 in aligned groups of eight
  int64_t gate;       // outputs from a value to its factor, of a gated activation; otherwise 0
};

template <class R>
__global__ void __launch_bounds__(kThreads, R::kMinBlocks)
    lora_matmul_wgmma_kernel(const __grid_constant__ TiledProduct q) {
#if PRECIS_SM90A
  constexpr int kRanks = R::kRanks, kStages = R::kStages;
  constexpr int kLoopRanks = R::kLoopRanks, kRankTiles = kLoopRanks / 8;
  constexpr int kDepth = kTileRowElements;  // of K, a step
  constexpr int kTilesN = kColumns / 8;
  const Product& p = q.p;
  const int64_t m0 = int64_t{blockIdx.y} * kRows, n0 = int64_t{blockIdx.x} * kColumns;
  const int warp = thread() / 32, lane = thread() % 32;

  DynamicShared dynamic;
  const Shared<Bf16> all = dynamic.take<Bf16>(R::kBytes / 2);
  const uint32_t unaligned = shared_address(all.at(0, 1));
  const uint32_t start = (unaligned + kTileAlignment - 1) / kTileAlignment * kTileAlignment;
  const Shared<Bf16> memory =
      all.part(static_cast<int>(start - unaligned) / 2, kStages * R::kStageBytes / 2);
  auto x_tile = [&](int stage) { return start + static_cast<uint32_t>(stage * R::kStageBytes); };
  auto z_tile = [&](int stage) { return x_tile(stage) + R::kXBytes; };
  auto w_tile = [&](int stage) {
    return x_tile(stage) + static_cast<uint32_t>((R::kSeparateZ ? 2 : 1) * R::kXBytes);
  };
  auto full = [&](int stage) {
    return start + static_cast<uint32_t>(kStages * R::kStageBytes + stage * R::kBarrierBytes);
  };
  auto empty = [&](int stage) { return full(stage) + 8; };
  if (thread() == 0) {
    for (int stage = 0; stage < kStages; stage++) {
      mbarrier_init(full(stage), 1);
      mbarrier_init(empty(stage), kThreads / 32);
    }
    mbarrier_init_fence();
  }
  __syncthreads();

  // Without a separate z, the tiles of t follow those of y in sum.
  float sum[R::kSeparateZ ? kTilesN : kTilesN + kRankTiles][4] = {};
  float of_z[R::kSeparateZ ? kRankTiles : 1][4] = {};
  const int steps = static_cast<int>((p.inputs + kDepth - 1) / kDepth);
  auto copy_step = [&](int step) {
    const int stage = step % kStages;
    // The barrier counts whole boxes, including what lies outside the matrix.
    mbarrier_arrive_expect(full(stage), R::kStageBytes);
    const int k = step * kDepth, m = static_cast<int>(m0), n = static_cast<int>(n0);
    copy_tile(x_tile(stage), q.x, k, m, full(stage));
    if constexpr (R::kSeparateZ) copy_tile(z_tile(stage), q.z, k, m, full(stage));
    if (kRanks == 0 && q.gate > 0) {
      // Two boxes of half the tile's rows: values, and their factors.
      copy_tile(w_tile(stage), q.w, k, n / 2, full(stage));
      copy_tile(w_tile(stage) + kColumns / 2 * kTileRowBytes, q.w, k,
                static_cast<int>(q.gate) + n / 2, full(stage));
    } else {
      copy_tile(w_tile(stage), q.w, k, n, full(stage));
    }
    if constexpr (kLoopRanks > 0) {
      copy_tile(w_tile(stage) + kColumns * kTileRowBytes, q.a, k, 0, full(stage));
    }
  };
  if (thread() == 0) {
    for (int step = 0; step < kStages && step < steps; step++) copy_step(step);
  }
  __syncwarp();
  wgmma_registers(sum);
  if constexpr (R::kSeparateZ) wgmma_registers(of_z);
  const uint32_t above = static_cast<uint32_t>(warp / 4 * 64 * kTileRowBytes);
  for (int step = 0; step < steps; step++) {
    const int stage = step % kStages;
    mbarrier_wait(full(stage), static_cast<uint32_t>(step / kStages) % 2, q.bounded_wait);
    const uint64_t x = tile_descriptor(x_tile(stage) + above);
    const uint64_t w = tile_descriptor(w_tile(stage));
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < kDepth / 16; k++) {
      wgmma(sum, x + k * kDescriptorStep, w + k * kDescriptorStep);
    }
    if constexpr (R::kSeparateZ) {
      const uint64_t z = tile_descriptor(z_tile(stage) + above);
      const uint64_t a = tile_descriptor(w_tile(stage) + kColumns * kTileRowBytes);
#pragma unroll
      for (int k = 0; k < kDepth / 16; k++) {
        wgmma(of_z, z + k * kDescriptorStep, a + k * kDescriptorStep);
      }
    }
    wgmma_commit();
    // The previous step is done. When all warps have arrived at "empty", its stage is refilled.
    wgmma_wait<1>();
    if (step == 0 || step - 1 + kStages >= steps) continue;
    const int before = (step - 1) % kStages;
    if (lane == 0) mbarrier_arrive(empty(before));
    if (thread() == 0) {
      mbarrier_wait(empty(before), static_cast<uint32_t>((step - 1) / kStages) % 2, q.bounded_wait);
      copy_step(step - 1 + kStages);
    }
    __syncwarp();
  }
  wgmma_wait<0>();
  wgmma_registers(sum);
  if constexpr (R::kSeparateZ) wgmma_registers(of_z);

  const int row = warp * 16 + lane / 4;  // of the tile; the thread has row + 8 too
  if constexpr (kRanks > 0) {
    // The thread's elements of t for the eight ranks from r on: two neighbors, in two rows.
    const int lane_rank = lane % 4 * 2;
    auto low = [&](int r, float(&t)[2][2]) {
#pragma unroll
      for (int e = 0; e < 4; e++) {
        if constexpr (R::kGiven) {
          const int64_t m = m0 + row + e / 2 * 8;
          const int rank = r + lane_rank + e % 2;
          t[e / 2][e % 2] = m < p.rows && rank < p.ranks ? p.t[m * p.ranks + rank] : 0.0f;
        } else if constexpr (R::kSeparateZ) {
          t[e / 2][e % 2] = of_z[r / 8][e];
        } else {
          t[e / 2][e % 2] = sum[kTilesN + r / 8][e];
        }
      }
    };
    if (p.down != nullptr && blockIdx.x == 0) {
#pragma unroll
      for (int r = 0; r < kRanks; r += 8) {
        float t[2][2];
        low(r, t);
#pragma unroll
        for (int e = 0; e < 4; e++) {
          const int64_t m = m0 + row + e / 2 * 8;
          const int rank = r + lane_rank + e % 2;
          if (m < p.rows && rank < p.ranks) {
            p.down[m * p.down_stride + rank] = scaling_of_rank(p, rank) * t[e / 2][e % 2];
          }
        }
      }
    }
    for (int i = 0; i < p.segment_count; i++) {
      const precis_lora_segment s = p.segments[i];
      if (!overlaps(s, n0, kColumns)) continue;  // uniform over the block
      __syncthreads();  // no thread reads the stages or the last segment's B any more
      const Shared<Bf16> bs = memory.part(0, kColumns * rank_stride(kRanks));
      load_up<kColumns, kRanks>(p, s, n0, bs);
      __syncthreads();
      add_segment<1, kTilesN, kRanks, R::kGiven ? 1 : kRanks / 16>(
          p, s, bs, m0 + warp * 16, n0, 0,
          [&](int, int k, uint32_t(&f)[4]) {
#pragma unroll
            for (int half = 0; half < 2; half++) {
              const int rank = k + half * 8 + lane_rank;
              float t[2][2];
              low(k + half * 8, t);
#pragma unroll
              for (int e = 0; e < 4; e++) {
                const bool mine = rank + e % 2 >= s.rank_begin && rank + e % 2 < s.rank_end;
                t[e / 2][e % 2] = mine ? s.scaling * t[e / 2][e % 2] : 0.0f;
              }
              f[2 * half] = pack_bf16(t[0][0], t[0][1]);
              f[2 * half + 1] = pack_bf16(t[1][0], t[1][1]);
            }
          },
          [&](int, int j) -> float(&)[4] { return sum[j]; });
    }
  }

  if (kRanks == 0 && q.gate > 0) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
#pragma unroll
      for (int j = 0; j < kTilesN / 2; j++) {
#pragma unroll
        for (int e = 0; e < 2; e++) {
          store_activated(p, m0 + row + half * 8, n0 / 2 + j * 8 + lane % 4 * 2 + e,
                          sum[j][2 * half + e], sum[j + kTilesN / 2][2 * half + e]);
        }
      }
    }
    return;
  }
  if (!q.wide) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
#pragma unroll
      for (int j = 0; j < kTilesN; j++) {
        store_results(p, m0 + row + half * 8, n0 + j * 8 + lane % 4 * 2, sum[j][2 * half],
                      sum[j][2 * half + 1]);
      }
    }
    return;
  }
  constexpr int kWide = rank_stride(kColumns);
  const Shared<Bf16> ys = memory.part(0, kRows * kWide);
  __syncthreads();  // no thread reads the stages or B any more
#pragma unroll
  for (int half = 0; half < 2; half++) {
#pragma unroll
    for (int j = 0; j < kTilesN; j++) {
      Bf16* to = ys.at((row + half * 8) * kWide + j * 8 + lane % 4 * 2, 2);
      *reinterpret_cast<uint32_t*>(to) =
          pack_bf16(p.alpha * sum[j][2 * half], p.alpha * sum[j][2 * half + 1]);
    }
  }
  __syncthreads();
  for (int e = thread(); e < kRows * kColumns / kEight; e += kThreads) {
    const int r = e / (kColumns / kEight), column = e % (kColumns / kEight) * kEight;
    const int64_t m = m0 + r, n = n0 + column;
    if (m >= p.rows || n >= p.outputs) continue;
    Bf16* to = static_cast<Bf16*>(p.y.data) + m * p.y.stride + n;
    const Bf16* from = ys.at(r * kWide + column, kEight);
    if (n + kEight <= p.outputs) {
      store16(to, load16(from));
    } else {
      for (int i = 0; i < p.outputs - n; i++) to[i] = from[i];
    }
  }
#else
  (void)q;
#endif
}

template <class R>
cudaError_t run(CudaContext& context, TiledProduct q, bool* done) {
  const Product& p = q.p;
  if (ceil_div(p.rows, kRows) > kMaxGridY || context.block_shared_bytes < R::kBytes ||
      !describe_tiles(&q.x, p.x.data, p.rows, p.inputs, p.x.stride, kRows) ||
      !describe_tiles(&q.w, p.w, p.w_rows, p.w_stride, p.w_stride,
                      q.gate > 0 ? kColumns / 2 : kColumns) ||
      (R::kRanks > 0 && !describe_tiles(&q.a, p.a, p.a_rows, p.a_stride, p.a_stride, R::kRanks)) ||
      (R::kSeparateZ && !describe_tiles(&q.z, p.z.data, p.rows, p.inputs, p.z.stride, kRows))) {
    return cudaSuccess;
  }
  *done = true;
  const dim3 grid(static_cast<uint32_t>(ceil_div(p.outputs, kColumns)),
                  static_cast<uint32_t>(ceil_div(p.rows, kRows)));
  return launch("lora_matmul, wgmma", lora_matmul_wgmma_kernel<R>, grid, kThreads,
                static_cast<size_t>(R::kBytes), context.stream, q);
}

template <int kRanks>
cudaError_t run_ranks(CudaContext& context, const TiledProduct& q, bool* done) {
  return q.p.separate_z ? run<Ring<kRanks, Low::kZ>>(context, q, done)
                        : run<Ring<kRanks, Low::kX>>(context, q, done);
}

}  // namespace

cudaError_t lora_matmul_wgmma(CudaContext& context, const Product& p, bool* done) {
  *done = false;
  if (!p.x.bf16 || (p.separate_z && !p.z.bf16)) return cudaSuccess;
  TiledProduct q = {};
  q.p = p;
  q.bounded_wait = context.wgmma == Wgmma::kTrial;
  q.wide = p.y.bf16 && !p.accumulate && p.residual.sum == nullptr &&
           p.activation_backward.x.data == nullptr && p.y.stride % kEight == 0 &&
           is_aligned(p.y.data);
  q.gate = p.activation.y.data != nullptr && p.activation.gated ? p.outputs / 2 : 0;
  if (p.t != nullptr) return run<Ring<128, Low::kGiven>>(context, q, done);
  if (p.ranks == 0) return run<Ring<0, Low::kX>>(context, q, done);
  if (p.ranks <= 16) return run_ranks<16>(context, q, done);
  if (p.ranks <= 32) return run_ranks<32>(context, q, done);
  return run_ranks<128>(context, q, done);
}

}  // namespace precis
