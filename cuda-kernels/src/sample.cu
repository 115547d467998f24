// Samples one token per row of logits (M, V)                                native/src/ops/sample.h
//
// Rules, masses, order and noise are defined there, so the token is the same as on the CPU.
//
// A row belongs to a block where the rows fill the GPU, otherwise to a cluster of two, four or eight
// blocks, each with a contiguous slice of the vocabulary (cluster.cuh). Whatever they combine is a
// maximum or a sum of integers, so the result does not depend on their number. They write partial
// results into each other's shared memory, so that one barrier of the cluster is enough for each: one
// for greedy decoding, two for sampling without limits, and two more for top-k and for top-p.
//
// A slice stays in shared memory from the first read on where it fits (32128 logits do, in 126 KiB);
// otherwise it is read again from L2. Nothing is sorted: top-k and top-p both need a threshold, which
// radix select finds. The first digit is the distance from the largest logit. Those that have the
// boundary's are few as a rule: then each block gets them all and counts for each what precedes it.
// Otherwise there are three further digits, 11, 11 and 10 bits of the logit itself. top-k's histogram
// counts, top-p's sums masses, which are integers, so the order of the atomics does not change the
// result. Lanes of a warp that share a bin add to it once. Logits equal to the threshold are ranked
// by a prefix sum over the threads.
//
// The noise of tokens i, i + 16, i + 32 and i + 48 comes from one call of Philox, so a thread has
// these four. A token whose noise cannot lift it above the sampled score of the largest logit needs
// no logarithms: -log(-log u) <= -log(1 - u).
#include "cluster.cuh"
#include "logit_rules.cuh"
#include "ops/sample.h"
#include "sample_clusters.h"
#include "select.cuh"

namespace precis {
namespace {

constexpr int kMaxThreads = 896;  // which may have 72 registers each
constexpr int kDigits = 4;
// So many bins of a histogram form a group, whose sum is found first.
constexpr int kGroupBins = 32, kGroups = kBins / kGroupBins;
// So many logits of a row may share the boundary's first digit to be compared with each other.
constexpr int kFew = 128;

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
  int slice;  // tokens of a block, a multiple of the 64 whose noise sixteen calls of Philox make
};

// The blocks of a row. What a block writes for the others is there twice and used in turns: who
// writes the next time has passed a barrier after which nobody reads the last but one.
struct Team {
  int blocks, rank;
  int turn;

  __device__ __forceinline__ int next_turn() { return turn ^= 1; }
  __device__ __forceinline__ int next_slots() { return next_turn() * kMostClusterBlocks; }
};

// A block's slice of a row of logits, [begin, end), in shared or in global memory.
template <bool kInShared>
struct Slice {
  const Shared<float>& copy;
  const float* row;
  int begin, end;

  __device__ __forceinline__ float operator[](int token) const {
    if constexpr (kInShared) {
      return copy[token - begin];
    } else {
      return row[token];
    }
  }
  __device__ __forceinline__ bool has(int token) const { return token >= begin && token < end; }
  // Calls f(token, exists) in the same number of turns for all lanes of a warp.
  template <class F>
  __device__ __forceinline__ void each_in_warps(const F& f) const {
    for (int i = begin + thread(); i - thread() % 32 < end; i += threads()) f(i, i < end);
  }
};

// A mass without its unit.
__device__ __forceinline__ float probability(Mass mass) {
  return static_cast<float>(mass) * 0x1p-40f;
}

// Turns logits into z.
struct Scale {
  float largest, temperature;
  float inverse;  // of the temperature, finite: for bounds and for the first digit, not for results

