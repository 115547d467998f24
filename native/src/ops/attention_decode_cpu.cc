// Decoding is bound by the memory bandwidth of reading the KV cache, so the cache is read once and
// sequentially: a thread iterates over the positions, with all heads at each. Iterating by heads, or by
// four positions at a time, reached a third of the memory bandwidth where this reaches four fifths:
// the hardware prefetches sequential reads only.
//
// Rows that share keys, as beams do, are batched; they are compute-bound, and four positions at a
// time take less arithmetic, with explicit prefetching.
//
// Many rows are partitioned among the threads. Of few rows the positions are: threads that took half
// of a row's heads each would prefetch each other's half, and two of them measured slower than one.
// Values are summed over spans of kSpan positions, and
// the spans' sums from the first to the last, so that a head's result is bitwise identical for any
// partition and any batching of rows.

#include "context.h"
#include "ops/attention_decode.h"
#include "ops/attention_words.h"
#include "ops/relative_position.h"

namespace precis {
namespace PRECIS_ISA {
namespace {

constexpr int kAtOnce = 4;       // products, or positions of rows that walk together
constexpr int kAhead = 8;        // positions from what is asked of memory to what is used
constexpr int kVecs = 4;         // of sums, held in registers
constexpr int kMaxTogether = 8;  // rows
constexpr int64_t kSpan = 32;    // positions whose values are summed together
static_assert(kSpan % kAtOnce == 0);
// Below this many elements of keys, one thread is done before others would have begun.
constexpr int64_t kAlone = 12288;

// Sums each s[i], all in the same order.
void sum_each(const Vec (&s)[kAtOnce], float* sums) {
#if defined(__AVX512F__)
  auto halves = [](__m512 a, __m512 b) {
    return _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
  };
  const __m512d low = _mm512_castps_pd(halves(s[0].v, s[1].v));
  const __m512d high = _mm512_castps_pd(halves(s[2].v, s[3].v));
  const __m512 q = _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(low, high)),
                                 _mm512_castpd_ps(_mm512_unpackhi_pd(low, high)));
  const __m256 e = _mm256_add_ps(_mm512_castps512_ps256(q), _mm512_extractf32x8_ps(q, 1));
  _mm_storeu_ps(sums, _mm_add_ps(_mm256_castps256_ps128(e), _mm256_extractf128_ps(e, 1)));
#elif defined(__AVX2__)
  const __m256 e = _mm256_hadd_ps(_mm256_hadd_ps(s[0].v, s[1].v), _mm256_hadd_ps(s[2].v, s[3].v));
  _mm_storeu_ps(sums, _mm_add_ps(_mm256_castps256_ps128(e), _mm256_extractf128_ps(e, 1)));
#elif defined(PRECIS_NEON)
  const auto halves = [&](int i) { return vaddq_f32(s[i].low, s[i].high); };
  vst1q_f32(sums, vpaddq_f32(vpaddq_f32(halves(0), halves(1)), vpaddq_f32(halves(2), halves(3))));
#else
  for (int i = 0; i < kAtOnce; i++) sums[i] = s[i].sum();
#endif
}

// Rows that share keys and have the same length.
struct Group {
  int64_t first, count, length;

  int64_t spans() const { return ceil_div(length, kSpan); }
};

template <class X, class Y>
class Decode {
 public:
  using Op = typename WordsOf<X>::Type;

  // bias (heads, longest): of the positions that end with the query's own.
  Decode(const precis_attention_decode_args& a, const float* bias, int64_t longest)
      : a_(a),
        bias_(bias),
        longest_(longest),
        head_dim_(columns(a.q) / a.heads),
        words_((head_dim_ + Op::kPerWord - 1) / Op::kPerWord),
        width_(round_up(head_dim_, W)),
        score_stride_(round_up(longest, W)) {}

  // The words of a row's queries or sums, and of its scores.
  int64_t row_words() const { return a_.heads * width_; }
  int64_t score_words() const { return a_.heads * score_stride_; }
  // The scratch memory that run needs for so many rows.
  int64_t words(int64_t rows) const { return rows * (3 * row_words() + score_words()); }

