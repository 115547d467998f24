// Decoding is bound by the memory bandwidth of reading the KV cache, so the cache is read once and
// sequentially: a thread takes some heads of a row and iterates over the positions, with all these
// heads at each. Iterating by heads, or by four positions at a time, reached a third of the memory
// bandwidth where this reaches four fifths: the hardware prefetches sequential reads only.
//
// Rows that share keys, as beams do, are batched; they are compute-bound, and four positions at a
// time take less arithmetic, with explicit prefetching.
//
// The work is partitioned by rows and by heads. A head's result is bitwise identical for any
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

// Scratch memory of one thread, in words.
int64_t thread_words(int64_t rows, int64_t heads, int64_t head_dim, int64_t longest) {
  // Whole pages, so that there is no false sharing.
  return round_up(rows * heads * (2 * round_up(head_dim, W) + round_up(longest, W)) + 16, 1024);
}

template <class X, class Y>
class Decode {
 public:
  using Op = typename WordsOf<X>::Type;

  // bias (heads, longest): of the positions that end with the query's own.
  Decode(const precis_attention_decode_args& a, const float* bias, int64_t longest,
         int64_t together, float* scratch)
      : a_(a),
        bias_(bias),
        longest_(longest),
        head_dim_(columns(a.q) / a.heads),
        words_((head_dim_ + Op::kPerWord - 1) / Op::kPerWord),
        width_(round_up(head_dim_, W)),
        score_stride_(round_up(longest, W)),
        q_(scratch),
        out_(q_ + together * a.heads * width_),
        scores_(out_ + together * a.heads * width_) {}

  // Does heads [begin, end) of the rows [first, first + count), which are equally long.
  void run(int64_t first, int64_t count, int64_t begin, int64_t end) const {
    const int64_t length = a_.lengths[first];
    for (int64_t r = 0; r < count; r++) {
      for (int64_t h = begin; h < end; h++) {
        const X* q = row<const X>(a_.q, first + r) + h * head_dim_;
        for (int64_t d = 0; d < words_; d += W) {
          Op::load(q + d * Op::kPerWord, head_dim_ - d * Op::kPerWord)
              .store(at(q_, r, h, width_) + d);
        }
        for (int64_t d = 0; d < head_dim_; d += W) Vec::zero().store(at(out_, r, h, width_) + d);
      }
    }
    count == 1 ? multiply_keys(first, begin, end, length)
               : multiply_keys_together(first, count, begin, end, length);
    for (int64_t r = 0; r < count; r++) {
      for (int64_t h = begin; h < end; h++) softmax(at(scores_, r, h, score_stride_), h, length);
    }
    const int64_t step = count == 1 ? 1 : kAtOnce;
    Rows values, ahead;
    for (int64_t p = 0; p < length; p += step) {
      const int64_t n = min(step, length - p);
      find(a_.v_cache, first, count, p, n, length, values);
      if (count > 1) find(a_.v_cache, first, count, p + kAhead, n, length, ahead);
      for (int64_t h = begin; h < end; h++) {
        for (int64_t r = 0; r < count; r++) {
          if (count > 1) prefetch(ahead, r, n, h);
          add(at(scores_, r, h, score_stride_) + p, values[r], n, h, at(out_, r, h, width_));
        }
      }
    }
    for (int64_t r = 0; r < count; r++) {
      for (int64_t h = begin; h < end; h++) {
        Y* y = row<Y>(a_.out, first + r) + h * head_dim_;
        const float* out = at(out_, r, h, width_);
        for (int64_t d = 0; d < head_dim_; d += W) {
          const int64_t left = head_dim_ - d;
          left >= W ? Vec::load(out + d).store(y + d)
                    : Vec::load(out + d).store(y + d, static_cast<int>(left));
        }
      }
    }
  }

 private:
  using Rows = const X* [kMaxTogether][kAtOnce];

  float* at(float* matrix, int64_t r, int64_t h, int64_t stride) const {
    return matrix + (r * a_.heads + h) * stride;
  }

