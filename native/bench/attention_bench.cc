// Measures attention next to the ceilings of this machine: its arithmetic for whole sequences, and
// reading the same number of bytes for a decoding step.
//
//   attention_bench [threads [isa [prefill | decode]]]

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>

#include "ceilings.h"
#include "machine.h"

using namespace precis;

namespace {

// Runs f(thread) on pinned threads, round after round, and returns the shortest time in which all
// of them finished a round.
template <class F>
double measure_threads(int threads, int rounds, const F& f) {
  std::vector<std::vector<double>> starts(threads), ends(threads);
  std::atomic<int> arrived{0};
  std::vector<std::thread> workers;
  for (int i = 0; i < threads; i++) {
    workers.emplace_back([&, i] {
      cpu_set_t set;
      CPU_ZERO(&set);
      CPU_SET(i, &set);
      (void)sched_setaffinity(0, sizeof set, &set);
      for (int round = 0; round < rounds; round++) {
        arrived++;
        while (arrived < (round + 1) * threads) std::this_thread::yield();
        starts[i].push_back(now());
        f(i);
        ends[i].push_back(now());
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  double least = 1e9;
  for (int round = 0; round < rounds; round++) {
    double first = starts[0][round], last = ends[0][round];
    for (int i = 1; i < threads; i++) {
      first = std::min(first, starts[i][round]);
      last = std::max(last, ends[i][round]);
    }
    least = std::min(least, last - first);
  }
  return least;
}

// Returns the seconds that the threads take to read all of these together.
double read_time(const std::vector<precis_tensor>& tensors, int threads) {
  return measure_threads(threads, 5, [&](int thread) {
    uint64_t sum[64] = {};
    for (const precis_tensor& t : tensors) {
      const int64_t words = rows(t) * columns(t) * (t.dtype == PRECIS_BFLOAT16 ? 2 : 4) / 8;
      const auto* p = static_cast<const uint64_t*>(t.data) + words / threads * thread;
      for (int64_t i = 0; i + 64 <= words / threads; i += 64) {
        for (int j = 0; j < 64; j++) sum[j] ^= p[i + j];
      }
    }
    asm volatile("" ::"r"(sum) : "memory");
  });
}

void bench_prefill(precis_context* context, int32_t dtype, int32_t sequences, int32_t length,
                   int32_t heads, int64_t head_dim, bool causal, const Ceilings& ceilings) {
  Random random(1);
  const int64_t inner = heads * head_dim;
  precis_tensor qkv = tensor(context, dtype, int64_t{sequences} * length, 3 * inner, random);
  precis_tensor out = tensor(context, dtype, int64_t{sequences} * length, inner, random);
  precis_tensor bias = tensor(context, PRECIS_FLOAT32, 32, heads, random);
  std::vector<int32_t> offsets;
  for (int32_t s = 0; s <= sequences; s++) offsets.push_back(s * length);
  precis_attention_args args = {};
  args.q = args.k = args.v = qkv;
  args.q.dims[1] = args.k.dims[1] = args.v.dims[1] = inner;
  args.q.row_stride = args.k.row_stride = args.v.row_stride = 3 * inner;
  const int64_t bytes = inner * (dtype == PRECIS_BFLOAT16 ? 2 : 4);
  args.k.data = static_cast<char*>(qkv.data) + bytes;
  args.v.data = static_cast<char*>(qkv.data) + 2 * bytes;
  args.out = out;
  args.bias = bias;
  args.query_offsets = args.key_offsets = offsets.data();
  args.sequences = sequences;
  args.heads = heads;
  args.causal = causal;
  args.bidirectional = !causal;
  args.max_distance = 128;
  args.scale = 1;
  const Times t = measure([&] { check(context, precis_attention(context, &args)); });
  const double flops = 4.0 * inner * sequences * length * (causal ? (length + 1) / 2.0 : length);
  std::printf(
      "prefill %-4s %3d x %5d, %2d x %3lld%s: %8.3f ms (least %.3f, 80 %% %.3f)  %6.1f GFLOP/s",
      name(dtype), sequences, length, heads, static_cast<long long>(head_dim),
      causal ? " causal" : "", t.p50 * 1e3, t.least * 1e3, t.p80 * 1e3, flops / t.p50 * 1e-9);
  std::printf(", share %3.0f %% (most %.0f %%)\n", ceilings.share(dtype, flops, 0, 0, t.p50),
              ceilings.share(dtype, flops, 0, 0, t.least));
  for (const precis_tensor& u : {qkv, out, bias}) release(context, u);
}

// layers is the number of caches that calls cycle through, as a model's layers do, so that data
// comes from the same level of the memory hierarchy.
void bench_decode(precis_context* context, int32_t dtype, int64_t m, int32_t length, int layers,
                  bool self, int beams, int threads) {
  Random random(2);
  const int32_t heads = 12;
  const int64_t inner = 768, caches = m / beams;
  precis_tensor qkv = tensor(context, dtype, m, 3 * inner, random);
  precis_tensor out = tensor(context, dtype, m, inner, random);
  precis_tensor bias = tensor(context, PRECIS_FLOAT32, 32, heads, random);
  std::vector<precis_tensor> k, v;
  for (int l = 0; l < layers; l++) {
    k.push_back(tensor(context, dtype, (self ? m : caches) * length, inner, random));
    v.push_back(tensor(context, dtype, (self ? m : caches) * length, inner, random));
  }
  std::vector<int32_t> lengths(m, length), starts, ancestors;
  for (int64_t r = 0; r < m; r++) {
    starts.push_back(static_cast<int32_t>(r / beams * length));
    for (int32_t p = 0; p < length; p++) ancestors.push_back(static_cast<int32_t>(r));
  }
  precis_attention_decode_args args = {};
  const int64_t bytes = inner * (dtype == PRECIS_BFLOAT16 ? 2 : 4);
  args.q = args.k_new = args.v_new = qkv;
  args.q.dims[1] = args.k_new.dims[1] = args.v_new.dims[1] = inner;
  args.q.row_stride = args.k_new.row_stride = args.v_new.row_stride = 3 * inner;
  args.k_new.data = self ? static_cast<char*>(qkv.data) + bytes : nullptr;
  args.v_new.data = self ? static_cast<char*>(qkv.data) + 2 * bytes : nullptr;
  args.out = out;
  if (self) args.bias = bias;
  args.lengths = lengths.data();
  args.key_starts = self ? nullptr : starts.data();
  args.ancestors = self ? ancestors.data() : nullptr;
  args.ancestor_stride = args.slot_rows = length;
  args.heads = heads;
  args.max_distance = 128;
  args.scale = 1;
  const double read = 2.0 * (self ? m : caches) * length * bytes * layers;
  // Calls and reads alternate, so that interference affects both alike.
  std::vector<double> calls, reads;
  std::vector<precis_tensor> all = k;
  all.insert(all.end(), v.begin(), v.end());
  for (int turn = 0; turn < 40; turn++) {
    const int repeats = static_cast<int>(1 + 2e6 / read);
    for (int i = 0; i < 5; i++) {
      const double start = now();
      for (int repeat = 0; repeat < repeats; repeat++) {
        for (int l = 0; l < layers; l++) {
          args.k_cache = k[l];
          args.v_cache = v[l];
          check(context, precis_attention_decode(context, &args));
        }
      }
      if (i > 0) calls.push_back((now() - start) / repeats);
    }
    reads.push_back(read_time(all, threads));
  }
  std::sort(calls.begin(), calls.end());
  std::sort(reads.begin(), reads.end());
  const double p50 = calls[calls.size() / 2], read50 = reads[reads.size() / 2];
  std::printf(
      "decode  %-4s %s M %2lld x %3d keys, %d beams, %2d caches of %5.2f MB: %7.1f us (least %.1f) "
      "%5.1f GB/s (most %.1f), a plain read %.1f (most %.1f): %.0f %% (%.0f %%)\n",
      name(dtype), self ? "self " : "cross", static_cast<long long>(m), length, beams, layers,
      read / layers * 1e-6, p50 / layers * 1e6, calls[0] / layers * 1e6, read / p50 * 1e-9,
      read / calls[0] * 1e-9, read / read50 * 1e-9, read / reads[0] * 1e-9, 100 * read50 / p50,
      100 * reads[0] / calls[0]);
  for (int l = 0; l < layers; l++) {
    release(context, k[l]);
    release(context, v[l]);
  }
  for (const precis_tensor& u : {qkv, out, bias}) release(context, u);
}

}  // namespace

int main(int argc, char** argv) {
  precis_context_info info;
  TestContext context = open_context(argc, argv, &info);
  const int threads = info.threads;
  const std::string what = argc > 3 ? argv[3] : "";
  const Ceilings ceilings(threads);
  ceilings.print();
  for (int32_t dtype : {PRECIS_BFLOAT16, PRECIS_FLOAT32}) {
    if (what != "decode") {
      bench_prefill(context, dtype, 1, 512, 12, 64, false, ceilings);
      bench_prefill(context, dtype, 1, 256, 12, 64, false, ceilings);
      bench_prefill(context, dtype, 8, 256, 12, 64, false, ceilings);
      bench_prefill(context, dtype, 8, 512, 12, 64, true, ceilings);
      bench_prefill(context, dtype, 1, 4096, 12, 64, false, ceilings);
      bench_prefill(context, dtype, 1, 512, 6, 128, false, ceilings);
      bench_prefill(context, dtype, 64, 24, 12, 64, false, ceilings);
    }
    if (what == "prefill") continue;
    bench_decode(context, dtype, 1, 256, 12, false, 1, threads);
    bench_decode(context, dtype, 1, 64, 12, true, 1, threads);
    bench_decode(context, dtype, 8, 256, 1, false, 1, threads);
    bench_decode(context, dtype, 8, 256, 12, false, 1, threads);
    bench_decode(context, dtype, 8, 64, 12, true, 1, threads);
    bench_decode(context, dtype, 8, 256, 12, false, 4, threads);
  }
  return 0;
}
