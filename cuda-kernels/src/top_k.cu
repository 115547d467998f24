// The k largest of each row, largest first, the lower index first among equals
//                                                                            native/src/ops/top_k.h
// There is one block per row. Value and index form one integer key, so no two keys are equal. First
// each thread finds its largest key; the k-th largest of those is a lower bound of the row's k-th
// largest, and the keys that reach it, seldom more than 2 k, are collected and sorted (bitonic
// sort). So a row is read twice, the second time from L2. Where too many keys reach the bound, or k
// exceeds the number of threads with keys so that there is no bound, radix select (select.cuh) finds
// the k-th largest key itself. Atomics decide the place of a collected key, but sorting makes the
// result deterministic.
#include "kernels.h"
#include "ops/top_k.h"
#include "select.cuh"

namespace precis {
namespace {

using Key = unsigned long long;  // larger for larger values and lower indices; 0 is no key

constexpr int kMaxThreads = 1024;
constexpr int kInShared = 2048;  // the most keys that are collected in shared memory

// Returns the k-th largest key, or a prefix of it followed by zeros where that selects the same
// keys. each(f) calls f for this thread's keys, which are below 2^bits.
template <class Each>
__device__ Key kth_largest(int k, int bits, const Shared<BinSum>& bins, const Each& each) {
  Key prefix = 0;
  BinSum before = 0;
  bool all = false;  // all keys with the prefix are wanted
  for (int shift = bits; shift > 0 && !all;) {
    const int width = min(shift, kDigitBits), above = shift;
    shift -= width;
    for (int i = thread(); i < kBins; i += static_cast<int>(blockDim.x)) bins[i] = 0;
    __syncthreads();
    each([&](Key key) {
      if (key >> above != prefix) return;
      const int digit = static_cast<int>(key >> shift & ((1u << width) - 1));
      atomicAdd(bins.at(digit, 1), BinSum{1});
    });
    __syncthreads();
    const Boundary boundary = find_boundary(bins, before, static_cast<BinSum>(k - 1), true);
    before = boundary.before;
    prefix = prefix << width | static_cast<Key>(boundary.bin);
    all = before + bins[boundary.bin] == static_cast<BinSum>(k);
    __syncthreads();  // all threads have read the bins
    if (all || shift == 0) prefix <<= shift;
  }
  return prefix;
}

struct Arguments {
  Matrix<const float> x;
  Matrix<float> values;
  Matrix<int32_t> indices;
  Key* memory;   // (M, capacity), where the keys do not fit into shared memory
  int capacity;  // a power of two
  int n, k;
  int index_bits;
  unsigned long long* problem;
};

template <bool kShared>
__global__ void __launch_bounds__(kMaxThreads) top_k_kernel(Arguments a) {
  const int64_t m = blockIdx.x;
  const int threads = static_cast<int>(blockDim.x), bits = 32 + a.index_bits;
  const uint32_t mask = (1u << a.index_bits) - 1;
  const float* x = a.x.row(m);
  DynamicShared dynamic;
  const Shared<BinSum> bins = dynamic.take<BinSum>(kBins);
  const Shared<Key> in_shared = dynamic.take<Key>(kShared ? a.capacity : 0);
  PRECIS_SHARED(uint32_t, counter, 1);
  auto collected = [&](int i) -> Key& {
    if constexpr (kShared) {
      return in_shared[i];
    } else {
      return a.memory[m * a.capacity + i];
    }
  };
  auto key_of = [&](float value, int i) {
    return static_cast<Key>(order_bits(value)) << a.index_bits | (mask - static_cast<uint32_t>(i));
  };

  // Calls f(value, index) for this thread's elements of the row.
  auto each_element = [&](const auto& f) {
    for_eights<2>(
        thread() * kEight, a.n, threads * kEight,
        [&](int i, int count) {
          RawEight<float> held;
          held.load(x + i, count);
          return held;
        },
        [&](int i, int count, const RawEight<float>& held) {
          float v[kEight];
          held.convert(v);
#pragma unroll
          for (int j = 0; j < kEight; j++) {
            if (j < count) f(v[j], i + j);
          }
        });
  };

  Key largest = 0;
  int bad = 0;
  each_element([&](float value, int i) {
    bad |= value != value;
    const Key key = key_of(value, i);
    largest = key > largest ? key : largest;
  });
  if (block_reduce(bad, Sum()) > 0) {
    if (thread() == 0) note_problem(a.problem, ProblemOp::kTopK, m, ProblemKind::kNan);
    return;
  }

  Key bound = 0;
  auto kth_of_row = [&] {
    return kth_largest(a.k, bits, bins, [&](const auto& f) {
      each_element([&](float value, int i) {
        const Key key = key_of(value, i);
        if (key >= bound) f(key);
      });
    });
  };
  // Returns how many keys reach the bound, and keeps as many as there is room for.
  auto collect = [&] {
    if (thread() == 0) counter[0] = 0;
    __syncthreads();
    each_element([&](float value, int i) {
      const Key key = key_of(value, i);
      if (key < bound) return;
      const int at = static_cast<int>(atomicAdd(counter.at(0, 1), 1u));
      if (at < a.capacity) collected(at) = key;
    });
    __syncthreads();
    return static_cast<int>(counter[0]);
  };
  // So many threads have keys.
  if (a.k <= min(threads, (a.n + kEight - 1) / kEight)) {
    bound = kth_largest(a.k, bits, bins, [&](const auto& f) {
      if (largest != 0) f(largest);
    });
  } else if (a.n > a.capacity) {
    bound = kth_of_row();
  }
  int count = collect();
  if (count > a.capacity) {
    bound = kth_of_row();
    count = collect();
  }

  int length = 1;
  while (length < count) length *= 2;
  for (int i = count + thread(); i < length; i += threads) collected(i) = 0;
  __syncthreads();
  for (int size = 2; size <= length; size *= 2) {
    for (int distance = size / 2; distance > 0; distance /= 2) {
      for (int e = thread(); e < length / 2; e += threads) {
        const int i = 2 * e - (e & (distance - 1)), j = i + distance;
        const Key one = collected(i), other = collected(j);
        if ((one < other) != ((i & size) == 0)) continue;
        collected(i) = other;
        collected(j) = one;
      }
      __syncthreads();
    }
  }
  for (int j = thread(); j < a.k; j += threads) {
    const int i = static_cast<int>(mask - static_cast<uint32_t>(collected(j) & mask));
    a.indices.row(m)[j] = i;
    a.values.row(m)[j] = x[i];
  }
}

}  // namespace

cudaError_t top_k_cuda(CudaContext& context, const precis_top_k_args& a) {
  const int64_t m = rows(a.x), n = columns(a.x), k = columns(a.values);
  if (m == 0) return cudaSuccess;
  if (n > INT32_MAX / 2) return cudaErrorInvalidValue;
  Arguments args = {};
  args.x = matrix<const float>(a.x);
  args.values = matrix<float>(a.values);
  args.indices = matrix<int32_t>(a.indices);
  args.n = static_cast<int>(n);
  args.k = static_cast<int>(k);
  while (int64_t{1} << args.index_bits < n) args.index_bits++;
  args.problem = context.problem;
  args.capacity = kInShared;
  while (args.capacity < k) args.capacity *= 2;
  const bool shared = args.capacity == kInShared;
  if (!shared) {
    void* memory = nullptr;
    PRECIS_RETURN_IF_ERROR(context.scratch.reserve(
        static_cast<size_t>(m) * static_cast<size_t>(args.capacity) * sizeof(Key), &memory));
    args.memory = static_cast<Key*>(memory);
  }
  const size_t bytes = shared_bytes<BinSum>(kBins) + (shared ? shared_bytes<Key>(kInShared) : 0);
  return launch("top_k", shared ? top_k_kernel<true> : top_k_kernel<false>,
                static_cast<uint32_t>(m), n <= 4096 ? 128 : kMaxThreads, bytes, context.stream,
                args);
}

}  // namespace precis
