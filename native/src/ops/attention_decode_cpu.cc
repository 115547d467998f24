// Bound by reading the cache, so the cache is read once, in the order in which it lies: a thread
// takes a run of heads of a row, walks the positions, and does all its heads at each. The work is
// split by rows and, within the rows at the ends of a share, by heads; a head's result does not
// depend on where.

#include "context.h"
#include "cpu/vec.h"
#include "ops/attention_decode.h"
#include "ops/relative_position.h"

namespace precis {
namespace PRECIS_ISA {
namespace {

constexpr int W = Vec::kWidth;
constexpr int kPositions = 4;  // at once
constexpr int kVecs = 4;       // of sums held in registers

int64_t round_up(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }
int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

template <class X>
Vec load(const X* x, int64_t n) {
  return n >= W ? Vec::load(x) : Vec::load(x, static_cast<int>(n));
}

template <class X, class Y>
class Decode {
 public:
  // scratch: decode_words.
  Decode(const precis_attention_decode_args& a, const float* bias, int64_t longest, float* scratch)
      : a_(a),
        bias_(bias),
        longest_(longest),
        head_dim_(columns(a.q) / a.heads),
        width_(round_up(head_dim_, W)),
        score_stride_(round_up(longest, W)),
        q_(scratch),
        out_(q_ + a.heads * width_),
        scores_(out_ + a.heads * width_) {}

  // Does heads [begin, end) of row r.
  void run(int64_t r, int64_t begin, int64_t end) const {
    const int64_t length = a_.lengths[r];
    const X* q = row<const X>(a_.q, r);
    for (int64_t h = begin; h < end; h++) {
      for (int64_t d = 0; d < head_dim_; d += W) {
        load(q + h * head_dim_ + d, head_dim_ - d).store(q_ + h * width_ + d);
        Vec::zero().store(out_ + h * width_ + d);
      }
    }
    for (int64_t p = 0; p < length; p += kPositions) {
      const X* k[kPositions];
      const int64_t n = smaller(kPositions, length - p);
      // The last position again in place of those that are not there.
      for (int64_t i = 0; i < kPositions; i++) k[i] = at(a_.k_cache, r, p + smaller(i, n - 1));
      for (int64_t h = begin; h < end; h++) dot(h, k, p, n);
    }
    for (int64_t h = begin; h < end; h++) softmax(h, length);
    for (int64_t p = 0; p < length; p += kPositions) {
      const X* v[kPositions];
      const int64_t n = smaller(kPositions, length - p);
      for (int64_t i = 0; i < n; i++) v[i] = at(a_.v_cache, r, p + i);
      for (int64_t h = begin; h < end; h++) add(h, v, p, n);
    }
    Y* y = row<Y>(a_.out, r);
    for (int64_t h = begin; h < end; h++) {
      for (int64_t d = 0; d < head_dim_; d += W) {
        const Vec value = Vec::load(out_ + h * width_ + d);
        const int64_t left = head_dim_ - d;
        Y* to = y + h * head_dim_ + d;
        left >= W ? value.store(to) : value.store(to, static_cast<int>(left));
      }
    }
  }

 private:
  const X* at(const precis_tensor& cache, int64_t r, int64_t p) const {
    return row<const X>(cache, cache_row(a_, r, p));
  }

  void dot(int64_t h, const X* const* k, int64_t p, int64_t n) const {
    Vec sum[kPositions] = {Vec::zero(), Vec::zero(), Vec::zero(), Vec::zero()};
    for (int64_t d = 0; d < head_dim_; d += W) {
      const Vec x = Vec::load(q_ + h * width_ + d);
      for (int i = 0; i < kPositions; i++) {
        sum[i] = fma(x, load(k[i] + h * head_dim_ + d, head_dim_ - d), sum[i]);
      }
    }
    float* scores = scores_ + h * score_stride_ + p;
    for (int64_t i = 0; i < n; i++) scores[i] = sum[i].sum() * a_.scale;
  }

  void softmax(int64_t h, int64_t length) const {
    float* scores = scores_ + h * score_stride_;
    const float* bias = bias_ + h * longest_ + (longest_ - length);
    const int64_t padded = round_up(length, W);
    for (int64_t p = length; p < padded; p++) scores[p] = -__builtin_inff();
    Vec largest = Vec::set1(-__builtin_inff());
    for (int64_t p = 0; p < padded; p += W) {
      const Vec score = Vec::load(scores + p) + load(bias + p, length - p);
      score.store(scores + p);
      largest = max(largest, score);
    }
    const Vec shift = Vec::set1(largest.largest());
    Vec sum = Vec::zero();
    for (int64_t p = 0; p < padded; p += W) {
      const Vec e = exp(Vec::load(scores + p) - shift);
      e.store(scores + p);
      sum = sum + e;
    }
    const Vec scale = Vec::set1(1.0f / sum.sum());
    for (int64_t p = 0; p < padded; p += W) (Vec::load(scores + p) * scale).store(scores + p);
  }

