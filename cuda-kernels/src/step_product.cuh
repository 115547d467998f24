// The products of a decoding step, for bfloat16 and int8 weights: lora_matmul.cuh's y with few rows,
// whose time is that of reading W once.
//
// A block has a tile of kRows x kColumns of y, and its eight warps divide K among themselves: warp s
// multiplies the s-th eighth of the groups of 32 elements. So every byte of a tile of W is asked for
// at once, where a single warp would go through K with one tensor core instruction waiting for the
// one before. The eight parts of a sum are added in their order. They depend on K alone: a row's
// bits are the same in a step of one row and of a thousand, whatever its tile.
//
// W goes from memory to registers, without shared memory or ldmatrix: lane 4 g + q loads 16 bytes,
// the elements 8 q to 8 q + 7 of a group, of row g of an eight of W's rows. As the order of k within
// a product is free, these are operands of two mma: elements 8 q to 8 q + 3 are the k of the first
// that belong to the lane, and the next four those of the second. x is loaded in the same way.
//
// In a graph the first loads of W, and of A, are on their way before the kernel before this one has
// ended: no kernel of a step writes them.
//
// A step's product takes its neighbors along:
//   - RMS norm in the prologue: while the first loads of W are on their way, a warp normalizes a row,
//     which stays in shared memory; rows that have to be converted go that way, too.
//   - Activation in the epilogue: where it is gated, a tile has a value's and its gate's outputs in
//     turns of eight.
//   - Attention over the encoder's keys in the epilogue of its queries: a block has one head of some
//     rows, as many as leave two blocks for a multiprocessor. While it computes the queries, their
//     keys and values come into the L2 cache. With many keys and few rows a cluster has the head, and
//     each of its blocks computes the queries.
//
// A block whose rows are normalized goes through several tiles of the same rows, as many as leave two
// blocks for a multiprocessor: with many rows, normalizing them costs more than multiplying.
//
// Adapters: 16 ranks of A are two more tiles beside the block's columns, further ranks take rounds
// of their own. Every block of a row computes t again, which for 16 ranks doubles what it reads, from
// the L2 cache. The low-rank term continues the sum, rank after rank.
//
// int8 weights are exact in bfloat16, so they are widened in registers on their way to the same mma; a
// lane loads eight bytes of a group in place of 16. The sum is multiplied by the output's scale. x is
// not quantized, as it is on the CPU: reading W is what a step waits for.
//
// Not tried yet: one multiplication for rows of several tiles with W's fragments in shared memory,
// which would read W from the L2 cache less often where there are more than 64 rows.
#ifndef PRECIS_CUDA_STEP_PRODUCT_CUH_
#define PRECIS_CUDA_STEP_PRODUCT_CUH_

#include "attention_decode.cuh"
#include "lora_matmul.cuh"
#include "row_in_registers.cuh"

