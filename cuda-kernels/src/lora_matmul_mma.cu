// The fused product of lora_matmul.cuh by mma.sync: the portable tensor core path for bfloat16
// weights, on sm_80 and later.
//
// A block has a tile of kRows x kColumns of y. Along K, in steps of 32, it multiplies its rows of x
// with W and, from the same tile in shared memory, with A: t = x A' stays in registers. After the
// loop, the epilogue scales and rounds t, puts it into shared memory, and adds its product with B
// to the accumulators of x W'. So x is read once and y written once. Rows in shared memory are 80
// bytes apart, so the eight rows of a fragment lie in different banks.
//
// A ring of kStages steps, with one barrier a step, is filled by cp.async with a prefetch distance
// of kStages - 1 steps. x is copied that way too where it is bfloat16 in aligned rows whose length
// is a multiple of eight; otherwise it is converted on its way from registers to shared memory, one
// step in advance.
//
// There are three tiles: 128 x 128 for four warps, or for eight where x goes through registers or
// there are many ranks; for few rows 16 x 64 for four warps, and 16 x 16 for one warp with a long
// ring where 16 x 64 leaves most of the GPU idle. In each, every sum runs through k in steps of 16
// and K is not split, so a row's bits do not depend on the batch.
//
// A product of one row (768 x 768) is bound by memory latency, not by its 1.2 MB: 7 stages of 24
// steps, 6 of them in flight, cost four times the latency; 18 stages, 17 in flight, cost hardly
// twice the latency, and use 48 blocks instead of 12.
//
// For 16 elements of K, a warp of four executes 32 mma and 8 ldmatrix without adapters, 4 and 1/2
// more with 16 ranks, 8 and 1 more with 32. Every block of a row computes t again, which is 12.5 %
// and 25 % more products than x W', but it does so from fragments of x that it has anyway. A step
// of 32 then reads 32 KiB from shared memory and writes 16, where eight warps of 64 x 32 read 48.
// With three stages two blocks fit into a multiprocessor.
//
// Dropout of A's input: t = dropout(x) A' comes from lora_down.cu, which computes each mask once
// and not once for every block of a row. Dropout of the low-rank term is applied in the epilogue.
//
// A decode step's product takes its neighbors along, which saves their launches and the reads and
// writes in between, and changes no bit: each value is rounded where the separate kernels round it.
//   - RMS norm in the prologue: while W's first stages are on their way, a warp for each row computes
//     the row's scale; x is normalized on its way through registers. Every block of a row does that
//     again, from the L2 cache; the first writes the normalized rows.
//   - Activation in the epilogue: where it is gated, a tile has a value's and its gate's outputs in
//     turns of eight, so that a thread has both.
//
// Tried: x always through registers, two stages, eight warps. That took 162 registers without
// adapters and 188 with, so one block per multiprocessor, and exposed a copy's whole latency in
// every step of a small tile. Not tried yet: 256 columns. mma.sync reaches about 60 % of a Hopper
// GPU's rate; there lora_matmul_wgmma.cu runs everything except rows that must be converted.
#include "lora_matmul.cuh"
#include "row_in_registers.cuh"

