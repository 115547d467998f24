// Keys and values of one sequence and head are packed once, then blocks of queries iterate over
// them:
//
//   scores   a block's whole rows, scale q k' + bias, with the largest of each row on the way
//   weights  e^(score - largest), and their sum; then dropout
//   out      weights v / sum
//
// Both products are one register tile, kRows rows by kVecs vectors. Their left operand is read by
// broadcasts, so that queries and weights stay row-major; the right one is packed so that its
// columns (keys, or a value's dimensions) are lanes. On avx512_bf16, bfloat16 operands go through
// VDPBF16PS two k at a time: weights are then rounded to bfloat16 before they are summed, so that
// what v is multiplied by still adds up to one. Everywhere else operands are converted to float32.
//
// Tile boundaries depend on the sequence alone, so results are bitwise identical whatever the other
// sequences and the number of threads are.

#include "context.h"
#include "ops/attention.h"
#include "ops/attention_tiles.h"
#include "ops/relative_position.h"

namespace precis {
namespace PRECIS_ISA {
namespace {

constexpr int kBlock = 4 * kRows;  // queries of a block
constexpr float kMinusInfinity = -__builtin_inff();

// The operands of a tile of scores.
struct ScoreTile {
  const float* a;
  int64_t a_stride;
  const float* b;
  int64_t b_stride;
  int64_t steps;
  float* scores;
  int64_t score_stride;
  const float* bias;  // of the tile's first score; that of the next row lies one before
  float scale;
  float* largest;   // one vector a row
  int64_t visible;  // columns of the tile's first row that count: may exceed the tile
  int64_t growth;   // how many more those of the next row are
  int64_t most;     // and where that ends
};

template <class Op, int R, int N>
void score_tile(const ScoreTile& t) {
  Vec c[R][N];
#pragma GCC unroll 8
  for (int r = 0; r < R; r++) {
#pragma GCC unroll 8
    for (int n = 0; n < N; n++) c[r][n] = Vec::zero();
  }
  multiply<Op, R, N>(t.a, t.a_stride, t.b, t.b_stride, t.steps, c);
  const Vec scale = Vec::set1(t.scale);
  const bool whole = min(t.visible, t.most) >= N * W;
#pragma GCC unroll 8
  for (int r = 0; r < R; r++) {
    float* row = t.scores + r * t.score_stride;
    Vec largest = Vec::load(t.largest + r * W);
#pragma GCC unroll 8
    for (int n = 0; n < N; n++) {
      const Vec score = fma(c[r][n], scale, Vec::load(t.bias - r + n * W));
      score.store(row + n * W);
      if (whole) largest = max(largest, score);
    }
    if (!whole) {
      const int64_t visible = max(min(t.visible + r * t.growth, t.most), 0);
      for (int64_t j = visible; j < N * W; j++) row[j] = kMinusInfinity;
      for (int n = 0; n < N; n++) largest = max(largest, Vec::load(row + n * W));
    }
    largest.store(t.largest + r * W);
  }
}

// Picks the instance for a number of rows in [1, kRows] and of vectors in [1, kVecs].
template <class Op, int R = kRows, int N = kVecs>
void score_tile_of(int64_t rows, int64_t vecs, const ScoreTile& t) {
  if constexpr (R > 1) {
    if (rows < R) return score_tile_of<Op, R - 1, N>(rows, vecs, t);
  }
  if constexpr (N > 1) {
    if (vecs < N) return score_tile_of<Op, R, N - 1>(rows, vecs, t);
  }
  score_tile<Op, R, N>(t);
}

// The layout of a thread's slice of scratch memory, in words.
struct Layout {
  int64_t keys, values, queries, scores, largest, inverse, bias, total;

  // For the longest sequence of the call.
  Layout(int64_t query_count, int64_t key_count, int64_t head_words, int64_t head_width) {
    total = 0;
    auto take = [&](int64_t words) {
      const int64_t at = total;
      total += round_up(words, 16);
      return at;
    };
    keys = take(round_up(key_count, kTile) * head_words);
    values = take(key_count * head_width);
    queries = take(kBlock * head_words);
    scores = take(kBlock * round_up(key_count, kTile));
    largest = take(kBlock * W);
    inverse = take(kBlock);
    // The last tile may read the bias of columns beyond the last.
    bias = take(query_count + key_count + kTile);
    // Threads share no page, and the buffers of one thread do not conflict in the same cache sets.
    total = round_up(total + 16, 1024);
  }
};

template <class Op, class X, class Y>
class Attention {
 public:
  Attention(const precis_attention_args& a, const RelativeBias& bias, const Layout& layout)
      : a_(a),
        bias_(bias),
        layout_(layout),
        head_dim_(columns(a.q) / a.heads),
        words_((head_dim_ + Op::kPerWord - 1) / Op::kPerWord),
        width_(round_up(head_dim_, W)) {}

