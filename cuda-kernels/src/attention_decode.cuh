// Attention of one row and head over its keys in the cache, by a block or by the blocks of a cluster:
// the body of attention_decode.cu's kernel, and of the product in step_product.cu whose epilogue is
// attention.
//
// Keys are divided into spans of 256. A span has a maximum, a sum and a weighted sum of values, and
// these are added span after span; a cluster's blocks have every so-manyth span each. So a row's bits
// are the same whatever the number of blocks.
#ifndef PRECIS_CUDA_ATTENTION_DECODE_CUH_
#define PRECIS_CUDA_ATTENTION_DECODE_CUH_

#include "cluster.cuh"
#include "kernels.h"
#include "relative_bias.cuh"

namespace precis {

constexpr int kDecodeThreads = 256;
constexpr int kDecodeLanes = 8;  // lanes of a group
constexpr int kDecodeGroups = kDecodeThreads / kDecodeLanes;
constexpr int kDecodeTable = 1024;  // distances whose bias is looked up before the loop
constexpr int kDecodeSpan = 256;    // keys

struct DecodeArguments {
  AnyMatrix q, k_new, v_new, out;
  const int32_t* key_starts;
  const int32_t* lengths;
  const int32_t* ancestors;
  int64_t ancestor_stride;
  int64_t slot_rows;
  int64_t cache_rows;
  unsigned long long* problem;
  BiasTable bias;
  float scale;
  int head_dim;
};

// Eight elements of the cache on their way: where rows are aligned as they lie in memory, otherwise
// converted at once.
template <class T, bool kAligned>
class HeldEight {
 public:
  __device__ __forceinline__ void load(const T* p, int count) {
    if constexpr (kAligned) {
      count > 0 ? raw_.load(p) : raw_.clear();
    } else {
      load8(p, count, converted_);
    }
  }
  __device__ __forceinline__ void get(float (&v)[kEight]) const {
    if constexpr (kAligned) {
      raw_.convert(v);
    } else {
#pragma unroll
      for (int j = 0; j < kEight; j++) v[j] = converted_[j];
    }
  }