namespace precis {
namespace {

constexpr int kDepth = 32;           // elements of K in a step
constexpr int kStride = kDepth + 8;  // from row to row in shared memory, in elements
constexpr int kPerRow = kDepth / kEight;

// Elements of shared memory: stages of x, z, W and A; in the epilogue the scaled t and B.
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

// The shape of a block. kDirect: the rows of x and z are bfloat16, aligned, and a multiple of eight
// long. kGiven: t has been computed already.
template <int rows, int columns, int warps_m, int warps_n, int ranks, int stages, bool direct,
          bool given = false, bool activates = false>
struct Block {
  static constexpr int kRows = rows, kColumns = columns, kWarpsM = warps_m, kWarpsN = warps_n;
  static constexpr int kRanks = ranks, kStages = stages;
  static constexpr bool kDirect = direct, kGiven = given, kActivates = activates;
  static constexpr int kLoopRanks = kGiven ? 0 : ranks;  // of A
  static constexpr int kThreads = warps_m * warps_n * 32;
  // Blocks per multiprocessor: a second one hides latency.
  static constexpr int kMinBlocks = direct && (ranks <= 32 || given) ? 2 : 1;
};

template <class B>
__global__ void __launch_bounds__(B::kThreads, B::kMinBlocks)
    lora_matmul_kernel(const __grid_constant__ Product p) {
  constexpr int kRows = B::kRows, kColumns = B::kColumns, kWarpsM = B::kWarpsM;
  constexpr int kWarpsN = B::kWarpsN, kRanks = B::kRanks, kStages = B::kStages;
  constexpr int kLoopRanks = B::kLoopRanks;
  constexpr int kThreads = B::kThreads;
  constexpr int kTilesM = kRows / kWarpsM / 16, kTilesN = kColumns / kWarpsN / 8;
  // t: the warps of the same rows divide the ranks among themselves, eight at a time; some may have
  // none.
  constexpr int kRankTiles = kLoopRanks / 8;
  constexpr int kLowTiles = kLoopRanks > 0 ? (kRankTiles + kWarpsN - 1) / kWarpsN : 1;
  static_assert(kTilesN % 2 == 0 && kRankTiles % kLowTiles == 0);
  static_assert(kLowTiles == 1 || kLowTiles % 2 == 0);
  // A thread copies the same eight columns of every kPassRows-th row: kCopies of x, kCopiesW of W
  // and A.
  constexpr int kPassRows = kThreads / kPerRow;
  constexpr int kCopies = (kRows + kPassRows - 1) / kPassRows;
  constexpr int kCopiesW = (kColumns + kLoopRanks + kPassRows - 1) / kPassRows;

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
  const int64_t gated = B::kActivates && p.activation.gated ? p.outputs / 2 : 0;
  // The output of a column of the tile, where they are scattered.
  auto output_of = [&](int column) -> int64_t {
    return gated > 0 ? gated_output(n0, column, gated) : n0 + column;
  };
  const int warp = thread() / 32, lane = thread() % 32;
  const int warp_m = warp / kWarpsN * (kRows / kWarpsM);
  const int warp_n = warp % kWarpsN * (kColumns / kWarpsN);
  const int first_rank = warp % kWarpsN * kLowTiles * 8;
  const int first_row = thread() / kPerRow, column = thread() % kPerRow * kEight;

  // Copies W's rows and, below them, A's. Both are padded to whole passes.
  static_assert(kColumns % kPassRows == 0 && kCudaPackMultiple % kPassRows == 0);
  const Bf16* w_from = static_cast<const Bf16*>(p.w) + (n0 + first_row) * p.w_stride + column;
  const Bf16* a_from = static_cast<const Bf16*>(p.a) + first_row * p.a_stride + column;
  auto copy_w = [&](int stage, int k0) {
    const Shared<Bf16> tile = w_tile(stage);
#pragma unroll
    for (int i = 0; i < kCopiesW; i++) {
      const int row = first_row + i * kPassRows;
      if (row >= kColumns + kLoopRanks) break;
      if constexpr (B::kActivates) {
        static_assert(kLoopRanks == 0);
        const int64_t n = output_of(row);
        const bool wanted = n < p.w_rows;
        copy_async(tile.at(row * kStride + column, kEight),
                   static_cast<const Bf16*>(p.w) + (wanted ? n : 0) * p.w_stride + column + k0,
                   wanted);
      } else {
        // All rows of a pass exist, or none does.
        const int of_pass = i * kPassRows;
        const bool of_w = of_pass < kColumns;
        const bool wanted = of_w ? n0 + of_pass < p.w_rows : of_pass - kColumns < p.a_rows;
        const Bf16* from =
            of_w ? w_from + of_pass * p.w_stride : a_from + (of_pass - kColumns) * p.a_stride;
        copy_async(tile.at(row * kStride + column, kEight), (wanted ? from : w_from) + k0, wanted);
      }
    }
  };
  // Copies x and, below it, z.
  auto copy_x = [&](int stage, int k0) {
    const Shared<Bf16> tile = x_tile(stage);
    const int64_t k = k0 + column;
    auto copy_rows = [&](const AnyMatrix& from, int above) {
#pragma unroll
      for (int i = 0; i < kCopies; i++) {
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
  // Without kDirect, x and z go through registers, where they are normalized or converted.
  PRECIS_SHARED(float, scales, B::kDirect ? 1 : kRows);
  constexpr int kHeld = B::kDirect ? 1 : kCopies;
  float held_x[kHeld][kEight], held_z[kHeld][kEight];
  auto load_x = [&](int64_t k0) {
#pragma unroll
    for (int i = 0; i < kHeld; i++) {
      const int row = first_row + i * kPassRows;
      const int64_t m = m0 + row, k = k0 + column;
      const int count = up_to_eight(row < kRows && m < p.rows ? p.inputs - k : 0);
      if (p.norm.rows != nullptr) {
        float weight[kEight];
        load8(p.norm.rows + m * p.norm.stride + k, count, held_x[i]);
        load8(p.norm.weight + k, count, weight);
        const float scale = count > 0 ? scales[row] : 0.0f;
#pragma unroll
        for (int j = 0; j < kEight; j++) held_x[i][j] = held_x[i][j] * scale * weight[j];
        if (blockIdx.x == 0) p.x.save(m, k, count, held_x[i]);
        continue;
      }
      p.x.load(m, k, count, held_x[i]);
      if (p.separate_z) p.z.load(m, k, count, held_z[i]);
    }
  };
  auto store_x = [&](int stage) {
    const Shared<Bf16> tile = x_tile(stage);
#pragma unroll
    for (int i = 0; i < kHeld; i++) {
      const int row = first_row + i * kPassRows;
      if (row >= kRows) break;
      const int at = row * kStride + column;
      store8(tile.at(at, kEight), kEight, held_x[i]);
      if (p.separate_z) store8(tile.at(at + kRows * kStride, kEight), kEight, held_z[i]);
    }
  };

  const int steps = static_cast<int>((p.inputs + kDepth - 1) / kDepth);
  // Every step commits a group, even an empty one after the last step, so that groups can be
  // counted.
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
    if (p.norm.rows != nullptr) {
      for (int row = warp; row < kRows && m0 + row < p.rows; row += kThreads / 32) {
        const int width = static_cast<int>(p.inputs);
        const RowInRegisters x(p.norm.rows + (m0 + row) * p.norm.stride, width);
        const float scale = rms_scale(x, width, p.norm.epsilon);
        if (lane == 0) scales[row] = scale;
      }
      __syncthreads();
    }
    load_x(0);
    store_x(0);
  }
  for (int step = 0; step < steps; step++) {
    const int stage = step % kStages;
    copy_async_wait<kStages - 2>();
    __syncthreads();  // this stage has arrived, and no thread reads the one before it any more
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
        // A's operands: one tile's for both halves of the step, or those of two tiles at a time.
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
    // Calls f(row of the tile, rank, t) for the thread's elements of t.
    auto each_low = [&](auto f) {
      if constexpr (B::kGiven) {
        for (int e = thread(); e < kRows * kRanks; e += kThreads) {
          const int row = e / kRanks, rank = e % kRanks;
          const bool inside = m0 + row < p.rows && rank < p.ranks;
          f(row, rank, inside ? p.t[(m0 + row) * p.ranks + rank] : 0.0f);
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
      if (!overlaps(s, n0, kColumns)) continue;  // uniform over the block
      __syncthreads();  // no thread reads the stages or the last segment's tiles any more
      each_low([&](int row, int rank, float t) {
        const bool mine = rank >= s.rank_begin && rank < s.rank_end;
        ts[row * kLow + rank] = to_bf16(mine ? s.scaling * t : 0.0f);
      });
      load_up<kColumns, kRanks>(p, s, n0, bs);
      __syncthreads();
      add_segment<kTilesM, kTilesN, kRanks, 1>(
          p, s, bs, m0 + warp_m, n0, warp_n,
          [&](int t, int k, uint32_t(&f)[4]) { load_a(ts, kLow, warp_m + t * 16, k, f); },
          [&](int t, int j) -> float(&)[4] { return sum[t][j]; });
    }
  }

  if constexpr (B::kActivates) {
#pragma unroll
    for (int i = 0; i < kTilesM; i++) {
#pragma unroll
      for (int j = 0; j < kTilesN; j++) {
#pragma unroll
        for (int e = 0; e < 4; e++) {
          const int64_t m = m0 + warp_m + i * 16 + lane / 4 + e / 2 * 8;
          const int64_t n = output_of(warp_n + j * 8 + lane % 4 * 2 + e % 2);
          if (gated == 0) {
            store_activated(p, m, n, sum[i][j][e], 0);
          } else if (j % 2 == 0) {
            store_activated(p, m, n, sum[i][j][e], sum[i][j + 1][e]);
          }
        }
      }
    }
  } else {
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
}

template <class B>
size_t block_bytes(const Product& p) {
  return shared_bytes<Bf16>(
      shared_elements(B::kRows, B::kColumns, B::kRanks, B::kLoopRanks, p.separate_z, B::kStages));
}

template <class B>
cudaError_t run(CudaContext& context, const Product& p) {
  const dim3 grid(static_cast<uint32_t>(ceil_div(p.outputs, B::kColumns)),
                  static_cast<uint32_t>(ceil_div(p.rows, B::kRows)));
  return launch("lora_matmul", lora_matmul_kernel<B>, grid, B::kThreads, block_bytes<B>(p),
                context.stream, p);
}

template <int kRanks, bool kDirect>
cudaError_t run_ranks(CudaContext& context, const Product& p) {
  // As many stages as fit into 99 KiB, the limit of a block on sm_86 and sm_89, or, for few rows
  // without adapters, into 48 KiB, which need no opt-in.
  constexpr bool kMany = kRanks > 32;
  // Four warps with 64 x 64 results each read less from shared memory than eight; they need the
  // registers.
  constexpr int kWarpsN = kDirect && !kMany ? 2 : 4;
  if (p.rows > kFewRows) {
    return run<Block<128, 128, 2, kWarpsN, kRanks, kMany ? 2 : 3, kDirect>>(context, p);
  }
  if constexpr (kRanks == 0) {
    if (ceil_div(p.outputs, 64) * ceil_div(p.rows, 16) < 2 * context.multiprocessors) {
      return run<Block<16, 16, 1, 1, 0, 18, kDirect>>(context, p);
    }
  }
  return run<Block<16, 64, 1, 4, kRanks, kMany ? 4 : 7, kDirect>>(context, p);
}

// Few rows, which go through registers, and y alone.
template <int kRanks>
cudaError_t run_few(CudaContext& context, const Product& p) {
  if constexpr (kRanks == 0) {
    // One warp has all rows of a tile to normalize.
    constexpr int64_t kRowsOfOneWarp = 4;
    if (p.rows <= kRowsOfOneWarp && ceil_div(p.outputs, 64) < 2 * context.multiprocessors) {
      if (p.activation.y.data != nullptr) {
        return run<Block<16, 16, 1, 1, 0, 18, false, false, true>>(context, p);
      }
      return run<Block<16, 16, 1, 1, 0, 18, false>>(context, p);
    }
    if (p.activation.y.data != nullptr) {
      return run<Block<16, 64, 1, 4, 0, 7, false, false, true>>(context, p);
    }
  }
  return run<Block<16, 64, 1, 4, kRanks, kRanks <= 32 ? 7 : 4, false>>(context, p);
}

template <bool kDirect>
cudaError_t run_direct(CudaContext& context, const Product& p) {
  if (p.t != nullptr) {
    return p.rows <= kFewRows
               ? run<Block<16, 64, 1, 4, 128, 4, kDirect, true>>(context, p)
               : run<Block<128, 128, 2, kDirect ? 2 : 4, 128, 3, kDirect, true>>(context, p);
  }
  if (p.ranks == 0) return run_ranks<0, kDirect>(context, p);
  if (p.ranks <= 16) return run_ranks<16, kDirect>(context, p);
  if (p.ranks <= 32) return run_ranks<32, kDirect>(context, p);
  return run_ranks<128, kDirect>(context, p);
}

}  // namespace

bool can_fuse(const CudaContext& context, const Product& p) {
  constexpr int64_t kBlocks = 8;  // for a multiprocessor
  const bool fits =
      ceil_div(p.outputs, 64) * ceil_div(p.rows, 16) <= kBlocks * context.multiprocessors;
  // All products use wgmma if it has other bits than mma.sync.
  return p.rows > 0 && p.rows <= kMaxFusedRows && fits && !p.separate_z && p.t == nullptr &&
         p.dropout.of != PRECIS_LORA_DROPOUT_X && p.ranks <= kMaxLoraRanks &&
         (context.wgmma == Wgmma::kOff || context.wgmma == Wgmma::kManyRows);
}

cudaError_t fused_product(CudaContext& context, const Product& p) {
  if (is_step_product(context, p, PRECIS_BFLOAT16)) return step_product(context, p);
  if (p.ranks == 0) return run_few<0>(context, p);
  if (p.ranks <= 16) return run_few<16>(context, p);
  if (p.ranks <= 32) return run_few<32>(context, p);
  return run_few<128>(context, p);
}

cudaError_t lora_matmul_mma(CudaContext& context, const Product& p) {
  const bool direct = is_direct(p.x, p.inputs) && (!p.separate_z || is_direct(p.z, p.inputs));
  return direct ? run_direct<true>(context, p) : run_direct<false>(context, p);
}

}  // namespace precis
