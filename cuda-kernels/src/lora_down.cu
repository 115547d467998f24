// t[m, r] = sum_k dropout(x)[m, k] A[r, k]                             native/src/ops/lora_matmul.h
//
// The down-projection of a LoRA product with dropout of its input, bfloat16. A mask costs about 70
// instructions for four elements. Here each mask is computed once, where the product's own tiles
// would compute it once for every 128 columns of y. x is read once and dropout(x) is never written.
//
// A block has 16 rows and all ranks, in steps of 64 of K. Half a warp has 64 elements of a row: a
// thread has the elements i, i + 16, i + 32 and i + 48, which are the four words of one call of
// Philox when rows begin at multiples of 64. The tile goes through shared memory to the tensor
// cores, one tile in advance; four warps divide the ranks among themselves. There is one barrier a
// step. Every sum runs through k in steps of 16, so a row's bits do not depend on the batch.
//
// The block normalizes its own rows if x is the RMS norm of others, and writes them to x for the
// product that follows: a warp for each row computes the row's scale first.
//
// At 8192 x 768: 512 blocks, 1.6 million calls of Philox, about 4 us of arithmetic on 132
// multiprocessors; 12.6 MB of x are 2.6 us at 4.8 TB/s.
#include "lora_matmul.cuh"
#include "row_in_registers.cuh"

