// The common machinery of the losses on logits = scale x w'; formulas are in
// native/src/ops/<loss>.h.
//
// A loss is a function of a row's sums, and that function is all that its own .cu contains:
//
//   struct Loss {
//     // Writes zeros for row m, which is left out or whose label is bad.
//     __device__ void leave_out(int64_t m) const;
//     // Writes the row's results and returns the gradient of its logits.
//     __device__ LogitGradient finish(int64_t m, const RowSums& s) const;
//   };
//   for_logit_rows(context, rows, Loss{...})
//
// The kernels, for a block of rows at a time, in this order:
//   index (once)      puts the rows that count first, so that the others cost nothing; notes bad
//                     labels                                                      logit_rows.cu
//   gather            copies their rows of x, converted to w's type, K padded with zeros
//   logits            computes a tile of z = scale x w' per block of threads, and for each row the
//                     tile's largest logit, sum of exponentials and one more sum; z itself is
//                     stored only where a gradient is wanted or it is a reference's
//                                                                             logit_products.cu
//   finish_logit_rows combines the tiles' sums of a row, computes the loss, and overwrites z with
//                     its gradient g; one block per row                                    here
//   dx, dx sums       g w for segments of the vocabulary, then the segments in order
//   dw                dw += g' x, a tile of dw per block                      logit_gradients.cu
//
// Results are independent of the batch: only launch sizes depend on how many rows there are. A
// row's tiles are 128 columns (float32: 64), its segments depend on the vocabulary alone, and
// within both every sum has one order. So a row is bitwise identical to the same row alone, with
// gradient or without.
//
// z is stored rather than recomputed. For V = 32128, D = 768 a product over all of w is 49 MFLOP a
// row; 8 bytes of z written and read again, and 2 of g, are 321 KB a row. A block of rows is 32 MiB
// of z, which mostly stays in L2: 256 rows move 82 MB. That takes 16 us at an H200's 4.8 TB/s even
// if nothing hits L2; recomputing would be 12.6 GFLOP, 30 us at the 420 TFLOP/s that mma.sync
// reaches there. With 8 rows a product is just reading w's 49 MB, 10 us, and z is 1 MB. Without a
// gradient z is not stored: a call costs one product, and 3 KB of sums a row. dw is read and
// written once per block of rows, 197 MB, so blocks are twice as large with it.
//
// A sum of dx has V terms and dx is only D wide: its 6 tiles of 128 columns for 8 rows would use 6
// multiprocessors. Segments of 2048 make them 96, at 2 x 4 D bytes of partial sums a row and
// segment: 98 KB a row, in addition to 321 KB.
//
// These products do not use matmul. matmul leaves them to cuBLASLt where there is one, whose
// summation order depends on the number of rows, and its results would have to be read once more
// for the sums.
//
// Not tried yet: wgmma with TMA for sm_90a; exponentials by polynomial; computing g while loading
// dx's tile; adding the segments of dx in a cluster.
#ifndef PRECIS_CUDA_LOGIT_ROWS_CUH_
#define PRECIS_CUDA_LOGIT_ROWS_CUH_

#include "kernels.h"
#include "ops/linear_cross_entropy.h"

namespace precis {

struct LogitRows {
  precis_tensor x;
  precis_packed_matrix w, w_transposed;
  const int32_t* labels;
  float scale;
  precis_tensor dx, dw;  // without data: not wanted
  float grad_scale;
  ProblemOp op;                    // the op that a bad label is reported for
  bool linear;                     // RowSums::terms is sum d instead of sum d exp(d)
  precis_tensor reference_x = {};  // without data: there is no reference
  precis_packed_matrix reference_w = {};
  float reference_scale = 0;
  // The loss reads the logits of both itself: z is stored without a gradient too, and the tiles do
  // not sum the difference from the reference.
  bool reads_logits = false;

