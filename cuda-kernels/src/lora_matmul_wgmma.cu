// The fused LoRA product of lora_matmul.cu on Hopper's own tensor cores (sm_90a), for bfloat16 rows
// of x that the copy engine can read.
//
// A block has 128 x 128 of y: two warpgroups of 64 rows each. One thread asks the copy engine for
// tiles of 64 of K. A stage of the ring holds x's tile and, as one tile, W's rows with A's below
// them. So a single wgmma of 64 x (128 + ranks) x 16 gives x W' and t = x A': x
// is read once from shared memory too. (Dropped-out z has a tile of its own and a product of its
// own.) The barrier "full" counts a stage's bytes, "empty" the eight warps that have read it.
//
// Behind the loop t, scaled and rounded, is in the registers just where mma.sync wants its operand,
// and its product with B is added there, with the code of the portable kernel. y in bfloat16 is
// turned round in shared memory and stored in rows of 256 bytes.
//
// Arithmetic of a multiprocessor, for sixteen of K and 64 rows: 2048 multiply-adds a cycle make 64
// cycles without adapters, 72 with 16 ranks, 80 with 32; shared memory, at 128 bytes a cycle, gives
// 6, 6.5 and 7 KiB in 48, 52 and 56. Two blocks fit into a multiprocessor (at most 128 registers
// and 113 KiB each): one stores while the other multiplies, which is why the grid is not persistent.
// A warp of its own for the copies would leave 96 registers, which is too few: a ninth warp is the
// fifth of one of the four quarters of a multiprocessor.
// At 8192 x 768 x 768 there are 384 tiles, 2.9 for each of 132 multiprocessors, so a wave is 97 %
// full; tiles of 128 x 256 would be 192, 73 %.
//
// Not tried, for want of a GPU: 128 x 192 with two consumers in turn, multicast of W to a cluster.
#include "hopper.cuh"
#include "lora_matmul.cuh"