  // Does heads [begin, end) of a group. scratch has the words of its rows.
  void run(const Group& g, int64_t begin, int64_t end, float* scratch) const {
    float* sums = scratch + g.count * row_words();
    float* part = sums + g.count * row_words();
    float* scores = part + g.count * row_words();
    multiply_keys(g, begin, end, 0, g.length, scratch, scores);
    for (int64_t r = 0; r < g.count; r++) {
      for (int64_t h = begin; h < end; h++) softmax(scores + r * score_words(), h, g.length);
    }
    for (int64_t s = 0; s < g.spans(); s++) {
      sum_values(g, begin, end, s, scores, s == 0 ? sums : part);
      for (int64_t r = 0; s > 0 && r < g.count; r++) {
        for (int64_t h = begin; h < end; h++) add_span(head(part, r, h), head(sums, r, h));
      }
    }
    for (int64_t r = 0; r < g.count; r++) {
      for (int64_t h = begin; h < end; h++) store(g.first + r, h, head(sums, r, h));
    }
  }

  // Computes the products of heads [begin, end) with the keys at [from, to), multiples of kAtOnce or
  // the last. q is scratch memory.
  void multiply_keys(const Group& g, int64_t begin, int64_t end, int64_t from, int64_t to, float* q,
                     float* scores) const {
    for (int64_t r = 0; r < g.count; r++) {
      for (int64_t h = begin; h < end; h++) {
        const X* x = row<const X>(a_.q, g.first + r) + h * head_dim_;
        for (int64_t d = 0; d < words_; d += W) {
          Op::load(x + d * Op::kPerWord, head_dim_ - d * Op::kPerWord).store(head(q, r, h) + d);
        }
      }
    }
    g.count == 1 ? multiply_keys_of_one(g, begin, end, from, to, q, scores)
                 : multiply_keys_together(g, begin, end, from, to, q, scores);
  }

  // Turns a row of products into weights.
  void softmax(float* scores_of_row, int64_t h, int64_t length) const {
    float* scores = scores_of_row + h * score_stride_;
    const float* bias = bias_ + h * longest_ + (longest_ - length);
    const int64_t padded = round_up(length, W);
    for (int64_t p = length; p < padded; p++) scores[p] = -__builtin_inff();
    const Vec scale = Vec::set1(a_.scale);
    Vec largest = Vec::set1(-__builtin_inff());
    for (int64_t p = 0; p < length; p += W) {
      const Vec score = fma(Vec::load(scores + p), scale, Singles::load(bias + p, length - p));
      score.store(scores + p);
      largest = max(largest, score);
    }
    const float sum = Singles::exponentiate(scores, padded, largest.largest());
    const Vec inverse = Vec::set1(1.0f / sum);
    for (int64_t p = 0; p < length; p += W) (Vec::load(scores + p) * inverse).store(scores + p);
  }

  // sums = the sums of one span, with the weights.
  void sum_values(const Group& g, int64_t begin, int64_t end, int64_t span, const float* weights,
                  float* sums) const {
    for (int64_t r = 0; r < g.count; r++) {
      for (int64_t h = begin; h < end; h++) {
        for (int64_t d = 0; d < head_dim_; d += W) Vec::zero().store(head(sums, r, h) + d);
      }
    }
    const int64_t to = min((span + 1) * kSpan, g.length);
    const int64_t step = g.count == 1 ? 1 : kAtOnce;
    Rows values, ahead;
    for (int64_t p = span * kSpan; p < to; p += step) {
      const int64_t n = min(step, to - p);
      find(a_.v_cache, g, p, n, values);
      if (g.count > 1) find(a_.v_cache, g, p + kAhead, n, ahead);
      for (int64_t h = begin; h < end; h++) {
        for (int64_t r = 0; r < g.count; r++) {
          if (g.count > 1) prefetch(ahead, r, n, h);
          add(weights + r * score_words() + h * score_stride_ + p, values[r], n, h,
              head(sums, r, h));
        }
      }
    }
  }

  // Adds the sums of a head's next span to those of the spans before.
  void add_span(const float* span, float* sums) const {
    for (int64_t d = 0; d < head_dim_; d += W) {
      (Vec::load(sums + d) + Vec::load(span + d)).store(sums + d);
    }
  }

  void store(int64_t r, int64_t h, const float* sums) const {
    Y* y = row<Y>(a_.out, r) + h * head_dim_;
    for (int64_t d = 0; d < head_dim_; d += W) {
      const int64_t left = head_dim_ - d;
      left >= W ? Vec::load(sums + d).store(y + d)
                : Vec::load(sums + d).store(y + d, static_cast<int>(left));
    }
  }

  // The place of a head in a matrix (rows, heads, width).
  float* head(float* matrix, int64_t r, int64_t h) const {
    return matrix + (r * a_.heads + h) * width_;
  }

 private:
  using Rows = const X* [kMaxTogether][kAtOnce];