  // Processes this thread's slice of the blocks of queries.
  void run(const CpuContext& context, float* scratch, int thread, int threads) {
    int64_t total = 0;
    for (int32_t s = 0; s < a_.sequences; s++) total += a_.heads * cost(s, queries(s));
    const int64_t begin = slice_begin(total, threads, thread),
                  end = slice_begin(total, threads, thread + 1);
    int64_t before = 0;
    for (int32_t s = 0; s < a_.sequences; s++) {
      const int64_t whole = cost(s, queries(s));
      for (int64_t h = 0; h < a_.heads; h++, before += whole) {
        if (before + whole <= begin || before >= end) continue;
        bool packed = false;
        for (int64_t i = 0; i < queries(s); i += kBlock) {
          const int64_t at = before + cost(s, i);
          if (at < begin || at >= end) continue;
          if (context.is_cancelled()) return;
          if (!packed) pack(s, h, scratch);
          packed = true;
          block(s, h, i, scratch);
        }
      }
    }
  }

 private:
  int64_t queries(int32_t s) const { return a_.query_offsets[s + 1] - a_.query_offsets[s]; }
  int64_t keys(int32_t s) const { return a_.key_offsets[s + 1] - a_.key_offsets[s]; }
  int64_t visible(int32_t s, int64_t i) const { return a_.causal ? min(i + 1, keys(s)) : keys(s); }
  // Scores of the first n queries.
  int64_t cost(int32_t s, int64_t n) const {
    if (!a_.causal) return n * keys(s);
    const int64_t growing = min(n, keys(s));
    return growing * (growing + 1) / 2 + (n - growing) * keys(s);
  }
  void pack(int32_t s, int64_t h, float* scratch) const {
    const int64_t n = keys(s);
    const X* k = row<const X>(a_.k, a_.key_offsets[s]) + h * head_dim_;
    const auto key = [&](int64_t j) { return k + j * row_stride(a_.k); };
    pack_row_tiles<Op>(n, head_dim_, words_, key, scratch + layout_.keys);
    const X* v = row<const X>(a_.v, a_.key_offsets[s]) + h * head_dim_;
    pack_values<Op>(n, head_dim_, width_, v, row_stride(a_.v), scratch + layout_.values);
    const int64_t first = 1 - queries(s);
    fill_relative_bias(bias_, h, first, keys(s) - first + kTile, scratch + layout_.bias);
  }

  void block(int32_t s, int64_t h, int64_t first, float* scratch) const {
    const int64_t count = min(kBlock, queries(s) - first);
    const int64_t score_stride = round_up(keys(s), kTile);
    float* q = scratch + layout_.queries;
    float* scores = scratch + layout_.scores;
    float* largest = scratch + layout_.largest;
    float* inverse = scratch + layout_.inverse;
    const float* bias = scratch + layout_.bias + queries(s) - 1;

    for (int64_t i = 0; i < count; i++) {
      const X* x = row<const X>(a_.q, a_.query_offsets[s] + first + i) + h * head_dim_;
      pack_words<Op>(x, head_dim_, words_, q + i * words_);
      Vec::set1(kMinusInfinity).store(largest + i * W);
    }
    ScoreTile t = {};
    t.a_stride = words_;
    t.b_stride = kTile;
    t.steps = words_;
    t.score_stride = score_stride;
    t.scale = a_.scale;
    t.growth = a_.causal ? 1 : 0;
    const int64_t end = visible(s, first + count - 1);
    for (int64_t j = 0; j < end; j += kTile) {
      t.b = scratch + layout_.keys + j * words_;
      for (int64_t i = 0; i < count; i += kRows) {
        const int64_t rows = min(kRows, count - i);
        // Up to the last vector that any row of this tile attends to.
        const int64_t columns = visible(s, first + i + rows - 1) - j;
        if (columns <= 0) continue;
        t.a = q + i * words_;
        t.scores = scores + i * score_stride + j;
        t.bias = bias + j - (first + i);
        t.largest = largest + i * W;
        t.visible = a_.causal ? first + i + 1 - j : keys(s) - j;
        t.most = keys(s) - j;
        score_tile_of<Op>(rows, (min(columns, kTile) + W - 1) / W, t);
      }
    }
    ValueTile out = {};
    out.weight_stride = score_stride;
    out.value_stride = width_;
    out.out_stride = row_stride(a_.out);
    for (int64_t i = 0; i < count; i += kRows) {
      const int64_t rows = min(kRows, count - i);
      const int64_t columns = visible(s, first + i + rows - 1);
      for (int64_t r = i; r < i + rows; r++) {
        float* weights = scores + r * score_stride;
        const float most = Vec::load(largest + r * W).largest();
        if (a_.log_sum_exp.data != nullptr) {
          float exact;
          inverse[r] = 1.0f / Op::exponentiate(weights, round_up(columns, W), most, &exact);
          row<float>(a_.log_sum_exp, a_.query_offsets[s] + first + r)[h] = most + logf(exact);
        } else {
          inverse[r] = 1.0f / Op::exponentiate(weights, round_up(columns, W), most);
        }
        if (a_.dropout > 0) {
          inverse[r] *= 1.0f / (1.0f - a_.dropout);
          drop(a_.query_offsets[s] + first + r, h, round_up(columns, W), weights);
        }
      }
      out.weights = scores + i * score_stride;
      out.steps = (columns + Op::kPerWord - 1) / Op::kPerWord;
      out.scale_rows = inverse + i;
      for (int64_t d = 0; d < head_dim_; d += kTile) {
        out.values = scratch + layout_.values + d;
        out.out_columns = head_dim_ - d;
        out.out = row<Y>(a_.out, a_.query_offsets[s] + first + i) + h * head_dim_ + d;
        value_tile_of<Op, Y>(rows, (min(head_dim_ - d, kTile) + W - 1) / W, out);
      }
    }
  }