namespace precis {
namespace {

constexpr int kRows = 128, kColumns = 128;
constexpr int kThreads = 256;

template <int ranks, bool separate_z>
struct Ring {
  static constexpr int kRanks = ranks;
  static constexpr bool kSeparateZ = separate_z;
  static constexpr int kXBytes = kRows * kTileRowBytes;
  static constexpr int kWBytes = (kColumns + ranks) * kTileRowBytes;
  static constexpr int kStageBytes = (separate_z ? 2 : 1) * kXBytes + kWBytes;
  // Blocks in one multiprocessor.
  static constexpr int kTogether = ranks <= 32 ? 2 : 1;
  static constexpr int kBlockBytes = ((228 << 10) / kTogether) - 1024;
  static constexpr int kBarrierBytes = 16;  // a stage's full and empty
  static constexpr int kStages =
      (kBlockBytes - kTileAlignment) / (kStageBytes + kBarrierBytes);
  static constexpr int kBytes = kTileAlignment + kStages * (kStageBytes + kBarrierBytes);
  static_assert(kStages >= 2 && kBytes <= 227 << 10);
  static_assert(kStageBytes % kTileAlignment == 0 && kXBytes % kTileAlignment == 0);
  // Later: B, and y on its way out.
  static_assert(kColumns * rank_stride(ranks) * 2 <= kStages * kStageBytes);
  static_assert(kRows * rank_stride(kColumns) * 2 <= kStages * kStageBytes);
};

struct TiledProduct {
  CUtensorMap x, z, w, a;
  Product p;
  bool impatient;
  bool wide;  // y is bfloat16 in aligned eights
};

template <class R>
__global__ void __launch_bounds__(kThreads, R::kTogether)
    lora_matmul_wgmma_kernel(const __grid_constant__ TiledProduct q) {
#if PRECIS_SM90A
  constexpr int kRanks = R::kRanks, kStages = R::kStages, kRankTiles = kRanks / 8;
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

  // With x alone, t is the tiles of sum behind those of y.
  float sum[R::kSeparateZ ? kTilesN : kTilesN + kRankTiles][4] = {};
  float of_z[R::kSeparateZ ? kRankTiles : 1][4] = {};
  const int steps = static_cast<int>((p.inputs + kDepth - 1) / kDepth);
  auto copy_step = [&](int step) {
    const int stage = step % kStages;
    // The whole of each box, whatever of it lies outside the matrix.
    mbarrier_arrive_expect(full(stage), R::kStageBytes);
    const int k = step * kDepth, m = static_cast<int>(m0), n = static_cast<int>(n0);
    copy_tile(x_tile(stage), q.x, k, m, full(stage));
    if constexpr (R::kSeparateZ) copy_tile(z_tile(stage), q.z, k, m, full(stage));
    copy_tile(w_tile(stage), q.w, k, n, full(stage));
    if constexpr (kRanks > 0) {
      copy_tile(w_tile(stage) + kColumns * kTileRowBytes, q.a, k, 0, full(stage));
    }
  };
  if (thread() == 0) {
    for (int step = 0; step < kStages && step < steps; step++) copy_step(step);
  }
  __syncwarp();
  const uint32_t above = static_cast<uint32_t>(warp / 4 * 64 * kTileRowBytes);
  for (int step = 0; step < steps; step++) {
    const int stage = step % kStages;
    mbarrier_wait(full(stage), static_cast<uint32_t>(step / kStages) % 2, q.impatient);
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
    // The step before this one is done. When all warps have said so, its stage is filled again.
    wgmma_wait<1>();
    if (step == 0 || step - 1 + kStages >= steps) continue;
    const int before = (step - 1) % kStages;
    if (lane == 0) mbarrier_arrive(empty(before));
    if (thread() == 0) {
      mbarrier_wait(empty(before), static_cast<uint32_t>((step - 1) / kStages) % 2, q.impatient);
      copy_step(step - 1 + kStages);
    }
    __syncwarp();
  }
  wgmma_wait<0>();

  const int row = warp * 16 + lane / 4;  // of the tile, and eight below
  if constexpr (kRanks > 0) {
    auto low = [&](int tile) -> float(&)[4] {
      if constexpr (R::kSeparateZ) {
        return of_z[tile];
      } else {
        return sum[kTilesN + tile];
      }
    };
    if (p.down != nullptr && blockIdx.x == 0) {
#pragma unroll
      for (int t = 0; t < kRankTiles; t++) {
#pragma unroll
        for (int e = 0; e < 4; e++) {
          const int64_t m = m0 + row + e / 2 * 8;
          const int rank = t * 8 + lane % 4 * 2 + e % 2;
          if (m < p.rows && rank < p.ranks) {
            p.down[m * p.down_stride + rank] = scaling_of_rank(p, rank) * low(t)[e];
          }
        }
      }
    }
    for (int i = 0; i < p.segment_count; i++) {
      const precis_lora_segment s = p.segments[i];
      if (s.output_end <= n0 || s.output_begin >= n0 + kColumns || s.rank_begin >= s.rank_end) {
        continue;  // the same for all threads
      }
      __syncthreads();  // nobody reads the stages, or the last segment's B, any more
      const Shared<Bf16> bs = memory.part(0, kColumns * rank_stride(kRanks));
      bring_up<kColumns, kRanks>(p, s, n0, bs);
      __syncthreads();
#pragma unroll
      for (int k = 0; k < kRanks; k += 16) {
        if (k + 16 <= s.rank_begin || k >= s.rank_end) continue;
        uint32_t a[1][4];
#pragma unroll
        for (int h = 0; h < 4; h++) {  // rows below by h mod 2, ranks further by h / 2
          float scaled[2];
#pragma unroll
          for (int e = 0; e < 2; e++) {
            const int rank = k + h / 2 * 8 + lane % 4 * 2 + e;
            const bool mine = rank >= s.rank_begin && rank < s.rank_end;
            scaled[e] = mine ? s.scaling * low(k / 8 + h / 2)[h % 2 * 2 + e] : 0.0f;
          }
          a[0][h] = pack_bf16(scaled[0], scaled[1]);
        }
        add_ranks<1, kTilesN>(s, bs, rank_stride(kRanks), n0, 0, k, a,
                              [&](int, int j) -> float(&)[4] { return sum[j]; });
      }
    }
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
  __syncthreads();  // nobody reads the stages or B any more
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
      !describe_tiles(&q.w, p.w, p.w_rows, p.w_stride, p.w_stride, kColumns) ||
      (R::kRanks > 0 &&
       !describe_tiles(&q.a, p.a, p.a_rows, p.a_stride, p.a_stride, R::kRanks)) ||
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
  return q.p.separate_z ? run<Ring<kRanks, true>>(context, q, done)
                        : run<Ring<kRanks, false>>(context, q, done);
}

}  // namespace

cudaError_t lora_matmul_wgmma(CudaContext& context, const Product& p, bool* done) {
  *done = false;
  if (!p.x.bf16 || (p.separate_z && !p.z.bf16)) return cudaSuccess;
  TiledProduct q = {};
  q.p = p;
  q.impatient = context.wgmma == Wgmma::kTrial;
  q.wide = p.y.bf16 && !p.accumulate && p.y.stride % kEight == 0 &&
           reinterpret_cast<uintptr_t>(p.y.data) % 16 == 0;
  if (p.ranks == 0) return run<Ring<0, false>>(context, q, done);
  if (p.ranks <= 16) return run_ranks<16>(context, q, done);
  if (p.ranks <= 32) return run_ranks<32>(context, q, done);
  return run_ranks<128>(context, q, done);
}

}  // namespace precis
