// The plan of a loss over the vocabulary, and the index of its rows; logit_rows.cuh describes both.
#include "logit_rows.cuh"
#include "logit_tiles.cuh"

namespace precis {
namespace {

constexpr int64_t kLogitBytes = 32 << 20, kLogitBytesWithWeight = 64 << 20;
constexpr int64_t kMaxLogitRows = 1024;
constexpr int64_t kSegmentTokens = 2048, kMaxSegments = 16;

// One block writes the rows that count, in order, from the front, and the others from the back.
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
  // A row has room for all columns of its last tile.
  p.logits_stride = ceil_div(p.tokens, ManyRows::kColumns) * ManyRows::kColumns;
  p.dx_stride = ceil_div(p.width, ManyRows::kColumns) * ManyRows::kColumns;
  p.x_stride = ceil_div(p.width, kCudaPackMultiple) * kCudaPackMultiple;
  p.block_rows = kMaxLogitRows;
  p.reference_width = reference ? a.reference_w.inputs : 0;
  p.reference_stride = ceil_div(p.reference_width, kCudaPackMultiple) * kCudaPackMultiple;
  const bool stores = gradient || a.reads_logits;
  const int64_t row_bytes = p.logits_stride * 4 * (int64_t{stores} + int64_t{reference});
  if (row_bytes > 0) {
    const int64_t bytes = a.dw.data != nullptr ? kLogitBytesWithWeight : kLogitBytes;
    const int64_t tiles = bytes / row_bytes / ManyRows::kRows;
    p.block_rows = min(p.block_rows, (tiles > 0 ? tiles : 1) * ManyRows::kRows);
  }
  p.block_rows = min(p.block_rows, p.rows);
  const int64_t padded = ceil_div(p.tokens, kCudaPackMultiple);
  const int64_t wanted = ceil_div(padded * kCudaPackMultiple, kSegmentTokens);
  p.segment_tokens = ceil_div(padded, min(wanted, kMaxSegments)) * kCudaPackMultiple;
  p.segments = ceil_div(padded * kCudaPackMultiple, p.segment_tokens);

  // The first pass measures the memory, the second places the arrays in it.
  void* memory = nullptr;
  for (bool place : {false, true}) {
    size_t bytes = 0;
    auto claim = [&](auto** to, int64_t count) {
      using T = std::remove_pointer_t<std::remove_pointer_t<decltype(to)>>;
      if (place) *to = reinterpret_cast<T*>(static_cast<char*>(memory) + bytes);
      bytes += round_up(static_cast<size_t>(count) * sizeof(T), 256);
    };
    claim(&p.index, p.rows);
    claim(&p.counted, 1);
    float* x = nullptr;
    claim(&x, p.block_rows * (p.x_stride > p.reference_stride ? p.x_stride : p.reference_stride));
    p.x = x;
    claim(&p.of_label, p.block_rows);
    auto claim_sums = [&](TileSums& t, bool bf16, bool with_reference) {
      t.columns = bf16 ? ManyRows::kColumns : FmaTile::kColumns;
      t.tiles = static_cast<int>(ceil_div(p.tokens, t.columns));
      for (float** to : {&t.largest, &t.sums, &t.terms}) claim(to, p.block_rows * t.tiles);
      if (!with_reference) return;
      for (float** to : {&t.reference_largest, &t.differences}) claim(to, p.block_rows * t.tiles);
    };
    claim_sums(p.policy, p.bf16, reference);
    if (stores) claim(&p.logits, p.block_rows * p.logits_stride);
    if (a.dx.data != nullptr) claim(&p.dx_sums, p.segments * p.block_rows * p.dx_stride);
    if (reference) {
      claim_sums(p.reference, a.reference_w.dtype == PRECIS_BFLOAT16, false);
      claim(&p.reference_logits, p.block_rows * p.logits_stride);
    }
    if (!place) PRECIS_RETURN_IF_ERROR(context.scratch.reserve(bytes, &memory));
  }
  const int64_t threads = ceil_div(p.rows, 32) * 32;
  return launch("logits, index", logit_index_kernel, 1,
                static_cast<uint32_t>(min(threads, int64_t{1024})), 0, context.stream, p, a.op,
                context.problem);
}

}  // namespace precis