  __device__ __forceinline__ float z(float logit) const { return (logit - largest) / temperature; }
  // About z, and for a temperature whose inverse is not finite at least z.
  __device__ __forceinline__ float near_z(float logit) const { return (logit - largest) * inverse; }
};

struct LargestKey {
  __device__ __forceinline__ Mass operator()(Mass a, Mass b) const { return a > b ? a : b; }
};

// Reduces over all threads of the row's blocks; op(nothing, x) is x.
template <class Op>
__device__ Mass reduce_row(Team& team, Mass value, const Op& op) {
  constexpr Mass kNothing = 0;  // of sums and of keys
  PRECIS_SHARED(Mass, of_warps, 32);
  PRECIS_SHARED(Mass, of_blocks, 2 * kMostClusterBlocks);
  const int lane = thread() % 32, warp = thread() / 32, slots = team.next_slots();
  value = warp_reduce(value, op);
  if (lane == 0) of_warps[warp] = value;
  __syncthreads();
  if (warp == 0) {
    value = warp_reduce(lane < threads() / 32 ? of_warps[lane] : kNothing, op);
    if (lane < team.blocks) peer(of_blocks, lane).store(slots + team.rank, value);
  }
  cluster_barrier(team.blocks);
  Mass all = of_blocks[slots];
  for (int b = 1; b < team.blocks; b++) all = op(all, of_blocks[slots + b]);
  return all;
}

// The digit of a logit in a round of radix select, ascending with the logit.
__device__ __forceinline__ int digit(int round, float logit, const Scale& scale) {
  if (round == 0) {
    const float below = scale.near_z(logit) * -64.0f;
    return kBins - 1 - static_cast<int>(below < kBins - 1.0f ? below : kBins - 1.0f);
  }
  const uint32_t bits = order_bits(logit);
  return static_cast<int>(round == 1 ? bits >> 21 : round == 2 ? bits >> 10 & 2047u : bits & 1023u);
}

// A logit that has the boundary's first digit; its weight is its mass, or 1.
struct Candidate {
  Mass weight;
  float logit;
};

// The shared memory of a search.
struct Search {
  Shared<Mass> groups;           // (2, kGroups): sums of neighboring bins
  Shared<uint32_t> words;        // (1 or 2, 2, kBins): low words of a histogram's sums, high words
  Shared<Candidate> candidates;  // (blocks, kFew)
};
PRECIS_HOST_DEVICE constexpr int histograms(int blocks) { return blocks > 1 ? 2 : 1; }

// Adds a weight to a bin for each lane that has one. Weights are 1 without kMass. Shared memory has
// atomics of 32 bits, and 64 bits would take a loop.
template <bool kMass>
__device__ __forceinline__ void add_to_bin(const Shared<uint32_t>& words, bool has, int bin,
                                           Mass weight) {
  constexpr int kWorthwhile = kMass ? 4 : 2;
  const uint32_t all = __ballot_sync(kAllLanes, has);
  if (all == 0) return;
  const int first = __ffs(all) - 1, common = __shfl_sync(kAllLanes, bin, first);
  const bool shares = has && bin == common;
  const int sharing = __popc(__ballot_sync(kAllLanes, shares));
  if (sharing >= kWorthwhile) {
    const Mass sum = kMass ? warp_reduce(shares ? weight : 0, Sum()) : static_cast<Mass>(sharing);
    if (thread() % 32 == first) {
      weight = sum;
    } else if (shares) {
      has = false;
    }
  }
  if (!has) return;
  const uint32_t low = static_cast<uint32_t>(weight);
  const uint32_t before = atomicAdd(words.at(bin, 1), low);
  if constexpr (kMass) {
    const uint32_t carry = before > 0xffffffffu - low;
    const uint32_t high = static_cast<uint32_t>(weight >> 32) + carry;
    if (high != 0) atomicAdd(words.at(kBins + bin, 1), high);
  }
}

// The bin that contains a boundary, the sum of what precedes it, the limit, and the sum of all bins.
struct Bin {
  int number;
  Mass before, limit, all;
};

// Finds the first bin, ascending for masses and descending for counts, with which the sum over all
// blocks exceeds limit_of(sum of all bins). Such a bin must exist.
template <bool kMass, class Limit>
__device__ Bin find_bin(const Team& team, const Shared<uint32_t>& words, const Shared<Mass>& groups,
                        Mass before, const Limit& limit_of) {
  PRECIS_SHARED(Bin, found, 1);
  if (thread() < 32) {
    const int lane = thread();
    auto place = [](int i, int count) { return kMass ? i : count - 1 - i; };
    Mass one = 0, two = 0;  // neighboring groups
    for (int b = 0; b < team.blocks; b++) {
      const auto theirs = peer(groups, b);
      one += theirs.load(place(2 * lane, kGroups));
      two += theirs.load(place(2 * lane + 1, kGroups));
    }
    const Mass up_to = warp_prefix_sum(one + two);
    const Mass all = __shfl_sync(kAllLanes, up_to, 31), limit = limit_of(all);
    Mass start = before + up_to - one - two;
    const bool in_two = start + one <= limit;
    const bool mine = start <= limit && before + up_to > limit;
    if (in_two) start += one;
    const int owner = __ffs(__ballot_sync(kAllLanes, mine)) - 1;
    const int group = __shfl_sync(kAllLanes, 2 * lane + in_two, owner);
    start = __shfl_sync(kAllLanes, start, owner);
    const int bin = place(group, kGroups) * kGroupBins + place(lane, kGroupBins);
    Mass own = 0;
    for (int b = 0; b < team.blocks; b++) {
      const auto theirs = peer(words, b);
      own += theirs.load(bin) | static_cast<Mass>(theirs.load(kBins + bin)) << 32;
    }
    start += warp_prefix_sum(own) - own;
    if (start <= limit && start + own > limit) found[0] = {bin, start, limit, all};
  }
  __syncthreads();
  return found[0];
}

// Adds up the weights of a block's candidates by digit, and finds the boundary's in the sums of all
// blocks. is_candidate(logit) tells who takes part.
template <bool kMass, bool kInShared, class Is, class Limit>
__device__ Bin boundary_digit(Team& team, const Slice<kInShared>& slice, const Scale& scale,
                              const Search& search, int round, Mass before, const Is& is_candidate,
                              const Limit& limit_of) {
  const int turn = team.next_turn(), warp = thread() / 32, lane = thread() % 32;
  const Shared<uint32_t> words =
      search.words.part((team.blocks > 1 ? turn : 0) * 2 * kBins, 2 * kBins);
  const Shared<Mass> groups = search.groups.part(turn * kGroups, kGroups);
  for (int i = 4 * thread(); i < 2 * kBins; i += 4 * threads())
    store16(words.at(i, 4), {0, 0, 0, 0});
  __syncthreads();
  slice.each_in_warps([&](int i, bool exists) {
    const float x = exists ? slice[i] : 0.0f;
    bool has = exists && is_candidate(x);
    Mass weight = 1;
    if constexpr (kMass) {
      weight = has ? sample_mass(scale.z(x)) : 0;
      has = weight > 0;
    }
    add_to_bin<kMass>(words, has, has ? digit(round, x, scale) : 0, weight);
  });
  __syncthreads();
  for (int g = warp; g < kGroups; g += threads() / 32) {
    const int bin = g * kGroupBins + lane;
    const Mass sum = warp_reduce(words[bin] | static_cast<Mass>(words[kBins + bin]) << 32, Sum());
    if (lane == 0) groups[g] = sum;
  }
  cluster_barrier(team.blocks);
  return find_bin<kMass>(team, words, groups, before, limit_of);
}

// A boundary among logits: the number of larger ones or the mass of smaller ones, the limit, and the
// number or the mass of all.
struct Threshold {
  float logit;
  Mass before, limit, all;
};

// Finds the threshold among the logits that have the boundary's first digit, if they are few; returns
// whether they are. *threshold has the sum of what precedes them.
template <bool kMass, bool kInShared, class Is>
__device__ bool find_among_few(Team& team, const Slice<kInShared>& slice, const Scale& scale,
                               const Search& search, const Is& is_candidate, Threshold* threshold) {
  PRECIS_SHARED(uint32_t, counter, 1);
  PRECIS_SHARED(uint32_t, counts, 2 * kMostClusterBlocks);
  PRECIS_SHARED(Threshold, found, 1);
  const Shared<Candidate>& all = search.candidates;
  const int slots = team.next_slots();
  if (thread() == 0) counter[0] = 0;
  __syncthreads();
  slice.each_in_warps([&](int i, bool exists) {
    const float x = exists ? slice[i] : 0.0f;
    const bool has = exists && is_candidate(x);
    const uint32_t lanes = __ballot_sync(kAllLanes, has);
    if (lanes == 0) return;
    const int lane = thread() % 32, first = __ffs(lanes) - 1;
    uint32_t at = 0;
    if (lane == first) at = atomicAdd(counter.at(0, 1), static_cast<uint32_t>(__popc(lanes)));
    at = __shfl_sync(kAllLanes, at, first);
    at += static_cast<uint32_t>(__popc(lanes & ((1u << lane) - 1)));
    if (has && at < kFew) {
      const Mass weight = kMass ? sample_mass(scale.z(x)) : 1;
      all[team.rank * kFew + static_cast<int>(at)] = {weight, x};
    }
  });
  __syncthreads();
  for (int i = thread(); i < team.blocks * kFew; i += threads()) {
    const int to = i / kFew, own = team.rank * kFew + i % kFew;
    if (i % kFew == 0) peer(counts, to).store(slots + team.rank, counter[0]);
    if (to != team.rank && i % kFew < static_cast<int>(counter[0]))
      peer(all, to).store(own, all[own]);
  }
  cluster_barrier(team.blocks);
  uint32_t total = 0;
  for (int b = 0; b < team.blocks; b++) total += min<uint32_t>(counts[slots + b], kFew + 1);
  if (total > kFew) return false;
  for (int i = thread(); i < team.blocks * kFew; i += threads()) {
    if (i % kFew >= static_cast<int>(counts[slots + i / kFew])) continue;
    const float x = all[i].logit;
    Mass start = threshold->before, equal = 0;
    for (int b = 0; b < team.blocks; b++) {
      for (int j = b * kFew; j < b * kFew + static_cast<int>(counts[slots + b]); j++) {
        const Candidate other = all[j];
        if (kMass ? other.logit < x : other.logit > x) start += other.weight;
        if (other.logit == x) equal += other.weight;
      }
    }
    // Equal ones write the same.
    if (start <= threshold->limit && start + equal > threshold->limit) {
      found[0] = {x + 0.0f, start, threshold->limit, threshold->all};
    }
  }
  __syncthreads();
  *threshold = found[0];
  return true;
}

// Finds a threshold among the logits that are at least `least`. By count, it is the logit that
// limit_of(...) others precede in descending order. By mass, it is the lowest logit that is kept when
// the lowest are dropped while their mass is at most limit_of(mass of all).
template <bool kMass, bool kInShared, class Limit>
__device__ Threshold find_threshold(Team& team, const Slice<kInShared>& slice, const Scale& scale,
                                    const Search& search, float least, const Limit& limit_of) {
  Threshold found = {};
  int first = 0;        // the boundary's first digit
  uint32_t prefix = 0;  // its other ones so far
#pragma unroll 1
  for (int round = 0; round < kDigits; round++) {
    const int below = round == 2 ? 21 : 10;  // bits of the logit below the prefix
    auto is_candidate = [&](float x) {
      return x >= least && (round == 0 || digit(0, x, scale) == first) &&
             (round < 2 || order_bits(x) >> below == prefix);
    };
    const Bin bin =
        boundary_digit<kMass>(team, slice, scale, search, round, found.before, is_candidate,
                              [&](Mass all) { return round == 0 ? limit_of(all) : found.limit; });
    found.before = bin.before;
    if (round > 0) {
      prefix = prefix << (round == 3 ? 10 : kDigitBits) | static_cast<uint32_t>(bin.number);
      continue;
    }
    first = bin.number;
    found.limit = bin.limit;
    found.all = bin.all;
    auto has_first = [&](float x) { return x >= least && digit(0, x, scale) == first; };
    if (find_among_few<kMass>(team, slice, scale, search, has_first, &found)) return found;
  }
  found.logit = float_of_order(prefix);
  return found;
}

// Returns the first token of the slice that is kept of those whose logit is value, when the first
// `dropped` of the row's are not.
template <bool kInShared>
__device__ int first_kept(Team& team, const Slice<kInShared>& slice, float value, Mass dropped) {
  PRECIS_SHARED(uint32_t, warp_counts, 32);
  PRECIS_SHARED(uint32_t, counts, 2 * kMostClusterBlocks);
  PRECIS_SHARED(int, found, 1);
  const int lane = thread() % 32, warp = thread() / 32, slots = team.next_slots();
  const int part = (slice.end - slice.begin + threads() - 1) / threads();
  const int begin = min(slice.begin + thread() * part, slice.end),
            end = min(begin + part, slice.end);
  uint32_t mine = 0;
  for (int i = begin; i < end; i++) mine += slice[i] == value;
  const uint32_t sum = warp_prefix_sum(mine);
  if (lane == 31) warp_counts[warp] = sum;
  __syncthreads();
  uint32_t before = sum - mine, total = 0;
  for (int w = 0; w < threads() / 32; w++) {
    if (w == warp) before += total;
    total += warp_counts[w];
  }
  if (thread() < team.blocks) peer(counts, thread()).store(slots + team.rank, total);
  cluster_barrier(team.blocks);
  uint32_t of_earlier = 0;
  for (int b = 0; b < team.rank; b++) of_earlier += counts[slots + b];
  if (thread() == 0) found[0] = dropped <= of_earlier ? slice.begin : slice.end;
  __syncthreads();
  before += of_earlier;
  if (before <= dropped && dropped < before + mine) {
    int i = begin;
    for (Mass left = dropped - before;; i++) {
      if (slice[i] == value && left-- == 0) break;
    }
    found[0] = i;
  }
  __syncthreads();
  return found[0];
}

// A slice that stays in global memory takes half the threads, which then have enough registers.
constexpr int most_threads(bool in_shared) { return in_shared ? kMaxThreads : kMaxThreads / 2; }

template <bool kInShared>
__global__ void __launch_bounds__(most_threads(kInShared), 1) sample_kernel(Arguments args) {
  wait_for_previous_kernel();
  const precis_sample_args& a = args.a;
  Team team = {cluster_blocks(), cluster_rank(), 0};
  const int64_t r = static_cast<int64_t>(blockIdx.x) / team.blocks;
  const bool greedy = sampling_of_row(a, r).greedy != 0;
  const int n = args.n;
  float* logits = args.logits.row(r);
  DynamicShared dynamic;
  const Shared<Mass> groups = dynamic.take<Mass>(2 * kGroups);
  const Search search = {groups, dynamic.take<uint32_t>(histograms(team.blocks) * 2 * kBins),
                         dynamic.take<Candidate>(team.blocks * kFew)};
  const Shared<float> copy = dynamic.take<float>(kInShared ? args.slice : 0);
  const int begin = team.rank * args.slice;  // not below n where a block has no tokens
  const Slice<kInShared> slice = {copy, logits, begin,
                                  begin < n ? min(begin + args.slice, n) : begin};

  // Copies the slice into shared memory and returns this thread's largest value as a key that orders
  // logits, NaN above all others, and then tokens: the first for greedy decoding, otherwise the last,
  // which is the one of several largest that top-p keeps.
  // So many pieces of eight are loaded ahead: fewer in the second place, for which there are fewer
  // registers.
  constexpr uint32_t kNan = 0xffffffffu;
  using First = std::integral_constant<int, 4>;
  using Second = std::integral_constant<int, 2>;
  auto read = [&](auto ahead) {
    float largest = -INFINITY;
    int at = 0;
    for_eights<ahead.value>(
        slice.begin + thread() * kEight, slice.end, threads() * kEight,
        [&](int i, int count) {
          RawEight<float> held;
          held.load(logits + i, count);
          return held;
        },
        [&](int i, int count, const RawEight<float>& held) {
          float x[kEight];
          held.convert(x);
          if constexpr (kInShared) store8(copy.at(i - slice.begin, count), count, x);
#pragma unroll
          for (int j = 0; j < kEight; j++) {
            if (j >= count) break;
            if (x[j] > largest || x[j] != x[j] || (x[j] == largest && !greedy)) {
              largest = x[j];
              at = i + j;
            }
          }
        });
    const uint32_t order = largest != largest ? kNan : order_bits(largest);
    const auto token = static_cast<uint32_t>(at);
    return static_cast<Mass>(order) << 32 | (greedy ? ~token : token);
  };
  // Notes a problem; the row then has token 0.
  auto refuse = [&](ProblemKind kind) {
    if (thread() != 0 || team.rank != 0) return;
    note_problem(args.problem, ProblemOp::kSample, r, kind);
    a.tokens[r] = 0;
  };
  auto is_bad = [&](Mass key) {
    const uint32_t order = static_cast<uint32_t>(key >> 32);
    if (order > order_bits(-INFINITY) && order < order_bits(INFINITY)) return false;
    refuse(order == kNan                    ? ProblemKind::kNan
           : order == order_bits(-INFINITY) ? ProblemKind::kNothingFinite
                                            : ProblemKind::kPositiveInfinity);
    return true;
  };
  auto logit_of = [](Mass key) { return float_of_order(static_cast<uint32_t>(key >> 32)); };
  auto mass_of_row = [&](const Scale& scale, float least) {
    Mass sum = 0;
    for (int i = slice.begin + thread(); i < slice.end; i += threads()) {
      const float x = slice[i];
      if (x >= least) sum += sample_mass(scale.z(x));
    }
    return reduce_row(team, sum, Sum());
  };

  // The host cannot check these where they lie in device memory.
  if (!greedy && !sampling_fits(sampling_of_row(a, r))) return refuse(ProblemKind::kParameter);
  if (!greedy && a.offsets[r] >> 32 != 0) return refuse(ProblemKind::kOffset);
  if (a.next_ids != nullptr) {
    const int32_t length = a.rules.history_lengths[r];
    if (length < 0 || length >= a.rules.history_stride) return refuse(ProblemKind::kLength);
  }

  // All blocks have begun before one writes into another's memory.
  if (team.blocks > 1) cluster_arrive();
  Mass top = read(First());
  if (team.blocks > 1) cluster_wait();
  top = reduce_row(team, top, LargestKey());
  if (is_bad(top)) return;
  const bool wants_raw = a.log_probabilities != nullptr;
  const float raw_largest = logit_of(top);
  PRECIS_SHARED(float, raw, 2);
  if (wants_raw) {
    const float raw_log_mass = sample_log_mass(mass_of_row({raw_largest, 1, 1}, -INFINITY));
    if (thread() == 0) {
      raw[0] = raw_largest;
      raw[1] = raw_log_mass;
    }
  }
  float* originals = args.originals + r * a.rules.history_stride;
  if (has_rules(rules_of_row(a.rules, r))) {
    if (!rules_fit(a.rules, r, n, ProblemOp::kSample, args.problem)) {
      if (thread() == 0 && team.rank == 0) a.tokens[r] = 0;
      return;
    }
    apply_rules(
        a.rules, r, [&](int32_t id) { return slice.has(id); }, logits, originals);
    top = reduce_row(team, read(Second()), LargestKey());
    if (is_bad(top)) return;
  }

  // Read again, in place of registers that would hold it until now.
  const precis_row_sampling own = sampling_of_row(a, r);
  const float temperature = greedy ? 1.0f : own.temperature;
  const float inverse = 1.0f / temperature;
  const Scale scale = {logit_of(top), temperature, inverse < 3e38f ? inverse : 3e38f};
  float least = -INFINITY;  // smaller logits are not sampled,
  int first = slice.begin;  // nor equal ones before this token
  float sum = 0;            // the masses of those that are, or 0 where nobody asks
  if (!greedy) {
    if (own.top_k > 0 && own.top_k < n) {
      const Mass limit = static_cast<Mass>(own.top_k - 1);
      least = find_threshold<false>(team, slice, scale, search, least, [&](Mass) {
                return limit;
              }).logit;
    }
    if (own.top_p < 1) {
      const Threshold kept = find_threshold<true>(team, slice, scale, search, least, [&](Mass all) {
        return sample_droppable(own.top_p, all);
      });
      least = kept.logit;
      const Mass each = sample_mass(scale.z(least));
      const Mass dropped_equals = (kept.limit - kept.before) / each;
      if (dropped_equals > 0) first = first_kept(team, slice, least, dropped_equals);
      sum = probability(kept.all - kept.before - dropped_equals * each);
    } else if (a.warped_log_probabilities != nullptr || a.probabilities.data != nullptr) {
      sum = probability(mass_of_row(scale, least));
    }
    const uint32_t key0 = static_cast<uint32_t>(own.seed);
    const uint32_t key1 = static_cast<uint32_t>(own.seed >> 32);
    const uint64_t stream = a.streams[r], offset = a.offsets[r];
    // A score that is reached: that of the largest logit, whose z is 0. What stays 0.01 below it
    // needs no exact score, whatever the rounding of the test.
    PRECIS_SHARED(float, reached, 1);
    if (thread() == 0) {
      reached[0] = gumbel_noise(own.seed, stream, offset, static_cast<uint32_t>(top)) - 0.01f;
    }
    __syncthreads();
    const float bound = reached[0];
    float score = -INFINITY;
    int token = -1;
    const int counters = (slice.end + 63) / 64 * 16;
    for (int c = slice.begin / 4 + thread(); c < counters; c += threads()) {
      const int i = c / 16 * 64 + c % 16;
      bool any = false;
#pragma unroll
      for (int j = 0; j < 4; j++) {
        if (i + 16 * j >= slice.end) break;
        const float x = slice[i + 16 * j];
        any |= x >= least && scale.near_z(x) + kLargestGumbel > bound;
      }
      if (!any) continue;
      const Philox random =
          philox4x32_10(gumbel_counter(stream, offset, static_cast<uint32_t>(c)), key0, key1);
#pragma unroll
      for (int j = 0; j < 4; j++) {
        const int own_token = i + 16 * j;
        if (own_token >= slice.end) break;
        const float x = slice[own_token];
        if (x < least || (x == least && own_token < first)) continue;
        const float one_minus_u =
            (static_cast<float>(0x7fffffff - static_cast<int32_t>(random.word[j] >> 1)) + 0.5f) *
            0x1p-31f;
        if (one_minus_u > __expf(scale.near_z(x) - bound)) continue;
        const float own_score = scale.z(x) + gumbel_of_bits(random.word[j]);
        if (own_score > score) {  // tokens ascend, so the first of equals stays
          score = own_score;
          token = own_token;
        }
      }
    }
    const Mass key =
        token < 0 ? 0 : static_cast<Mass>(order_bits(score)) << 32 | ~static_cast<uint32_t>(token);
    top = reduce_row(team, key, LargestKey());
  }
  const int token = static_cast<int>(~static_cast<uint32_t>(top));

  // The block that has the token writes it.
  if (thread() == 0 && slice.has(token)) {
    a.tokens[r] = token;
    if (wants_raw) {
      float x = slice[token];
      const bool penalized = rules_of_row(a.rules, r).repetition_penalty != 1;
      for (int32_t h = 0; penalized && h < a.rules.history_lengths[r]; h++) {
        if (a.rules.history[r * a.rules.history_stride + h] == token) x = originals[h];
      }
      a.log_probabilities[r] = (x - raw[0]) - raw[1];
    }
    if (a.warped_log_probabilities != nullptr) {
      a.warped_log_probabilities[r] = greedy ? 0.0f : scale.z(slice[token]) - portable_log(sum);
    }
    if (a.next_ids != nullptr) append_sampled(a, r, a.rules.history_lengths[r], token);
  }
  if (a.probabilities.data == nullptr) return;
  float* probabilities = args.probabilities.row(r);
  for (int i = slice.begin + thread(); i < slice.end; i += threads()) {
    const float x = slice[i];
    const bool kept = greedy ? i == token : x > least || (x == least && i >= first);
    const float p = greedy ? 1.0f : portable_exp(scale.z(x)) / sum;
    probabilities[i] = kept ? p : 0.0f;
  }
}

// Rows of so many tokens take few threads.
constexpr int64_t kShortRow = 4096;

}  // namespace