  void drop(int64_t query, int64_t h, int64_t n, float* weights) const {
    const uint32_t threshold = dropout_threshold(a_.dropout);
    const DropoutRow of =
        dropout_row(static_cast<const int64_t*>(a_.dropout_rows.data), query, a_.offset);
    for (int64_t j = 0; j < n; j += kDropoutGroup) {
      const uint64_t bits = dropout_bits(
          a_.seed, of.offset, attention_dropout_index(of.row, a_.heads, h, j), threshold);
      Op::keep(weights + j / Op::kPerWord, min(kDropoutGroup, n - j), bits);
    }
  }

  const precis_attention_args& a_;
  const RelativeBias& bias_;
  const Layout& layout_;
  const int64_t head_dim_;
  const int64_t words_;  // of a row of one head
  const int64_t width_;  // of a row of packed values
};

template <class Op, class X, class Y>
void run(CpuContext& context, const precis_attention_args& a) {
  int64_t queries = 0, keys = 0;
  for (int32_t s = 0; s < a.sequences; s++) {
    queries = max(queries, a.query_offsets[s + 1] - a.query_offsets[s]);
    keys = max(keys, a.key_offsets[s + 1] - a.key_offsets[s]);
  }
  if (queries == 0) return;
  const int64_t head_dim = columns(a.q) / a.heads;
  const Layout layout(queries, keys, (head_dim + Op::kPerWord - 1) / Op::kPerWord,
                      round_up(head_dim, W));
  const int64_t longest = max(queries, keys);
  const int64_t bias_words =
      a.bias.data != nullptr ? round_up(relative_bias_words(a.max_distance, longest), 16) : 0;
  auto* scratch = static_cast<float*>(context.scratch.reserve(
      static_cast<size_t>(bias_words + layout.total * context.pool.threads()) * sizeof(float)));
  const RelativeBias bias = relative_bias(a.bias, a.max_distance, a.bidirectional != 0, longest,
                                          static_cast<int32_t*>(static_cast<void*>(scratch)));
  parallel(context.pool, [&](int thread, int threads) {
    Attention<Op, X, Y>(a, bias, layout)
        .run(context, scratch + bias_words + layout.total * thread, thread, threads);
  });
}

template <class X>
void run(CpuContext& context, const precis_attention_args& a) {
  using Op = typename WordsOf<X>::Type;
  a.out.dtype == PRECIS_BFLOAT16 ? run<Op, X, uint16_t>(context, a) : run<Op, X, float>(context, a);
}

}  // namespace

void attention_cpu(CpuContext& context, const precis_attention_args& a) {
  a.q.dtype == PRECIS_BFLOAT16 ? run<uint16_t>(context, a) : run<float>(context, a);
}

}  // namespace PRECIS_ISA
}  // namespace precis
