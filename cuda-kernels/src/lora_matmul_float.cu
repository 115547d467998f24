// The fused product of lora_matmul.cuh for float32 weights: plain fused multiply-adds in tiles of
// 64 x 64. It is a reference mode and not tuned for speed.
#include "lora_matmul.cuh"

namespace precis {
namespace {

constexpr int kTile = 64, kTileDepth = 16, kTilePad = kTile + 4;

// Adds the product of rows of x and rows of w, 16 elements of K at a time. A thread has 4 x 4
// results, from row 4 (thread / 16) and column 4 (thread mod 16) on. x(m, k) and w(n, k) return 0
// outside the matrices.
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

__global__ void __launch_bounds__(256, 2)
    lora_matmul_float_kernel(const __grid_constant__ Product p) {
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
    const float v = dropped(p.dropout, m0 + i, k, p.inputs, p.x.get(m0 + i, k));
    return p.x.bf16 ? round_to_bf16(v) : v;
  };
  // 64 ranks at a time.
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
    // The barriers in add_product separate writing t from reading it.
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
        if (n < s.output_begin || n >= s.output_end) continue;  // adds not even NaN times 0
        for (int k = 0; k < 4; k++) {
          // Rows beyond the last get any mask.
          const int64_t m = min(m0 + row + k, p.rows - 1);
          sum[k][j] += p.dropout.of == PRECIS_LORA_DROPOUT_LOW_RANK
                           ? dropped(p.dropout, m, n, p.outputs, part[k][j])
                           : part[k][j];
        }
      }
    }
  }
  for (int i = 0; i < 4; i++) {
    for (int j = 0; j < 4; j++) store_result(p, m0 + row + i, n0 + column + j, sum[i][j]);
  }
}

}  // namespace

cudaError_t lora_matmul_float(CudaContext& context, const Product& p) {
  const dim3 grid(static_cast<uint32_t>(ceil_div(p.outputs, kTile)),
                  static_cast<uint32_t>(ceil_div(p.rows, kTile)));
  return launch("lora_matmul, float32", lora_matmul_float_kernel, grid, 256, 0, context.stream, p);
}

}  // namespace precis