namespace precis {
namespace {

constexpr int kRows = 16, kThreads = 128;
constexpr int kDepth = 64, kStride = kDepth + 8;  // in shared memory, in elements
constexpr int kLanes = 16;                        // threads of a row
constexpr int kPasses = kRows * kLanes / kThreads;

// Without a number of blocks, nvcc spills registers to fit seven into a multiprocessor.
template <int kRanks>
__global__ void __launch_bounds__(kThreads, 4) lora_down_kernel(Product p, float* t) {
  constexpr int kTiles = kRanks / 8, kWarpTiles = kTiles / 4 > 0 ? kTiles / 4 : 1;  // of 8 ranks
  constexpr int kPieces = kRanks * kDepth / kEight;
  PRECIS_SHARED(Bf16, xs, 2 * kRows * kStride);
  PRECIS_SHARED(Bf16, as, 2 * kRanks * kStride);
  PRECIS_SHARED(float, scales, kRows);
  const int64_t m0 = int64_t{blockIdx.x} * kRows;
  const int warp = thread() / 32, lane = thread() % 32;
  const int first_rank = warp * kWarpTiles * 8;
  const int column = thread() % kLanes;
  const bool aligned = p.inputs % kDropoutGroup == 0;
  const int steps = static_cast<int>((p.inputs + kDepth - 1) / kDepth);

  float x[kPasses][4];
  auto load_x = [&](int step) {
#pragma unroll
    for (int i = 0; i < kPasses; i++) {
      const int row = thread() / kLanes + i * (kThreads / kLanes);
      const int64_t m = m0 + row;
#pragma unroll
      for (int j = 0; j < 4; j++) {
        const int64_t k = int64_t{step} * kDepth + column + j * kLanes;
        if (p.norm.rows != nullptr) {
          x[i][j] = 0;
          if (m >= p.rows || k >= p.inputs) continue;
          const float v = p.norm.rows[m * p.norm.stride + k] * scales[row] * p.norm.weight[k];
          x[i][j] = round_to_bf16(v);
          p.x.set(m, k, x[i][j]);
          continue;
        }
        x[i][j] = m < p.rows && k < p.inputs ? p.x.get(m, k) : 0.0f;
      }
    }
  };
  auto store_x = [&](int step) {
#pragma unroll
    for (int i = 0; i < kPasses; i++) {
      const int row = thread() / kLanes + i * (kThreads / kLanes);
      // Rows beyond the last get any mask.
      const DropoutRow of =
          dropout_row(p.dropout.rows, min(m0 + row, p.rows - 1), p.dropout.offset);
      const uint64_t index = dropout_index(of, int64_t{step} * kDepth + column, p.inputs);
      uint32_t word[4];
      if (aligned) {
        const Philox random = dropout_philox(p.dropout.seed, of.offset, index);
#pragma unroll
        for (int j = 0; j < 4; j++) word[j] = random.word[j];
      } else {
#pragma unroll
        for (int j = 0; j < 4; j++) {
          word[j] =
              dropout_word(p.dropout.seed, of.offset, index + static_cast<uint64_t>(j * kLanes));
        }
      }
#pragma unroll
      for (int j = 0; j < 4; j++) {
        xs[(step % 2 * kRows + row) * kStride + column + j * kLanes] =
            to_bf16(dropped(p.dropout, word[j], x[i][j]));
      }
    }
  };
  // Rows beyond A's padding become zeros.
  auto copy_a = [&](int step) {
    for (int e = thread(); e < kPieces; e += kThreads) {
      const int row = e / (kDepth / kEight), k = e % (kDepth / kEight) * kEight;
      const bool wanted = row < p.a_rows;
      const Bf16* from = static_cast<const Bf16*>(p.a) +
                         (wanted ? row * p.a_stride + int64_t{step} * kDepth + k : 0);
      copy_async(as.at((step % 2 * kRanks + row) * kStride + k, kEight), from, wanted);
    }
    copy_async_commit();
  };

  if (p.norm.rows != nullptr) {
    const int width = static_cast<int>(p.inputs);
    for (int row = warp; row < kRows && m0 + row < p.rows; row += kThreads / 32) {
      const RowInRegisters of(p.norm.rows + (m0 + row) * p.norm.stride, width);
      const float scale = rms_scale(of, width, p.norm.epsilon);
      if (lane == 0) scales[row] = scale;
    }
    __syncthreads();
  }

  float sum[kWarpTiles][4] = {};
  load_x(0);
  copy_a(0);
  store_x(0);
  for (int step = 0; step < steps; step++) {
    copy_async_wait<0>();
    __syncthreads();  // this tile has arrived, and no thread reads the other any more
    const bool more = step + 1 < steps;
    if (more) {
      load_x(step + 1);
      copy_a(step + 1);
    }
    const Shared<Bf16> x_tile = xs.part(step % 2 * kRows * kStride, kRows * kStride);
    const Shared<Bf16> a_tile = as.part(step % 2 * kRanks * kStride, kRanks * kStride);
    if (first_rank < kRanks) {
#pragma unroll
      for (int k = 0; k < kDepth; k += 32) {
        uint32_t a[2][4];
        load_a(x_tile, kStride, 0, k, a[0]);
        load_a(x_tile, kStride, 0, k + 16, a[1]);
#pragma unroll
        for (int j = 0; j < kWarpTiles; j++) {
          uint32_t b[4];  // 8 ranks, 32 elements of K
          load_matrices<false>(
              a_tile.at((first_rank + j * 8 + lane % 8) * kStride + k + lane / 8 * kEight, kEight),
              b);
          mma_bf16(sum[j], a[0], b[0], b[1]);
          mma_bf16(sum[j], a[1], b[2], b[3]);
        }
      }
    }
    if (more) store_x(step + 1);
  }
  if (first_rank >= kRanks) return;
#pragma unroll
  for (int j = 0; j < kWarpTiles; j++) {
#pragma unroll
    for (int e = 0; e < 4; e++) {
      const int64_t m = m0 + lane / 4 + e / 2 * 8;
      const int rank = first_rank + j * 8 + lane % 4 * 2 + e % 2;
      if (m < p.rows && rank < p.ranks) t[m * p.ranks + rank] = sum[j][e];
    }
  }
}

template <int kRanks>
cudaError_t run(CudaContext& context, const Product& p, float* t) {
  return launch("lora_down", lora_down_kernel<kRanks>,
                static_cast<uint32_t>(ceil_div(p.rows, kRows)), kThreads, 0, context.stream, p, t);
}

}  // namespace

cudaError_t lora_down(CudaContext& context, const Product& p, float* t) {
  if (p.ranks <= 16) return run<16>(context, p, t);
  if (p.ranks <= 32) return run<32>(context, p, t);
  return run<128>(context, p, t);
}

}  // namespace precis