namespace precis {
namespace step {

constexpr int kWarps = 8;  // parts of K
constexpr int kThreads = 32 * kWarps;
constexpr int kGroup = 32;         // elements of K
constexpr int kRoundOfRanks = 16;  // of A, in two tiles
// Attention's own shared memory is not dynamic.
constexpr int64_t kStaticBytes = 16 << 10;

// From row to row of x in shared memory, in elements: an odd number of half lines of 128 bytes, so
// that the eight lanes of two rows that load together meet no bank twice.
PRECIS_HOST_DEVICE constexpr int staged_stride(int64_t inputs) {
  const int groups = static_cast<int>((inputs + kGroup - 1) / kGroup);
  return kGroup * (groups + (groups % 2 == 0 ? 1 : 0));
}
// From row to row of partial sums.
PRECIS_HOST_DEVICE constexpr int part_stride(int columns) { return columns + kEight; }

// Epilogues that follow y.
struct StoreAlone {};
struct Activate {};
struct Attend {
  DecodeArguments of;
  Matrix<Bf16> keys, values;
  int rows;  // of a block
};
struct AttendAligned : Attend {};

// The shape of a block: tiles of 16 rows and of 8 columns; groups whose loads are in flight; kStaged:
// x goes through shared memory, otherwise its rows are bfloat16, aligned, and a multiple of eight
// long.
template <class WeightType, int row_tiles, int column_tiles, int ahead, bool adapted, bool staged,
          class AfterY = StoreAlone>
struct Block {
  using Weight = WeightType;  // Bf16 or int8_t
  using After = AfterY;
  static constexpr bool kActivates = std::is_same_v<After, Activate>;
  static constexpr bool kAttends = std::is_base_of_v<Attend, After>;
  static constexpr int kRowTiles = row_tiles, kColumnTiles = column_tiles, kAhead = ahead;
  static constexpr bool kAdapted = adapted, kStaged = staged;
  static constexpr bool kInt8 = sizeof(Weight) == 1;
  static constexpr bool kLoops = staged && !kAttends;  // through several tiles
  static constexpr int kRows = 16 * row_tiles, kColumns = 8 * column_tiles;
  // Blocks per multiprocessor: a second one hides latency.
  static constexpr int kMinBlocks = !adapted && column_tiles <= 4 && ahead * row_tiles <= 4 ? 2 : 1;

  // Elements of shared memory: partial sums of y and of t, and t.
  static constexpr int kParts = kWarps * kRows * part_stride(kColumns);
  static constexpr int kLowParts = adapted ? kWarps * kRows * part_stride(kRoundOfRanks) : 0;
  // With the tile, and the elements of K that a warp has in flight: the timing model reads them.
  static constexpr const char* name() {
    if (kAttends) return "step_product, attention_decode";
    if (kRows == 64) return "step_product, 64 x 32 x 32";
    if (kRows == 32) {
      return kAhead == 4 ? "step_product, 32 x 32 x 128" : "step_product, 32 x 32 x 64";
    }
    if (kColumns == 64) return "step_product, 16 x 64 x 96";
    return kAhead == 8 ? "step_product, 16 x 16 x 256" : "step_product, 16 x 16 x 128";
  }
  PRECIS_HOST_DEVICE static constexpr int ranks_of(int ranks) {
    return adapted ? (ranks + kRoundOfRanks - 1) / kRoundOfRanks * kRoundOfRanks : 0;
  }
  PRECIS_HOST_DEVICE static constexpr int staged_elements(int64_t inputs) {
    return staged ? kRows * staged_stride(inputs) : 0;
  }
};

// Eight elements of W or A on their way, and the operands of two mma that they become.
struct HeldBf16 {
  uint4 raw;
  __device__ __forceinline__ uint4 operands() const { return raw; }
};
struct HeldInt8 {
  uint2 raw;
  __device__ __forceinline__ uint4 operands() const {
    return {pack_bf16(byte_as_float(raw.x, 0), byte_as_float(raw.x, 1)),
            pack_bf16(byte_as_float(raw.x, 2), byte_as_float(raw.x, 3)),
            pack_bf16(byte_as_float(raw.y, 0), byte_as_float(raw.y, 1)),
            pack_bf16(byte_as_float(raw.y, 2), byte_as_float(raw.y, 3))};
  }
};
__device__ __forceinline__ HeldBf16 load_held(const Bf16* p) {
  return {p != nullptr ? load16(p) : uint4{0, 0, 0, 0}};
}
__device__ __forceinline__ HeldInt8 load_held(const int8_t* p) {
  return {p != nullptr ? load_eight_bytes(p) : uint2{0, 0}};
}

// Adds to the sums of a warp's tiles the products of its groups [begin, end). w has the first groups'
// elements of W or A; load_tile(tile, group) loads the others, and load_x(row, group) those of x.
template <int kAhead, int kRowTiles, int kTiles, class Held, class LoadTile, class LoadX>
__device__ __forceinline__ void multiply(int begin, int end, const LoadTile& load_tile,
                                         const LoadX& load_x, Held (&w)[kAhead][kTiles],
                                         float (&sum)[kRowTiles][kTiles][4]) {
  const int of_eight = thread() % 32 / 4;
  for (int first = begin; first < end; first += kAhead) {
    if (first != begin) {
#pragma unroll
      for (int a = 0; a < kAhead; a++) {
#pragma unroll
        for (int j = 0; j < kTiles; j++) w[a][j] = load_tile(j, first + a);
      }
    }
    uint4 x[kAhead][kRowTiles][2];
#pragma unroll
    for (int a = 0; a < kAhead; a++) {
#pragma unroll
      for (int i = 0; i < kRowTiles; i++) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
          x[a][i][half] = load_x(16 * i + 8 * half + of_eight, first + a);
        }
      }
    }
#pragma unroll
    for (int a = 0; a < kAhead; a++) {
      if (first + a >= end) break;  // the same in all lanes
      uint4 of_w[kTiles];
#pragma unroll
      for (int j = 0; j < kTiles; j++) of_w[j] = w[a][j].operands();
#pragma unroll
      for (int i = 0; i < kRowTiles; i++) {
        const uint4 top = x[a][i][0], bottom = x[a][i][1];
        const uint32_t even[4] = {top.x, bottom.x, top.y, bottom.y};
        const uint32_t odd[4] = {top.z, bottom.z, top.w, bottom.w};
#pragma unroll
        for (int j = 0; j < kTiles; j++) mma_bf16(sum[i][j], even, of_w[j].x, of_w[j].y);
#pragma unroll
        for (int j = 0; j < kTiles; j++) mma_bf16(sum[i][j], odd, of_w[j].z, of_w[j].w);
      }
    }
  }
}