  // Rows of n positions from p on; beyond the last, the last again.
  void find(const precis_tensor& cache, const Group& g, int64_t p, int64_t n, Rows& found) const {
    for (int64_t r = 0; r < g.count; r++) {
      for (int64_t i = 0; i < n; i++) {
        found[r][i] = row<const X>(cache, cache_row(a_, g.first + r, min(p + i, g.length - 1)));
      }
    }
  }

  // A row prefetches what the row before it has not prefetched already.
  void prefetch(const Rows& x, int64_t r, int64_t n, int64_t h) const {
    constexpr int64_t kLine = 64 / sizeof(X);
    for (int64_t i = 0; i < n; i++) {
      if (r > 0 && x[r][i] == x[r - 1][i]) continue;
      for (int64_t d = h * head_dim_; d < (h + 1) * head_dim_; d += kLine) {
        __builtin_prefetch(x[r][i] + d);
      }
    }
  }

  // One row: position by position, kAtOnce heads at a time.
  void multiply_keys_of_one(const Group& g, int64_t begin, int64_t end, int64_t from, int64_t to,
                            const float* q_of_heads, float* scores) const {
    for (int64_t p = from; p < to; p++) {
      const X* keys = row<const X>(a_.k_cache, cache_row(a_, g.first, p));
      for (int64_t h = begin; h < end; h += kAtOnce) {
        const int64_t n = min(kAtOnce, end - h);
        const float* q[kAtOnce];
        const X* k[kAtOnce];
        for (int64_t i = 0; i < kAtOnce; i++) {
          // The last head again in place of those that are not there.
          q[i] = q_of_heads + (h + min(i, n - 1)) * width_;
          k[i] = keys + (h + min(i, n - 1)) * head_dim_;
        }
        float products[kAtOnce];
        dot(q, k, products);
        for (int64_t i = 0; i < n; i++) scores[(h + i) * score_stride_ + p] = products[i];
      }
    }
  }

  // Several rows: kAtOnce positions at a time, head by head.
  void multiply_keys_together(const Group& g, int64_t begin, int64_t end, int64_t from, int64_t to,
                              const float* q_of_rows, float* scores) const {
    Rows keys, ahead;
    for (int64_t p = from; p < to; p += kAtOnce) {
      find(a_.k_cache, g, p, kAtOnce, keys);
      find(a_.k_cache, g, p + kAhead, kAtOnce, ahead);
      for (int64_t h = begin; h < end; h++) {
        for (int64_t r = 0; r < g.count; r++) {
          prefetch(ahead, r, kAtOnce, h);
          const float* q[kAtOnce];
          const X* k[kAtOnce];
          for (int64_t i = 0; i < kAtOnce; i++) {
            q[i] = q_of_rows + (r * a_.heads + h) * width_;
            k[i] = keys[r][i] + h * head_dim_;
          }
          // There is room up to a multiple of W.
          dot(q, k, scores + r * score_words() + h * score_stride_ + p);
        }
      }
    }
  }

  void dot(const float* const (&q)[kAtOnce], const X* const (&k)[kAtOnce], float* products) const {
    constexpr int64_t kStep = W * Op::kPerWord;
    Vec sum[kAtOnce];
    for (int i = 0; i < kAtOnce; i++) sum[i] = Vec::zero();
    int64_t d = 0;
    for (; d + kStep <= head_dim_; d += kStep) {
      for (int i = 0; i < kAtOnce; i++) {
        sum[i] =
            Op::multiply_add(Vec::load(q[i] + d / Op::kPerWord), Op::load(k[i] + d, kStep), sum[i]);
      }
    }
    for (int i = 0; i < kAtOnce && d < head_dim_; i++) {
      sum[i] = Op::multiply_add(Vec::load(q[i] + d / Op::kPerWord),
                                Op::load(k[i] + d, head_dim_ - d), sum[i]);
    }
    sum_each(sum, products);
  }