 private:
  struct Nothing {};
  std::conditional_t<kAligned, RawEight<T>, Nothing> raw_;
  float converted_[kAligned ? 1 : kEight];
};

// Has a warp ask for the keys and values of a row's head, so that they come into the L2 cache. What
// lies outside the cache is left to attend.
template <class T>
__device__ __forceinline__ void prefetch_keys(const DecodeArguments& a, const Matrix<T>& k_cache,
                                              const Matrix<T>& v_cache, int64_t r, int head) {
  if (a.ancestors != nullptr) return;
  const int64_t start = a.key_starts[r], end = start + a.lengths[r];
  if (start < 0 || end > a.cache_rows) return;
  const int blocks = cluster_blocks();
  for (int64_t span = start + int64_t{cluster_rank()} * kDecodeSpan; span < end;
       span += int64_t{blocks} * kDecodeSpan) {
    for (int64_t row = span + thread() % 32; row < min(span + kDecodeSpan, end); row += 32) {
      prefetch(k_cache.row(row) + head * a.head_dim);
      prefetch(v_cache.row(row) + head * a.head_dim);
    }
  }
}

// Computes one row and head; a cluster can do so several times. load_query(d, count, v) fills in
// elements [d, d + count) of the query's head. kChunks: groups of 64 elements, enough for a head.
// kAligned: the rows of the cache are aligned to 16 bytes, and so are its heads.
template <class T, int kChunks, bool kAligned, class LoadQuery>
__device__ void attend(const DecodeArguments& a, const Matrix<T>& k_cache, const Matrix<T>& v_cache,
                       int64_t r, int head, const LoadQuery& load_query) {
  constexpr int kThreads = kDecodeThreads, kLanes = kDecodeLanes, kGroups = kDecodeGroups;
  constexpr int kTableSize = kDecodeTable;
  constexpr int kKeys = 4 / kChunks;  // in flight, for each group
  PRECIS_SHARED(float, maxima, kGroups);
  PRECIS_SHARED(float, sums, kGroups);
  PRECIS_SHARED(float, partials, kGroups* kChunks * 64);
  PRECIS_SHARED(float, table, kTableSize);
  PRECIS_SHARED(float, of_span, kMaxHeadDim + 2);  // its values, maximum and sum, for the cluster
  const int blocks = cluster_blocks(), rank = cluster_rank();
  const int group = thread() / kLanes;
  const int column = head * a.head_dim, lane = thread() % kLanes;
  const int length = a.lengths[r], last = length - 1;
  const int32_t* const ancestors =
      a.ancestors != nullptr ? a.ancestors + r * a.ancestor_stride : nullptr;
  const int64_t start = ancestors != nullptr ? 0 : a.key_starts[r];
  auto row_of = [&](int p) {
    return ancestors != nullptr ? ancestors[p] * a.slot_rows + p : start + p;
  };
  // The host cannot check what lies in device memory.
  bool inside =
      length >= 1 && (ancestors == nullptr ? start >= 0 && start + length <= a.cache_rows
                                           : length <= a.ancestor_stride && length <= a.slot_rows);
  if (inside && ancestors != nullptr) {
    int outside = 0;
    for (int p = thread(); p < length; p += kThreads) {
      const int64_t row = row_of(p);
      outside += row < 0 || row >= a.cache_rows;
    }
    inside = block_reduce(outside, Sum()) == 0;
  }
  if (!inside) {
    if (thread() == 0 && rank == 0) {
      note_problem(a.problem, ProblemOp::kAttentionDecode, r, ProblemKind::kCacheRow);
    }
    return;
  }
  // The number of elements that the lane has in a chunk.
  auto count_of = [&](int chunk) { return up_to_eight(a.head_dim - chunk * 64 - lane * kEight); };

  const int known = min(last, kTableSize - 1);
  if (a.bias.data != nullptr) {
    for (int d = thread(); d <= known; d += kThreads) table[d] = a.bias.at(-d, head);
  }
  const int spans = (length + kDecodeSpan - 1) / kDecodeSpan;
  // The block that has the last span appends, because it alone reads what is appended.
  const bool append = a.k_new.data != nullptr && (spans - 1) % blocks == rank;
  if (append && group < kChunks) {
    const int d = group * 64 + lane * kEight, count = count_of(group);
    float k[kEight], v[kEight];
    a.k_new.load(r, column + d, count, k);
    a.v_new.load(r, column + d, count, v);
    store8(k_cache.row(row_of(last)) + column + d, count, k);
    store8(v_cache.row(row_of(last)) + column + d, count, v);
  }
  float q[kChunks][kEight];
#pragma unroll
  for (int c = 0; c < kChunks; c++) {
    load_query(c * 64 + lane * kEight, count_of(c), q[c]);
  }
  __syncthreads();  // the table is filled in, and the new key and value are appended

  // Of the spans so far, in the thread that has an element of the output.
  float best = -INFINITY, whole = 0, value = 0;
  auto add_span = [&](float of_value, float of_best, float of_sum) {
    const float most = of_best > best ? of_best : best;
    const float keep = best == -INFINITY ? 0.0f : expf(best - most), scale = expf(of_best - most);
    value = fmaf(of_value, scale, value * keep);
    whole = fmaf(of_sum, scale, whole * keep);
    best = most;
  };
  static_assert(kMaxHeadDim <= kThreads);
  const int element = thread();
  for (int round = 0; round < spans; round += blocks) {
    const int begin = (round + rank) * kDecodeSpan, end = min(begin + kDecodeSpan, length);
    if (round > 0) __syncthreads();  // no thread reads the last span's parts any more
    float largest = -INFINITY, sum = 0, out[kChunks][kEight] = {};
    for (int first = begin; first < end; first += kGroups * kKeys) {
      HeldEight<T, kAligned> k_held[kKeys][kChunks], v_held[kKeys][kChunks];
      float score[kKeys];
#pragma unroll
      for (int i = 0; i < kKeys; i++) {
        const int p = first + i * kGroups + group;
        const int64_t from = row_of(p < end ? p : end - 1);
#pragma unroll
        for (int c = 0; c < kChunks; c++) {
          const int d = column + c * 64 + lane * kEight;
          k_held[i][c].load(k_cache.row(from) + d, count_of(c));
          v_held[i][c].load(v_cache.row(from) + d, count_of(c));
        }
      }
#pragma unroll
      for (int i = 0; i < kKeys; i++) {
        float dot = 0;
#pragma unroll
        for (int c = 0; c < kChunks; c++) {
          float k[kEight];
          k_held[i][c].get(k);
#pragma unroll
          for (int j = 0; j < kEight; j++) dot = fmaf(q[c][j], k[j], dot);
        }
#pragma unroll
        for (int d = kLanes / 2; d > 0; d /= 2) dot += __shfl_xor_sync(kAllLanes, dot, d);
        score[i] = dot * a.scale;
      }
#pragma unroll
      for (int i = 0; i < kKeys; i++) {
        const int p = first + i * kGroups + group;
        if (p >= end) continue;
        if (a.bias.data != nullptr) {
          score[i] += last - p <= known ? table[last - p] : a.bias.at(p - last, head);
        }
        const float most = score[i] > largest ? score[i] : largest;
        const float keep = largest == -INFINITY ? 0.0f : expf(largest - most);
        const float weight = expf(score[i] - most);
        largest = most;
        sum = sum * keep + weight;
#pragma unroll
        for (int c = 0; c < kChunks; c++) {
          float v[kEight];
          v_held[i][c].get(v);
#pragma unroll
          for (int j = 0; j < kEight; j++) out[c][j] = fmaf(weight, v[j], out[c][j] * keep);
        }
      }
    }

    if (lane == 0) {
      maxima[group] = largest;
      sums[group] = sum;
    }
#pragma unroll
    for (int c = 0; c < kChunks; c++) {
#pragma unroll
      for (int j = 0; j < kEight; j++) {
        partials[(group * kChunks + c) * 64 + lane * kEight + j] = out[c][j];
      }
    }
    __syncthreads();
    if (begin < end && element < a.head_dim) {
      float all = maxima[0];
      for (int g = 1; g < kGroups; g++) all = maxima[g] > all ? maxima[g] : all;
      float total = 0, of_value = 0;
      for (int g = 0; g < kGroups; g++) {
        if (g >= end - begin) break;  // a group without keys
        const float weight = expf(maxima[g] - all);
        total = fmaf(weight, sums[g], total);
        of_value = fmaf(weight, partials[g * kChunks * 64 + element], of_value);
      }
      if (blocks == 1) {
        add_span(of_value, all, total);
      } else {
        of_span[element] = of_value;
        if (element == 0) {
          of_span[kMaxHeadDim] = all;
          of_span[kMaxHeadDim + 1] = total;
        }
      }
    }
    if (blocks > 1) {
      cluster_barrier();
      if (rank == 0 && element < a.head_dim) {
        for (int b = 0; b < min(blocks, spans - round); b++) {
          const PeerShared<float> of = peer(of_span, b);
          add_span(of.load(element), of.load(kMaxHeadDim), of.load(kMaxHeadDim + 1));
        }
      }
      cluster_barrier();  // the first block has read what the others have
    }
  }
  if (rank == 0 && element < a.head_dim) a.out.set(r, column + element, value / whole);
}

// Tells whether all rows of a tensor are aligned to 16 bytes.
static inline bool rows_are_aligned(const precis_tensor& t) {
  return is_aligned(t.data) && row_stride(t) * element_bytes(t.dtype) % 16 == 0;
}
// Tells which of the kernels of attend can be used.
static inline bool decode_is_aligned(const precis_attention_decode_args& a) {
  return columns(a.q) / a.heads % kEight == 0 && rows_are_aligned(a.k_cache) &&
         rows_are_aligned(a.v_cache);
}

// Returns the blocks of a cluster of the kernel for a row and head: as many as there are spans, on
// average, while there are multiprocessors for them.
template <class... P>
uint32_t decode_blocks(const CudaContext& context, const precis_attention_decode_args& a,
                       void (*kernel)(P...)) {
  const int64_t m = rows(a.q), keys = a.ancestors != nullptr ? a.slot_rows : rows(a.k_cache) / m;
  int64_t blocks = 1;
  while (blocks < kMostClusterBlocks && blocks * kDecodeSpan < keys &&
         2 * blocks * m * a.heads <= context.multiprocessors) {
    blocks *= 2;
  }
  return blocks > 1 && is_for_sm90(kernel) ? static_cast<uint32_t>(blocks) : 1;
}

static inline DecodeArguments decode_arguments(CudaContext& context,
                                               const precis_attention_decode_args& a) {
  return {any_matrix(a.q),
          any_matrix(a.k_new),
          any_matrix(a.v_new),
          any_matrix(a.out),
          a.key_starts,
          a.lengths,
          a.ancestors,
          a.ancestor_stride,
          a.slot_rows,
          rows(a.k_cache),
          context.problem,
          bias_table(a.bias, a.max_distance, false),
          a.scale,
          static_cast<int>(columns(a.q) / a.heads)};
}

}  // namespace precis

#endif  // PRECIS_CUDA_ATTENTION_DECODE_CUH_