  void add(int64_t h, const X* const* v, int64_t p, int64_t n) const {
    const float* weights = scores_ + h * score_stride_ + p;
    for (int64_t d = 0; d < head_dim_; d += kVecs * W) {
      float* out = out_ + h * width_ + d;
      if (head_dim_ - d >= kVecs * W) {
        Vec sum[kVecs];
        for (int j = 0; j < kVecs; j++) sum[j] = Vec::load(out + j * W);
        for (int64_t i = 0; i < n; i++) {
          const X* x = v[i] + h * head_dim_ + d;
          const Vec weight = Vec::set1(weights[i]);
          for (int j = 0; j < kVecs; j++) sum[j] = fma(weight, Vec::load(x + j * W), sum[j]);
        }
        for (int j = 0; j < kVecs; j++) sum[j].store(out + j * W);
      } else {
        for (int64_t j = 0; d + j < head_dim_; j += W) {
          Vec sum = Vec::load(out + j);
          for (int64_t i = 0; i < n; i++) {
            const Vec x = load(v[i] + h * head_dim_ + d + j, head_dim_ - d - j);
            sum = fma(Vec::set1(weights[i]), x, sum);
          }
          sum.store(out + j);
        }
      }
    }
  }

  const precis_attention_decode_args& a_;
  const float* bias_;  // (heads, longest), of the positions that end with the query's own
  const int64_t longest_;
  const int64_t head_dim_;
  const int64_t width_;
  const int64_t score_stride_;
  float* q_;    // (heads, width)
  float* out_;  // (heads, width)
  float* scores_;
};

// Copies the new keys and values to their places: little next to what is read afterwards.
void append(const precis_attention_decode_args& a) {
  const size_t bytes = static_cast<size_t>(columns(a.q)) * (a.q.dtype == PRECIS_BFLOAT16 ? 2 : 4);
  for (int64_t r = 0; r < rows(a.q); r++) {
    const int64_t to = cache_row(a, r, a.lengths[r] - 1);
    if (a.q.dtype == PRECIS_BFLOAT16) {
      __builtin_memcpy(row<uint16_t>(a.k_cache, to), row<uint16_t>(a.k_new, r), bytes);
      __builtin_memcpy(row<uint16_t>(a.v_cache, to), row<uint16_t>(a.v_new, r), bytes);
    } else {
      __builtin_memcpy(row<float>(a.k_cache, to), row<float>(a.k_new, r), bytes);
      __builtin_memcpy(row<float>(a.v_cache, to), row<float>(a.v_new, r), bytes);
    }
  }
}

template <class X, class Y>
void run(CpuContext& context, const precis_attention_decode_args& a) {
  const int64_t m = rows(a.q), heads = a.heads;
  int64_t longest = 0, total = 0;
  for (int64_t r = 0; r < m; r++) {
    longest = a.lengths[r] > longest ? a.lengths[r] : longest;
    total += a.lengths[r] * heads;
  }
  const int64_t head_dim = columns(a.q) / heads;
  const int64_t buckets_words =
      a.bias.data != nullptr ? round_up(relative_bias_words(a.max_distance, longest), 16) : 0;
  const int64_t bias_words = round_up(heads * longest, 16);
  const int64_t thread_words =
      round_up(heads * (2 * round_up(head_dim, W) + round_up(longest, W)), 1024);
  auto* scratch = static_cast<float*>(context.scratch.reserve(
      static_cast<size_t>(buckets_words + bias_words + thread_words * context.pool.threads()) *
      sizeof(float)));
  const RelativeBias relative = relative_bias(a.bias, a.max_distance, false, longest,
                                              static_cast<int32_t*>(static_cast<void*>(scratch)));
  float* bias = scratch + buckets_words;
  for (int64_t h = 0; h < heads; h++) {
    fill_relative_bias(relative, h, 1 - longest, longest, bias + h * longest);
  }
  if (a.k_new.data != nullptr) append(a);
  parallel(context.pool, [&](int thread, int threads) {
    const Decode<X, Y> decode(a, bias, longest, bias + bias_words + thread * thread_words);
    const int64_t begin = total / threads * thread + total % threads * thread / threads;
    const int64_t next = thread + 1;
    const int64_t end = total / threads * next + total % threads * next / threads;
    int64_t before = 0;
    for (int64_t r = 0; r < m && before < end; r++) {
      // The heads of this row whose scores, counted from the first row's, start in [begin, end).
      const int64_t length = a.lengths[r];
      const int64_t from = begin <= before ? 0 : (begin - before + length - 1) / length;
      const int64_t to = smaller(heads, (end - before + length - 1) / length);
      if (from < to) decode.run(r, from, to);
      before += length * heads;
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