template <class B>
__global__ void __launch_bounds__(kThreads, B::kMinBlocks)
    step_product_kernel(const __grid_constant__ Product p,
                        const __grid_constant__ typename B::After after) {
  constexpr int kRows = B::kRows, kColumns = B::kColumns, kAhead = B::kAhead;
  constexpr int kRowTiles = B::kRowTiles, kColumnTiles = B::kColumnTiles;
  using Weight = typename B::Weight;
  // Ranks that are multiplied beside the columns: A has W's type.
  constexpr int kFirstRanks = B::kAdapted && !B::kInt8 ? kRoundOfRanks : 0;
  constexpr int kTiles = kColumnTiles + kFirstRanks / 8;
  constexpr int kStride = part_stride(kColumns), kLowStride = part_stride(kRoundOfRanks);

  DynamicShared dynamic;
  const Shared<float> parts = dynamic.take<float>(B::kParts);
  const Shared<float> low_parts = dynamic.take<float>(B::kLowParts);
  const Shared<float> low = dynamic.take<float>(kRows * B::ranks_of(p.ranks));
  const Shared<Bf16> staged = dynamic.take<Bf16>(B::staged_elements(p.inputs));
  const int ranks = B::ranks_of(p.ranks);

  int64_t m0 = int64_t{blockIdx.y} * kRows, n0 = int64_t{blockIdx.x} * kColumns;
  int64_t rows_end = min(p.rows, m0 + kRows);
  [[maybe_unused]] int head = 0;
  if constexpr (B::kAttends) {
    head = static_cast<int>(blockIdx.x) / cluster_blocks();
    m0 = int64_t{blockIdx.y} * after.rows;
    n0 = int64_t{head} * after.of.head_dim;
    rows_end = min(p.rows, m0 + after.rows);
  }
  const int rows = static_cast<int>(rows_end - m0);
  const int64_t gated = B::kActivates && p.activation.gated ? p.outputs / 2 : 0;
  const int warp = thread() / 32, lane = thread() % 32;
  const int of_eight = lane / 4, first_k = lane % 4 * kEight;
  const int groups = static_cast<int>((p.inputs + kGroup - 1) / kGroup);
  const int begin = warp * groups / kWarps, end = (warp + 1) * groups / kWarps;

  // The lane's elements of a tile: those of row of_eight of an eight of W's rows or of A's.
  auto w_row = [&](int64_t first, int tile) -> const Weight* {
    int64_t n = first + tile * 8 + of_eight;
    if (gated > 0) n = gated_output(first, tile * 8 + of_eight, gated);
    return n < p.w_rows ? static_cast<const Weight*>(p.w) + n * p.w_stride + first_k : nullptr;
  };
  auto a_row = [&](int rank) {
    return static_cast<const Bf16*>(p.a) + (rank + of_eight) * p.a_stride + first_k;
  };
  auto load = [&](const auto* row, int group) {
    return load_held(row != nullptr && group < end ? row + group * kGroup : nullptr);
  };
  // Row row of the tile, the elements of x that the lane has of a group.
  auto load_x = [&](int row, int group) {
    if constexpr (B::kStaged) {
      if (group >= end) return uint4{0, 0, 0, 0};
      return load16(staged.at(row * staged_stride(p.inputs) + group * kGroup + first_k, kEight));
    } else {
      const int64_t k = int64_t{group} * kGroup + first_k;
      return row < rows && group < end && k < p.inputs
                 ? load16(static_cast<const Bf16*>(p.x.data) + (m0 + row) * p.x.stride + k)
                 : uint4{0, 0, 0, 0};
    }
  };
  // Stores the warp's part of a tile's sums.
  auto keep = [&](const Shared<float>& to, int stride, int i, int column, const float(&sum)[4]) {
#pragma unroll
    for (int e = 0; e < 4; e++) {
      const int row = 16 * i + of_eight + e / 2 * 8;
      to[(warp * kRows + row) * stride + column + lane % 4 * 2 + e % 2] = sum[e];
    }
  };
  // Adds the parts.
  auto total = [&](const Shared<float>& of, int stride, int row, int column) {
    float all = of[row * stride + column];
#pragma unroll
    for (int s = 1; s < kWarps; s++) all += of[(s * kRows + row) * stride + column];
    return all;
  };

  // ---------------------------------------------------------------- x W' and the first ranks
  bool first_tile = true;  // of the block: it computes t
  auto load_tile = [&](int tile, int group) {
    if constexpr (!B::kInt8) {
      if (tile >= kColumnTiles) {
        return load(first_tile ? a_row((tile - kColumnTiles) * 8) : nullptr, group);
      }
    }
    return load(w_row(n0, tile), group);
  };
  decltype(load_tile(0, 0)) w[kAhead][kTiles];
  auto load_first_groups = [&] {
#pragma unroll
    for (int a = 0; a < kAhead; a++) {
#pragma unroll
      for (int j = 0; j < kTiles; j++) w[a][j] = load_tile(j, begin + a);
    }
  };
  load_first_groups();
  wait_for_previous_kernel();
  if constexpr (B::kStaged) {
    const int width = static_cast<int>(p.inputs), padded = groups * kGroup;
    const int stride = staged_stride(p.inputs);
    for (int row = warp; row < rows; row += kWarps) {
      auto put = [&](int k, const float(&v)[kEight]) {
        store8(staged.at(row * stride + k, kEight), kEight, v);
      };
      if (p.norm.rows != nullptr) {
        const RowInRegisters x(p.norm.rows + (m0 + row) * p.norm.stride, width);
        const float scale = rms_scale(x, width, p.norm.epsilon);
        x.each([&](int k, int count, const float(&v)[kEight]) {
          float normal[kEight];
          load8(p.norm.weight + k, count, normal);
#pragma unroll
          for (int j = 0; j < kEight; j++) normal[j] = v[j] * scale * normal[j];
          if (blockIdx.x == 0) p.x.save(m0 + row, k, count, normal);
          put(k, normal);
        });
      } else {
        for_eights<4>(
            lane * kEight, width, 32 * kEight,
            [&](int k, int count) { return p.x.raw(m0 + row, k, count); },
            [&](int k, int, const AnyEight& held) {
              float v[kEight];
              held.convert(v);
              put(k, v);
            });
      }
      const float zeros[kEight] = {};
      for (int k = (width + kEight - 1) / kEight * kEight + lane * kEight; k < padded;
           k += 32 * kEight) {
        put(k, zeros);
      }
    }
    if constexpr (B::kAttends) {
      // With few rows, warps that have none to normalize do this.
      for (int row = kWarps - 1 - warp; row < rows; row += kWarps) {
        prefetch_keys(after.of, after.keys, after.values, m0 + row, head);
      }
    }
    __syncthreads();
  }
  for (;;) {
    float sum[kRowTiles][kTiles][4] = {};
    multiply(begin, end, load_tile, load_x, w, sum);
#pragma unroll
    for (int i = 0; i < kRowTiles; i++) {
#pragma unroll
      for (int j = 0; j < kTiles; j++) {
        if (j < kColumnTiles) {
          keep(parts, kStride, i, 8 * j, sum[i][j]);
        } else if (first_tile) {
          keep(low_parts, kLowStride, i, 8 * (j - kColumnTiles), sum[i][j]);
        }
      }
    }
    __syncthreads();

    // ---------------------------------------------------------------- further ranks
    if (B::kAdapted && first_tile) {
      for (int first = 0; first < ranks; first += kRoundOfRanks) {
        if (first >= kFirstRanks) {
          auto load_ranks = [&](int tile, int group) {
            return load(a_row(first + 8 * tile), group);
          };
          HeldBf16 more[kAhead][2];
#pragma unroll
          for (int a = 0; a < kAhead; a++) {
#pragma unroll
            for (int j = 0; j < 2; j++) more[a][j] = load_ranks(j, begin + a);
          }
          float of_ranks[kRowTiles][2][4] = {};
          multiply(begin, end, load_ranks, load_x, more, of_ranks);
          __syncthreads();  // no thread reads the last round's parts any more
#pragma unroll
          for (int i = 0; i < kRowTiles; i++) {
#pragma unroll
            for (int j = 0; j < 2; j++) keep(low_parts, kLowStride, i, 8 * j, of_ranks[i][j]);
          }
          __syncthreads();
        }
        for (int e = thread(); e < kRows * kRoundOfRanks; e += kThreads) {
          const int row = e / kRoundOfRanks, rank = e % kRoundOfRanks;
          low[row * ranks + first + rank] = total(low_parts, kLowStride, row, rank);
        }
      }
      __syncthreads();
    }

    // ---------------------------------------------------------------- y
    const int64_t of_tile = n0;
    first_tile = false;
    n0 += int64_t{gridDim.x} * kColumns;
    const bool ends = !B::kLoops || n0 >= p.outputs;
    if (!ends) load_first_groups();
    // The sum of output n, which is a column of the tile, with its low-rank terms.
    auto result = [&](int row, int column, int64_t n) {
      float y = total(parts, kStride, row, column);
      if constexpr (B::kInt8) y *= n < p.w_rows ? p.w_scales[n] : 0.0f;
      if constexpr (B::kAdapted) {
        for (int i = 0; i < p.segment_count; i++) {
          const precis_lora_segment& s = p.segments[i];
          if (n < s.output_begin || n >= s.output_end) continue;
          const Bf16* const up = static_cast<const Bf16*>(p.b) + n * p.b_stride;
          for (int64_t rank = s.rank_begin / kEight * kEight; rank < s.rank_end; rank += kEight) {
            float b[kEight];
            load8(up + rank, kEight, b);
#pragma unroll
            for (int j = 0; j < kEight; j++) {
              if (rank + j < s.rank_begin || rank + j >= s.rank_end) continue;
              const float t = low[row * ranks + static_cast<int>(rank) + j];
              y = fmaf(round_to_bf16(s.scaling * t), b[j], y);
            }
          }
        }
      }
      return y;
    };
    if constexpr (B::kAttends) {
      static_assert(kThreads == kDecodeThreads && kRowTiles == 1 && kColumns == kMaxFusedHead);
      const DecodeArguments& of = after.of;
      PRECIS_SHARED(Bf16, queries, kRows * kColumns);
      for (int e = thread(); e < rows * kColumns; e += kThreads) {
        const int row = e / kColumns, d = e % kColumns;
        if (d >= of.head_dim) continue;
        const Bf16 q = to_bf16(p.alpha * result(row, d, of_tile + d));
        queries[e] = q;
        if (cluster_rank() == 0) p.y.set(m0 + row, of_tile + d, to_float(q));
      }
      __syncthreads();
      for (int row = 0; row < rows; row++) {
        attend<Bf16, 1, std::is_same_v<typename B::After, AttendAligned>>(
            of, after.keys, after.values, m0 + row, head, [&](int d, int count, float(&v)[kEight]) {
              load8(queries.at(row * kColumns + d, kEight), count, v);
            });
      }
    } else if constexpr (B::kActivates) {
      const int width = gated > 0 ? kColumns / 2 : kColumns;
      for (int e = thread(); e < rows * width; e += kThreads) {
        const int row = e / width, value = e % width;
        const int64_t n = (gated > 0 ? of_tile / 2 : of_tile) + value;
        const int column = gated > 0 ? value / 8 * 16 + value % 8 : value;
        const float y = result(row, column, n);
        const float factor = gated > 0 ? result(row, column + 8, n + gated) : 0.0f;
        store_activated(p, m0 + row, n, y, factor);
      }
    } else {
      for (int e = thread(); e < rows * kColumns; e += kThreads) {
        const int row = e / kColumns, column = e % kColumns;
        if (of_tile + column < p.outputs) {
          store_result(p, m0 + row, of_tile + column, result(row, column, of_tile + column));
        }
      }
    }
    if (ends) break;
    __syncthreads();  // no thread reads this tile's parts any more
  }
}