int blocks_of_sampled_row(const CudaContext& context, int64_t m, int64_t n, int most) {
  if (n <= kShortRow) return 1;
  // A cluster lies in one of the GPU's groups of 16 or 18 multiprocessors (GPCs), so that not all
  // multiprocessors can have a part of one.
  const int64_t usable = context.multiprocessors - context.multiprocessors / 32;
  int blocks = most;
  while (blocks > 1 && m * blocks > usable) blocks /= 2;
  return blocks;
}

cudaError_t sample_in_clusters(CudaContext& context, const precis_sample_args& a, int blocks) {
  const int64_t m = rows(a.logits), n = columns(a.logits);
  if (m == 0) return cudaSuccess;
  if (n > INT32_MAX / 2) return cudaErrorInvalidValue;
  void* memory = nullptr;
  PRECIS_RETURN_IF_ERROR(context.scratch.reserve(
      static_cast<size_t>(originals_floats(a.rules, m)) * sizeof(float), &memory));
  constexpr int64_t kOfNoise = 64;
  const int64_t slice = ceil_div(n, kOfNoise * blocks) * kOfNoise;
  const Arguments args = {a,
                          matrix<float>(a.logits),
                          matrix<float>(a.probabilities),
                          static_cast<float*>(memory),
                          context.problem,
                          static_cast<int>(n),
                          static_cast<int>(slice)};
  constexpr int64_t kStaticBytes = 4096;
  const size_t search = shared_bytes<uint32_t>(histograms(blocks) * 2 * kBins) +
                        shared_bytes<Mass>(2 * kGroups) + shared_bytes<Candidate>(blocks * kFew);
  const size_t bytes = shared_bytes<float>(slice) + search;
  const bool fits = static_cast<int64_t>(bytes) + kStaticBytes <= context.block_shared_bytes;
  const int threads = n <= kShortRow ? 128 : most_threads(fits);
  return launch_dependent_clusters(context, static_cast<uint32_t>(blocks), "sample",
                                   fits ? sample_kernel<true> : sample_kernel<false>,
                                   static_cast<uint32_t>(m * blocks), threads,
                                   fits ? bytes : search, args);
}

cudaError_t sample_cuda(CudaContext& context, const precis_sample_args& a) {
  const int most = most_cluster_blocks(sample_kernel<true>);
  return sample_in_clusters(
      context, a, blocks_of_sampled_row(context, rows(a.logits), columns(a.logits), most));
}

}  // namespace precis
