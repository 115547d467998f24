// Samples one token per row of logits (M, V)                                native/src/ops/sample.h
//
// Rules, masses, order and noise are defined there, so the token is the same as on the CPU.
//
// There is one block per row. The row stays in shared memory from the first read on where it fits
// (32128 logits do, in 126 KiB); otherwise it is read again from L2. Nothing is sorted: top-k and
// top-p both need a threshold, which four rounds of radix select find. The first digit is the
// distance from the largest logit, the others are 11, 11 and 10 bits of the logit itself. top-k's
// histogram counts, top-p's sums masses, which are integers, so the order of the atomics does not
// change the result. Logits equal to the threshold are ranked by a prefix sum over the threads.
//
// The noise of tokens i, i + 16, i + 32 and i + 48 comes from one call of Philox, so a thread has
// these four.
//
// Not tried yet, but likely to matter: skipping the noise where a bound shows that it cannot win,
// as the CPU does for groups; two blocks in a cluster for the two halves of a row at batch 1.
#include "kernels.h"
#include "logit_rules.cuh"
#include "ops/sample.h"
#include "select.cuh"

namespace precis {
namespace {

constexpr int kMaxThreads = 1024;
constexpr int kRounds = 4;

using Mass = BinSum;

__device__ __forceinline__ bool sampling_fits(const precis_row_sampling& own) {
  return own.temperature > 0 && own.temperature <= 3e38f && own.top_k >= 0 && own.top_p >= 0 &&
         own.top_p <= 1;
}

__device__ __forceinline__ int threads() { return static_cast<int>(blockDim.x); }

struct Arguments {
  precis_sample_args a;
  Matrix<float> logits;
  Matrix<float> probabilities;
  float* originals;  // (M, history_stride): the scores of the history's tokens before the penalty
  unsigned long long* problem;
  int n;
};

// A row of logits, in shared or in global memory.
template <bool kInShared>
struct Row {
  const Shared<float>& copy;
  const float* memory;