template <class B>
size_t block_bytes(const Product& p) {
  return shared_bytes<float>(B::kParts) + shared_bytes<float>(B::kLowParts) +
         shared_bytes<float>(B::kRows * B::ranks_of(p.ranks)) +
         shared_bytes<Bf16>(B::staged_elements(p.inputs));
}

template <class B>
cudaError_t run(CudaContext& context, const Product& p) {
  const int64_t tiles = ceil_div(p.outputs, B::kColumns), of_rows = ceil_div(p.rows, B::kRows);
  int64_t turns = 1;
  if (B::kLoops && of_rows > 1) {
    turns = ceil_div(tiles * of_rows, 2 * int64_t{context.multiprocessors});
  }
  const dim3 grid(static_cast<uint32_t>(ceil_div(tiles, turns)), static_cast<uint32_t>(of_rows));
  return launch_dependent(context, B::name(), step_product_kernel<B>, grid, kThreads,
                          block_bytes<B>(p), p, typename B::After());
}

template <class W, bool kAdapted, bool kStaged, class After>
cudaError_t run_tile(CudaContext& context, const Product& p) {
  const int64_t processors = context.multiprocessors;
  const auto blocks = [&](int64_t rows, int64_t columns) {
    return ceil_div(p.rows, rows) * ceil_div(p.outputs, columns);
  };
  const auto fits = [&](size_t bytes) {
    return static_cast<int64_t>(bytes) <= context.block_shared_bytes;
  };
  if constexpr (!kStaged) {
    using Tall = Block<W, 4, 4, 1, kAdapted, false, After>;
    if (p.rows > 32 && blocks(Tall::kRows, Tall::kColumns) >= processors &&
        fits(block_bytes<Tall>(p))) {
      return run<Tall>(context, p);
    }
  }
  if constexpr (!kStaged && !kAdapted) {
    // Few blocks: one has a multiprocessor for itself.
    using Deep = Block<W, 2, 4, 4, false, false, After>;
    if (p.rows > 16 && blocks(Deep::kRows, Deep::kColumns) <= processors) {
      return run<Deep>(context, p);
    }
  }
  using Square = Block<W, 2, 4, 2, kAdapted, kStaged, After>;
  if (p.rows > 16 && fits(block_bytes<Square>(p))) return run<Square>(context, p);
  if constexpr (std::is_same_v<After, StoreAlone>) {
    using Flat = Block<W, 1, 8, 3, kAdapted, kStaged>;
    if (blocks(Flat::kRows, Flat::kColumns) >= processors && fits(block_bytes<Flat>(p))) {
      return run<Flat>(context, p);
    }
  }
  if constexpr (!kStaged) {
    // Long sums of few outputs: a block has a multiprocessor for itself.
    using Long = Block<W, 1, 2, 8, kAdapted, false>;
    constexpr int64_t kLong = 4 * kWarps * kGroup;
    if (p.inputs > kLong && blocks(Long::kRows, Long::kColumns) <= processors) {
      return run<Long>(context, p);
    }
  }
  return run<Block<W, 1, 2, 4, kAdapted, kStaged, After>>(context, p);
}