  // Rows of n positions from p on; beyond the last, the last again.
  void find(const precis_tensor& cache, int64_t first, int64_t count, int64_t p, int64_t n,
            int64_t length, Rows& found) const {
    for (int64_t r = 0; r < count; r++) {
      for (int64_t i = 0; i < n; i++) {
        found[r][i] = row<const X>(cache, cache_row(a_, first + r, min(p + i, length - 1)));
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
  void multiply_keys(int64_t r, int64_t begin, int64_t end, int64_t length) const {
    for (int64_t p = 0; p < length; p++) {
      const X* keys = row<const X>(a_.k_cache, cache_row(a_, r, p));
      for (int64_t h = begin; h < end; h += kAtOnce) {
        const int64_t n = min(kAtOnce, end - h);
        const float* q[kAtOnce];
        const X* k[kAtOnce];
        for (int64_t i = 0; i < kAtOnce; i++) {
          // The last head again in place of those that are not there.
          q[i] = at(q_, 0, h + min(i, n - 1), width_);
          k[i] = keys + (h + min(i, n - 1)) * head_dim_;
        }
        float products[kAtOnce];
        dot(q, k, products);
        for (int64_t i = 0; i < n; i++) at(scores_, 0, h + i, score_stride_)[p] = products[i];
      }
    }
  }

  // Several rows: kAtOnce positions at a time, head by head.
  void multiply_keys_together(int64_t first, int64_t count, int64_t begin, int64_t end,
                              int64_t length) const {
    Rows keys, ahead;
    for (int64_t p = 0; p < length; p += kAtOnce) {
      find(a_.k_cache, first, count, p, kAtOnce, length, keys);
      find(a_.k_cache, first, count, p + kAhead, kAtOnce, length, ahead);
      for (int64_t h = begin; h < end; h++) {
        for (int64_t r = 0; r < count; r++) {
          prefetch(ahead, r, kAtOnce, h);
          const float* q[kAtOnce];
          const X* k[kAtOnce];
          for (int64_t i = 0; i < kAtOnce; i++) {
            q[i] = at(q_, r, h, width_);
            k[i] = keys[r][i] + h * head_dim_;
          }
          // There is room up to a multiple of W.
          dot(q, k, at(scores_, r, h, score_stride_) + p);
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

  // Turns a row of products into weights.
  void softmax(float* scores, int64_t h, int64_t length) const {
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
  float* q_;       // (rows, heads, width), as words
  float* out_;     // (rows, heads, width)
  float* scores_;  // (rows, heads, score_stride)
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

// Returns the number of rows from r on that are batched: they have the same length and first key.
int64_t rows_together(const precis_attention_decode_args& a, int64_t r) {
  int64_t n = 1;
  while (n < kMaxTogether && r + n < rows(a.q) && a.lengths[r + n] == a.lengths[r] &&
         cache_row(a, r + n, 0) == cache_row(a, r, 0)) {
    n++;
  }
  return n;
}

template <class X, class Y>
void run(CpuContext& context, const precis_attention_decode_args& a) {
  const int64_t m = rows(a.q), heads = a.heads;
  int64_t longest = 0, total = 0, together = 0;
  for (int64_t r = 0, n; r < m; r += n) {
    n = rows_together(a, r);
    longest = max(longest, a.lengths[r]);
    together = max(together, n);
    total += n * a.lengths[r] * heads;
  }
  if (m == 0) return;
  const int64_t bucket_words =
      a.bias.data != nullptr ? round_up(relative_bias_words(a.max_distance, longest), 16) : 0;
  const int64_t bias_words = round_up(heads * longest, 16);
  const int64_t words = thread_words(together, heads, columns(a.q) / heads, longest);
  auto* scratch = static_cast<float*>(context.scratch.reserve(
      static_cast<size_t>(bucket_words + bias_words + words * context.pool.threads()) *
      sizeof(float)));
  const RelativeBias relative = relative_bias(a.bias, a.max_distance, false, longest,
                                              static_cast<int32_t*>(static_cast<void*>(scratch)));
  float* bias = scratch + bucket_words;
  for (int64_t h = 0; h < heads; h++) {
    fill_relative_bias(relative, h, 1 - longest, longest, bias + h * longest);
  }
  if (a.k_new.data != nullptr) append<X>(a);
  parallel(context.pool, [&](int thread, int threads) {
    const Decode<X, Y> decode(a, bias, longest, together, bias + bias_words + thread * words);
    const int64_t begin = slice_begin(total, threads, thread),
                  end = slice_begin(total, threads, thread + 1);
    int64_t before = 0;
    for (int64_t r = 0, n; r < m && before < end; r += n) {
      n = rows_together(a, r);
      // A head belongs to the thread in whose slice it starts.
      const int64_t head = n * a.lengths[r];
      const int64_t from = begin <= before ? 0 : min(heads, (begin - before + head - 1) / head);
      const int64_t to = min(heads, (end - before + head - 1) / head);
      if (from < to) decode.run(r, n, from, to);
      before += head * heads;
    }
  });
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