  __device__ __forceinline__ float operator[](int i) const {
    if constexpr (kInShared) {
      return copy[i];
    } else {
      return memory[i];
    }
  }
};

// The digit of a logit in a round of radix select, ascending with the logit. z <= 0 is
// (logit - largest) / temperature.
__device__ __forceinline__ uint32_t digit(int round, float logit, float z) {
  if (round == 0) {
    const float below = z * -64.0f;
    return kBins - 1 - static_cast<uint32_t>(below < kBins - 1.0f ? below : kBins - 1.0f);
  }
  const uint32_t bits = order_bits(logit);
  return round == 1 ? bits >> 21 : round == 2 ? bits >> 10 & 2047u : bits & 1023u;
}

// Finds a threshold among the logits that are at least least. By count, it is the logit that limit
// others precede in descending order. By mass, it is the lowest logit that is kept when the lowest
// are dropped while their mass is at most limit. *before becomes the number of larger logits, or
// the mass of the smaller ones.
template <bool kMass, bool kInShared>
__device__ float find_threshold(const Row<kInShared>& row, int n, float largest, float temperature,
                                float least, Mass limit, const Shared<Mass>& bins, Mass* before) {
  uint32_t prefix[kRounds] = {};
  Boundary boundary = {0, 0};
  for (int round = 0; round < kRounds; round++) {
    for (int i = thread(); i < kBins; i += threads()) bins[i] = 0;
    __syncthreads();
    for (int i = thread(); i < n; i += threads()) {
      const float x = row[i];
      if (x < least) continue;
      const float z = (x - largest) / temperature;
      bool candidate = true;
      for (int r = 0; r < round; r++) candidate &= digit(r, x, z) == prefix[r];
      if (!candidate) continue;
      const Mass weight = kMass ? sample_mass(z) : 1;
      if (weight > 0) atomicAdd(bins.at(static_cast<int>(digit(round, x, z)), 1), weight);
    }
    __syncthreads();
    boundary = find_boundary(bins, boundary.before, limit, !kMass);
    prefix[round] = static_cast<uint32_t>(boundary.bin);
  }
  *before = boundary.before;
  const uint32_t bits = prefix[1] << 21 | prefix[2] << 10 | prefix[3];
  return __uint_as_float((bits & 0x80000000u) != 0 ? bits & 0x7fffffffu : ~bits);
}

// Returns the index of the logit that `skipped` others equal to value precede.
template <bool kInShared>
__device__ int find_equal(const Row<kInShared>& row, int n, float value, uint32_t skipped) {
  PRECIS_SHARED(uint32_t, warp_counts, 32);
  PRECIS_SHARED(int, found, 1);
  const int lane = thread() % 32, warp = thread() / 32;
  const int slice = (n + threads() - 1) / threads();
  const int begin = thread() * slice, end = min(begin + slice, n);
  uint32_t mine = 0;
  for (int i = begin; i < end; i++) mine += row[i] == value;
  const uint32_t sum = warp_prefix_sum(mine);
  if (lane == 31) warp_counts[warp] = sum;
  __syncthreads();
  uint32_t before = sum - mine;
  for (int w = 0; w < warp; w++) before += warp_counts[w];
  if (before <= skipped && skipped < before + mine) {
    int i = begin;
    for (uint32_t left = skipped - before;; i++) {
      if (row[i] == value && left-- == 0) break;
    }
    found[0] = i;
  }
  __syncthreads();
  return found[0];
}

// A score and its token. The larger score wins, and the lower token among equal scores.
struct Sampled {
  float score;
  int token;
};
struct Better {
  __device__ __forceinline__ Sampled operator()(const Sampled& a, const Sampled& b) const {
    return a.score > b.score || (a.score == b.score && a.token < b.token) ? a : b;
  }
};
// It must be called only once, because there is no barrier before its shared memory is reused.
__device__ Sampled best_of_block(Sampled mine) {
  PRECIS_SHARED(Sampled, partials, 32);
#pragma unroll
  for (int d = 16; d > 0; d /= 2) {
    mine = Better()(mine, {__shfl_xor_sync(kAllLanes, mine.score, d),
                           __shfl_xor_sync(kAllLanes, mine.token, d)});
  }
  if (thread() % 32 == 0) partials[thread() / 32] = mine;
  __syncthreads();
  Sampled all = partials[0];
  for (int w = 1; w < threads() / 32; w++) all = Better()(all, partials[w]);
  return all;
}

// A row that stays in global memory takes half the threads, which then have enough registers.
constexpr int most_threads(bool in_shared) { return in_shared ? kMaxThreads : kMaxThreads / 2; }

template <bool kInShared>
__global__ void __launch_bounds__(most_threads(kInShared), 1) sample_kernel(Arguments args) {
  const precis_sample_args& a = args.a;
  const int64_t r = blockIdx.x;
  const precis_row_sampling own = sampling_of_row(a, r);
  const precis_row_rules rules = rules_of_row(a.rules, r);
  const int n = args.n;
  float* logits = args.logits.row(r);
  DynamicShared dynamic;
  const Shared<float> copy = dynamic.take<float>(kInShared ? n : 0);
  const Shared<Mass> bins = dynamic.take<Mass>(kBins);
  const Row<kInShared> row = {copy, logits};

  // Copies the row into shared memory and returns its largest value to every thread.
  auto read = [&] {
    float largest = -INFINITY;
    for_eights<4>(
        thread() * kEight, n, threads() * kEight,
        [&](int i, int count) {
          RawEight<float> held;
          held.load(logits + i, count);
          return held;
        },
        [&](int i, int count, const RawEight<float>& held) {
          float x[kEight];
          held.convert(x);
          if constexpr (kInShared) store8(copy.at(i, count), count, x);
#pragma unroll
          for (int j = 0; j < kEight; j++) {
            if (j < count) largest = Largest()(largest, x[j]);
          }
        });
    return block_reduce(largest, Largest());
  };
  // Notes a problem; the row then has token 0.
  auto refuse = [&](ProblemKind kind) {
    if (thread() != 0) return;
    note_problem(args.problem, ProblemOp::kSample, r, kind);
    a.tokens[r] = 0;
  };
  auto is_bad = [&](float largest) {
    if (largest > -INFINITY && largest < INFINITY) return false;
    refuse(largest != largest ? ProblemKind::kNan
           : largest > 0      ? ProblemKind::kPositiveInfinity
                              : ProblemKind::kNothingFinite);
    return true;
  };
  auto mass_of_row = [&](float largest, float temperature, float least) {
    Mass sum = 0;
    for (int i = thread(); i < n; i += threads()) {
      const float x = row[i];
      if (x >= least) sum += sample_mass((x - largest) / temperature);
    }
    return block_reduce(sum, Sum());
  };

  // The host cannot check these where they lie in device memory.
  if (!own.greedy && !sampling_fits(own)) return refuse(ProblemKind::kParameter);
  if (!own.greedy && a.offsets[r] >> 32 != 0) return refuse(ProblemKind::kOffset);
  const int32_t length = a.next_ids != nullptr ? a.rules.history_lengths[r] : 0;
  if (a.next_ids != nullptr && (length < 0 || length >= a.rules.history_stride)) {
    return refuse(ProblemKind::kLength);
  }

  float largest = read();
  if (is_bad(largest)) return;
  const bool wants_raw = a.log_probabilities != nullptr;
  const float raw_largest = largest;
  const Mass raw_mass = wants_raw ? mass_of_row(largest, 1.0f, -INFINITY) : 0;
  float* originals = args.originals + r * a.rules.history_stride;
  if (has_rules(rules)) {
    if (!rules_fit(a.rules, r, n, ProblemOp::kSample, args.problem)) {
      if (thread() == 0) a.tokens[r] = 0;
      return;
    }
    apply_rules(a.rules, r, logits, originals);
    largest = read();
    if (is_bad(largest)) return;
  }

  const float temperature = own.greedy ? 1.0f : own.temperature;
  float least = -INFINITY;  // smaller logits are not sampled,
  int first = 0;            // nor equal ones before this index
  Mass mass = 0;
  Sampled sampled = {-INFINITY, n};
  if (own.greedy) {
    for (int i = thread(); i < n; i += threads()) sampled = Better()(sampled, {row[i], i});
  } else {
    Mass before = 0;
    if (own.top_k > 0 && own.top_k < n) {
      least = find_threshold<false>(row, n, largest, temperature, least,
                                    static_cast<Mass>(own.top_k - 1), bins, &before);
    }
    if (own.top_p < 1 || a.warped_log_probabilities != nullptr || a.probabilities.data != nullptr) {
      mass = mass_of_row(largest, temperature, least);
    }
    if (own.top_p < 1) {
      const Mass droppable = sample_droppable(own.top_p, mass);
      least = find_threshold<true>(row, n, largest, temperature, least, droppable, bins, &before);
      const Mass each = sample_mass((least - largest) / temperature);
      const Mass dropped_equals = (droppable - before) / each;
      if (dropped_equals > 0) {
        first = find_equal(row, n, least, static_cast<uint32_t>(dropped_equals));
      }
      mass -= before + dropped_equals * each;
    }
    const uint32_t key0 = static_cast<uint32_t>(own.seed);
    const uint32_t key1 = static_cast<uint32_t>(own.seed >> 32);
    const uint64_t stream = a.streams[r], offset = a.offsets[r];
    const int counters = (n + 63) / 64 * 16;
    for (int c = thread(); c < counters; c += threads()) {
      const int i = c / 16 * 64 + c % 16;
      bool any = false;
#pragma unroll
      for (int j = 0; j < 4; j++) any |= i + 16 * j < n && row[i + 16 * j] >= least;
      if (!any) continue;
      const Philox random =
          philox4x32_10(gumbel_counter(stream, offset, static_cast<uint32_t>(c)), key0, key1);
#pragma unroll
      for (int j = 0; j < 4; j++) {
        const int token = i + 16 * j;
        if (token >= n) break;
        const float x = row[token];
        if (x < least || (x == least && token < first)) continue;
        const float score = (x - largest) / temperature + gumbel_of_bits(random.word[j]);
        sampled = Better()(sampled, {score, token});
      }
    }
  }
  const int token = best_of_block(sampled).token;

  if (thread() == 0) {
    a.tokens[r] = token;
    if (wants_raw) {
      float x = row[token];
      for (int32_t h = 0; rules.repetition_penalty != 1 && h < a.rules.history_lengths[r]; h++) {
        if (a.rules.history[r * a.rules.history_stride + h] == token) x = originals[h];
      }
      a.log_probabilities[r] = (x - raw_largest) - sample_log_mass(raw_mass);
    }
    if (a.warped_log_probabilities != nullptr) {
      a.warped_log_probabilities[r] =
          own.greedy ? 0.0f : (row[token] - largest) / temperature - sample_log_mass(mass);
    }
    if (a.next_ids != nullptr) append_sampled(a, r, length, token);
  }
  if (a.probabilities.data == nullptr) return;
  float* probabilities = args.probabilities.row(r);
  const float sum = static_cast<float>(mass) * 0x1p-40f;
  for (int i = thread(); i < n; i += threads()) {
    const float x = row[i];
    const bool kept = own.greedy ? i == token : x > least || (x == least && i >= first);
    const float p = own.greedy ? 1.0f : portable_exp((x - largest) / temperature) / sum;
    probabilities[i] = kept ? p : 0.0f;
  }
}

}  // namespace

cudaError_t sample_cuda(CudaContext& context, const precis_sample_args& a) {
  const int64_t m = rows(a.logits), n = columns(a.logits);
  if (m == 0) return cudaSuccess;
  if (n > INT32_MAX / 2) return cudaErrorInvalidValue;
  void* memory = nullptr;
  PRECIS_RETURN_IF_ERROR(context.scratch.reserve(
      static_cast<size_t>(originals_floats(a.rules, m)) * sizeof(float), &memory));
  const Arguments args = {a,
                          matrix<float>(a.logits),
                          matrix<float>(a.probabilities),
                          static_cast<float*>(memory),
                          context.problem,
                          static_cast<int>(n)};
  constexpr int64_t kReductionBytes = 4096;
  const size_t bins = shared_bytes<Mass>(kBins), bytes = shared_bytes<float>(n) + bins;
  const bool fits = static_cast<int64_t>(bytes) + kReductionBytes <= context.block_shared_bytes;
  const int threads = n <= 4096 ? 128 : most_threads(fits);
  return launch("sample", fits ? sample_kernel<true> : sample_kernel<false>,
                static_cast<uint32_t>(m), threads, fits ? bytes : bins, context.stream, args);
}

}  // namespace precis