// Tells whether x needs no shared memory.
inline bool is_unstaged(const Product& p) {
  return p.norm.rows == nullptr && is_direct(p.x, p.inputs);
}

template <class W, bool kAdapted>
cudaError_t run_rows(CudaContext& context, const Product& p) {
  return is_unstaged(p) ? run_tile<W, kAdapted, false, StoreAlone>(context, p)
                        : run_tile<W, kAdapted, true, StoreAlone>(context, p);
}

template <class W>
cudaError_t run_product(CudaContext& context, const Product& p) {
  if (p.activation.y.data != nullptr) return run_tile<W, false, true, Activate>(context, p);
  return p.ranks > 0 ? run_rows<W, true>(context, p) : run_rows<W, false>(context, p);
}

template <class W, class After>
cudaError_t run_attention(CudaContext& context, const Product& p,
                          const precis_attention_decode_args& a) {
  using B = Block<W, 1, 8, 3, false, true, After>;
  After after;
  after.of = decode_arguments(context, a);
  after.keys = matrix<Bf16>(a.k_cache);
  after.values = matrix<Bf16>(a.v_cache);
  const int64_t wanted = ceil_div(p.rows * a.heads, 2 * int64_t{context.multiprocessors});
  after.rows = static_cast<int>(min(int64_t{B::kRows}, wanted));
  const uint32_t blocks = decode_blocks(context, a, step_product_kernel<B>);
  const dim3 grid(blocks * static_cast<uint32_t>(a.heads),
                  static_cast<uint32_t>(ceil_div(p.rows, after.rows)));
  return launch_dependent_clusters(context, blocks, B::name(), step_product_kernel<B>, grid,
                                   kThreads, block_bytes<B>(p), p, after);
}
template <class W>
cudaError_t run_attention(CudaContext& context, const Product& p,
                          const precis_attention_decode_args& a) {
  return decode_is_aligned(a) ? run_attention<W, AttendAligned>(context, p, a)
                              : run_attention<W, Attend>(context, p, a);
}

// The same for int8 weights, which are compiled apart.
cudaError_t run_int8(CudaContext& context, const Product& p);
cudaError_t run_int8_attention(CudaContext& context, const Product& p,
                               const precis_attention_decode_args& a);

}  // namespace step
}  // namespace precis

#endif  // PRECIS_CUDA_STEP_PRODUCT_CUH_