  // out += weights v for n positions.
  void add(const float* weights, const X* const (&v)[kAtOnce], int64_t n, int64_t h,
           float* out) const {
    int64_t d = 0;
    for (; d + kVecs * W <= head_dim_; d += kVecs * W) {
      Vec sum[kVecs];
      for (int j = 0; j < kVecs; j++) sum[j] = Vec::load(out + d + j * W);
      for (int64_t i = 0; i < n; i++) {
        const X* x = v[i] + h * head_dim_ + d;
        const Vec weight = Vec::set1(weights[i]);
        for (int j = 0; j < kVecs; j++) sum[j] = fma(weight, Vec::load(x + j * W), sum[j]);
      }
      for (int j = 0; j < kVecs; j++) sum[j].store(out + d + j * W);
    }
    for (; d < head_dim_; d += W) {
      Vec sum = Vec::load(out + d);
      for (int64_t i = 0; i < n; i++) {
        const Vec x = Singles::load(v[i] + h * head_dim_ + d, head_dim_ - d);
        sum = fma(Vec::set1(weights[i]), x, sum);
      }
      sum.store(out + d);
    }
  }

  const precis_attention_decode_args& a_;
  const float* bias_;
  const int64_t longest_;
  const int64_t head_dim_;
  const int64_t words_;  // of a query of one head
  const int64_t width_;
  const int64_t score_stride_;
};

// Stores the new keys and values into the cache, which is little next to the reads that follow.
template <class X>
void append(const precis_attention_decode_args& a) {
  const size_t bytes = static_cast<size_t>(columns(a.q)) * sizeof(X);
  for (int64_t r = 0; r < rows(a.q); r++) {
    const int64_t to = cache_row(a, r, a.lengths[r] - 1);
    __builtin_memcpy(row<X>(a.k_cache, to), row<X>(a.k_new, r), bytes);
    __builtin_memcpy(row<X>(a.v_cache, to), row<X>(a.v_new, r), bytes);
  }
}

// Returns the rows from r on that are batched: they have the same length and first key.
Group group_at(const precis_attention_decode_args& a, int64_t r) {
  Group g = {r, 1, a.lengths[r]};
  while (g.count < kMaxTogether && r + g.count < rows(a.q) && a.lengths[r + g.count] == g.length &&
         cache_row(a, r + g.count, 0) == cache_row(a, r, 0)) {
    g.count++;
  }
  return g;
}

template <class F>
void for_groups(const precis_attention_decode_args& a, const F& f) {
  Group g = {0, 0, 0};
  for (int64_t r = 0; r < rows(a.q); r += g.count) f(g = group_at(a, r));
}

// The size of a call.
struct Extent {
  int64_t longest = 0, together = 0, groups = 0;
  int64_t products = 0;  // of a query and a key
  int64_t blocks = 0;    // of kAtOnce positions of a group
  int64_t spans = 0;     // of a group
  int64_t parts = 0;     // spans of a row
};

Extent extent_of(const precis_attention_decode_args& a) {
  Extent e;
  for_groups(a, [&](const Group& g) {
    e.longest = max(e.longest, g.length);
    e.together = max(e.together, g.count);
    e.groups++;
    e.products += g.count * g.length * a.heads;
    e.blocks += ceil_div(g.length, kAtOnce);
    e.spans += g.spans();
    e.parts += g.spans() * g.count;
  });
  return e;
}

// Partitions the groups, and a group that two threads share by heads.
template <class X, class Y>
void run_by_rows(CpuContext& context, const precis_attention_decode_args& a, const Extent& e,
                 const Decode<X, Y>& decode, float* scratch, int64_t thread_words) {
  const int64_t heads = a.heads;
  parallel(context.pool, [&](int thread, int threads) {
    const int64_t begin = slice_begin(e.products, threads, thread),
                  end = slice_begin(e.products, threads, thread + 1);
    int64_t before = 0;
    for_groups(a, [&](const Group& g) {
      // A head belongs to the thread in whose slice it starts.
      const int64_t head = g.count * g.length;
      const int64_t from = begin <= before ? 0 : min(heads, (begin - before + head - 1) / head);
      const int64_t to = before >= end ? 0 : min(heads, (end - before + head - 1) / head);
      if (from < to) decode.run(g, from, to, scratch + thread * thread_words);
      before += head * heads;
    });
  });
}

// Partitions the positions. shared holds the scores of all rows and the sums of all parts.
template <class X, class Y>
void run_by_positions(CpuContext& context, const precis_attention_decode_args& a, const Extent& e,
                      const Decode<X, Y>& decode, float* scratch, int64_t thread_words,
                      float* shared) {
  const int64_t heads = a.heads;
  float* parts = shared + rows(a.q) * decode.score_words();
  auto scores_of = [&](const Group& g) { return shared + g.first * decode.score_words(); };
  parallel(context.pool, [&](int thread, int threads) {
    const int64_t begin = slice_begin(e.blocks, threads, thread),
                  end = slice_begin(e.blocks, threads, thread + 1);
    int64_t before = 0;
    for_groups(a, [&](const Group& g) {
      const int64_t blocks = ceil_div(g.length, kAtOnce);
      const int64_t from = max(begin - before, 0), to = min(end - before, blocks);
      if (from < to) {
        decode.multiply_keys(g, 0, heads, from * kAtOnce, min(to * kAtOnce, g.length),
                             scratch + thread * thread_words, scores_of(g));
      }
      before += blocks;
    });
  });
  parallel_ranges(context.pool, rows(a.q) * heads, 4, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      const int64_t r = i / heads;
      decode.softmax(shared + r * decode.score_words(), i % heads, a.lengths[r]);
    }
  });
  parallel(context.pool, [&](int thread, int threads) {
    const int64_t begin = slice_begin(e.spans, threads, thread),
                  end = slice_begin(e.spans, threads, thread + 1);
    int64_t before = 0;
    float* to_group = parts;
    for_groups(a, [&](const Group& g) {
      for (int64_t s = max(begin - before, 0); s < min(end - before, g.spans()); s++) {
        decode.sum_values(g, 0, heads, s, scores_of(g),
                          to_group + s * g.count * decode.row_words());
      }
      before += g.spans();
      to_group += g.spans() * g.count * decode.row_words();
    });
  });
  parallel_ranges(context.pool, rows(a.q) * heads, 64, [&](int64_t begin, int64_t end) {
    float* group = parts;
    for_groups(a, [&](const Group& g) {
      const int64_t first = g.first * heads;
      for (int64_t i = max(begin, first); i < min(end, first + g.count * heads); i++) {
        const int64_t r = i / heads - g.first, h = i % heads;
        float* sums = decode.head(group, r, h);
        for (int64_t s = 1; s < g.spans(); s++) {
          decode.add_span(decode.head(group + s * g.count * decode.row_words(), r, h), sums);
        }
        decode.store(g.first + r, h, sums);
      }
      group += g.spans() * g.count * decode.row_words();
    });
  });
}