  bool wants_gradient() const { return dx.data != nullptr || dw.data != nullptr; }
};

// The sums of a row of logits, with d[v] = z[v] - largest: log p[v] = d[v] - log_sum.
struct RowSums {
  float largest;
  float of_label;  // z[label]
  double sum;      // of exp(d)
  double log_sum;
  double terms;       // sum d, or sum d exp(d)
  double divergence;  // sum p (log p - log q); 0 without a reference
};

// The gradient of a row's logits: exp(d) (first + slope d) + offset, except at_label for the label.
struct LogitGradient {
  float first, slope, offset, at_label;
};

// Sums of each row of a block over each tile of columns, (rows, tiles).
struct TileSums {
  int tiles, columns;
  float* largest;
  float* sums;  // exp(z - largest)
  float* terms;
  // With a reference's logits q: the largest of q in the tile, and
  // sum exp(z - largest) ((z - largest) - (q - reference_largest)).
  float* reference_largest;
  float* differences;
};

// The layout of scratch memory and the sizes of a call, for host and kernels.
struct LogitPlan {
  int64_t rows, width, tokens;
  int64_t block_rows;  // the most rows of a block
  int64_t first;       // of the block, in index
  int64_t segments, segment_tokens;
  const int32_t* labels;
  int32_t* index;    // (rows) the rows that count, in order, then the others
  int32_t* counted;  // how many count
  void* x;           // (block_rows, x_stride) of w's type, or of the reference's w's
  int64_t x_stride;  // the reference's rows have reference_stride
  int64_t reference_width, reference_stride;
  float* of_label;  // (block_rows)
  TileSums policy, reference;
  float* logits;            // (block_rows, logits_stride), later g of w's type; nullptr: not stored
  float* reference_logits;  // likewise
  int64_t logits_stride;
  float* dx_sums;  // (segments, block_rows, dx_stride)
  int64_t dx_stride;
  bool bf16;  // w's type