template <class X, class Y>
void run(CpuContext& context, const precis_attention_decode_args& a) {
  const int64_t m = rows(a.q), heads = a.heads;
  if (m == 0) return;
  const Extent e = extent_of(a);
  const int64_t bucket_words =
      a.bias.data != nullptr ? round_up(relative_bias_words(a.max_distance, e.longest), 16) : 0;
  const int64_t bias_words = round_up(heads * e.longest, 16);
  const Decode<X, Y> sizes(a, nullptr, e.longest);
  // Whole pages, so that there is no false sharing.
  const int64_t thread_words = round_up(sizes.words(e.together) + 16, 1024);
  const int threads = context.pool.threads();
  const bool alone = e.blocks * kAtOnce * columns(a.q) <= kAlone;
  const bool by_positions = threads > 1 && !alone && e.groups < 2 * threads;
  const int64_t shared_words =
      by_positions ? m * sizes.score_words() + e.parts * sizes.row_words() : 0;
  auto* scratch = static_cast<float*>(context.scratch.reserve(
      static_cast<size_t>(bucket_words + bias_words + thread_words * threads + shared_words) *
      sizeof(float)));
  const RelativeBias relative = relative_bias(a.bias, a.max_distance, false, e.longest,
                                              static_cast<int32_t*>(static_cast<void*>(scratch)));
  float* bias = scratch + bucket_words;
  for (int64_t h = 0; h < heads; h++) {
    fill_relative_bias(relative, h, 1 - e.longest, e.longest, bias + h * e.longest);
  }
  if (a.k_new.data != nullptr) append<X>(a);
  const Decode<X, Y> decode(a, bias, e.longest);
  float* own = bias + bias_words;
  if (by_positions) {
    run_by_positions(context, a, e, decode, own, thread_words, own + thread_words * threads);
  } else if (alone) {
    for_groups(a, [&](const Group& g) { decode.run(g, 0, heads, own); });
  } else {
    run_by_rows(context, a, e, decode, own, thread_words);
  }
}

template <class X>
void run(CpuContext& context, const precis_attention_decode_args& a) {
  a.out.dtype == PRECIS_BFLOAT16 ? run<X, uint16_t>(context, a) : run<X, float>(context, a);
}

}  // namespace

void attention_decode_cpu(CpuContext& context, const precis_attention_decode_args& a) {
  a.q.dtype == PRECIS_BFLOAT16 ? run<uint16_t>(context, a) : run<float>(context, a);
}

}  // namespace PRECIS_ISA
}  // namespace precis