  // Returns how many rows of the block count.
  __device__ __forceinline__ int64_t counted_rows() const {
    const int64_t left = *counted - first;
    return left < 0 ? 0 : left < block_rows ? left : block_rows;
  }
};

// Reserves memory and fills in the index and the plan, except `first`.
cudaError_t plan_logit_rows(CudaContext& context, const LogitRows& a, LogitPlan* plan);
// Computes a block's logits and their sums.
cudaError_t multiply_logit_rows(CudaContext& context, const LogitRows& a, const LogitPlan& plan);
// Adds dx and dw from a block's gradients.
cudaError_t add_logit_gradients(CudaContext& context, const LogitRows& a, const LogitPlan& plan);

// Combines the tiles' sums of the block's row r. All lanes of a warp call it; lane 0 gets the
// result.
__device__ __forceinline__ RowSums sums_of_row(const LogitPlan& p, bool linear, int64_t r) {
  const int lane = thread() % 32;
  auto largest_of = [&](const TileSums& t) {
    float largest = -INFINITY;
    for (int i = lane; i < t.tiles; i += 32) {
      largest = Largest()(largest, t.largest[r * t.tiles + i]);
    }
    return warp_reduce(largest, Largest());
  };
  const TileSums& t = p.policy;
  const bool reference = p.reference_logits != nullptr;
  RowSums s = {largest_of(t), 0, 0, 0, 0, 0};
  const float reference_largest = reference ? largest_of(p.reference) : 0.0f;
  // Fused multiply-adds are written out and not left to nvcc, so that log_probability and ppo_loss
  // are bitwise identical and a policy's divergence from itself is 0.
  double differences = 0, of_reference = 0;
  for (int i = lane; i < t.tiles; i += 32) {
    const int64_t at = r * t.tiles + i;
    const double d = t.largest[at] - s.largest, factor = expf(t.largest[at] - s.largest);
    const double sum = t.sums[at], terms = t.terms[at];
    s.sum = fma(factor, sum, s.sum);
    if (linear) {
      const int64_t left = p.tokens - int64_t{i} * t.columns;
      s.terms += fma(static_cast<double>(left < t.columns ? left : t.columns), d, terms);
    } else {
      s.terms = fma(factor, fma(d, sum, terms), s.terms);
    }
    if (!reference) continue;
    const double of_q = t.reference_largest[at] - reference_largest, difference = t.differences[at];
    differences = fma(factor, fma(d - of_q, sum, difference), differences);
  }
  for (int i = lane; reference && i < p.reference.tiles; i += 32) {
    const int64_t at = r * p.reference.tiles + i;
    const double factor = expf(p.reference.largest[at] - reference_largest);
    const double sum = p.reference.sums[at];
    of_reference = fma(factor, sum, of_reference);
  }
  s.sum = warp_reduce(s.sum, Sum());
  s.terms = warp_reduce(s.terms, Sum());
  if (reference) {
    differences = warp_reduce(differences, Sum());
    of_reference = warp_reduce(of_reference, Sum());
  }
  if (lane == 0) {
    s.of_label = p.of_label[r];
    s.log_sum = log(s.sum);
    if (reference) s.divergence = differences / s.sum - s.log_sum + log(of_reference);
  }
  return s;
}

constexpr int kFinishThreads = 384;  // two blocks per multiprocessor, as registers allow

// Does what is to be done for row r of the block, which is row m, if it does not count. Returns
// whether it counts.
template <class Loss>
__device__ __forceinline__ bool counts(const LogitPlan& p, int64_t r, int64_t m,
                                       const Matrix<float>& dx, const Loss& loss) {
  if (r < p.counted_rows()) return true;
  for (int64_t d = thread(); dx.data != nullptr && d < p.width; d += blockDim.x) dx.row(m)[d] = 0;
  if (thread() == 0) loss.leave_out(m);
  return false;
}

template <class Loss>
__global__ void __launch_bounds__(kFinishThreads, 2)
    finish_logit_rows_kernel(LogitPlan p, Matrix<float> dx, bool linear, Loss loss) {
  const int64_t r = blockIdx.x, m = p.index[p.first + r];
  if (!counts(p, r, m, dx, loss)) return;
  PRECIS_SHARED(float, largest, 1);
  PRECIS_SHARED(LogitGradient, gradient, 1);
  if (thread() < 32) {
    const RowSums s = sums_of_row(p, linear, r);
    if (thread() == 0) {
      largest[0] = s.largest;
      gradient[0] = loss.finish(m, s);
    }
  }
  if (p.logits == nullptr) return;
  __syncthreads();
  const float shift = largest[0];
  const LogitGradient g = gradient[0];
  const int64_t label = p.labels[m];
  float* z = p.logits + r * p.logits_stride;
  constexpr int kAhead = 2;
  const int64_t step = int64_t{blockDim.x} * kEight;
  RawEight<float> held[kAhead], next[kAhead];
  auto load = [&](int64_t begin) {
#pragma unroll
    for (int j = 0; j < kAhead; j++) {
      const int64_t n = begin + j * step + thread() * kEight;
      next[j].load(z + n, n < p.logits_stride ? kEight : 0);
    }
  };
  load(0);
  for (int64_t begin = 0; begin < p.logits_stride; begin += kAhead * step) {
#pragma unroll
    for (int j = 0; j < kAhead; j++) held[j] = next[j];
    load(begin + kAhead * step);
    // g in bfloat16 overwrites the first half of the row, never beyond what has been read.
    __syncthreads();
#pragma unroll
    for (int j = 0; j < kAhead; j++) {
      const int64_t n = begin + j * step + thread() * kEight;
      if (n >= p.logits_stride) break;
      float v[kEight];
      held[j].convert(v);
#pragma unroll
      for (int i = 0; i < kEight; i++) {
        const float d = v[i] - shift, of_other = fmaf(expf(d), fmaf(d, g.slope, g.first), g.offset);
        v[i] = n + i == label ? g.at_label : n + i < p.tokens ? of_other : 0.0f;
      }
      if (p.bf16) {
        store8(reinterpret_cast<Bf16*>(z) + n, kEight, v);
      } else {
        store8(z + n, kEight, v);
      }
    }
  }
}

// The arguments that all of these losses have. labels are the actions of a policy, too.
template <class Args>
static inline LogitRows logit_rows(const Args& a, const precis_tensor& labels, ProblemOp op) {
  LogitRows rows = {};
  rows.x = a.x;
  rows.w = a.w;
  rows.w_transposed = a.w_transposed;
  rows.labels = static_cast<const int32_t*>(labels.data);
  rows.scale = a.scale;
  rows.dx = a.dx;
  rows.dw = a.dw;
  rows.grad_scale = 1;
  rows.op = op;
  return rows;
}

// finish(plan) launches what comes between the products of a block.
template <class Finish>
static inline cudaError_t for_logit_blocks(CudaContext& context, const LogitRows& a,
                                           const Finish& finish) {
  if (rows(a.x) == 0) return cudaSuccess;
  LogitPlan plan;
  PRECIS_RETURN_IF_ERROR(plan_logit_rows(context, a, &plan));
  for (plan.first = 0; plan.first < plan.rows; plan.first += plan.block_rows) {
    plan.block_rows = min(plan.block_rows, plan.rows - plan.first);
    PRECIS_RETURN_IF_ERROR(multiply_logit_rows(context, a, plan));
    PRECIS_RETURN_IF_ERROR(finish(plan));
    if (a.wants_gradient()) PRECIS_RETURN_IF_ERROR(add_logit_gradients(context, a, plan));
  }
  return cudaSuccess;
}

template <class Loss>
static inline cudaError_t for_logit_rows(CudaContext& context, const LogitRows& a,
                                         const Loss& loss) {
  return for_logit_blocks(context, a, [&](const LogitPlan& plan) {
    return launch("finish_logit_rows", finish_logit_rows_kernel<Loss>,
                  static_cast<uint32_t>(plan.block_rows), a.wants_gradient() ? kFinishThreads : 32,
                  0, context.stream, plan, matrix<float>(a.dx), a.linear, loss);
  });
}

// Stores a row's element of a float32 vector, if it is wanted.
__device__ __forceinline__ void put(const precis_tensor& t, int64_t m, double value) {
  if (t.data != nullptr) static_cast<float*>(t.data)[m] = static_cast<float>(value);
}

}  // namespace precis

#endif  // PRECIS_CUDA_LOGIT_ROWS_CUH_
