// Like attention_cpu.cc: keys and values of one sequence and head are packed once, then blocks of
// queries iterate over them. Each of the two terms of relative positions is a product of its own
// with the rows of its table that occur, whose diagonals are added to the scores:
//
//   by query   a block's queries times position_keys, which are packed backwards: the row of a
//              query's scores begins one column earlier than that of the query before it
//   by key     for each tile of keys, position_queries times the keys: lane l of a query's scores
//              is lane l of the row that lies l rows before that of lane 0
//
// Tile boundaries depend on the sequence alone, so results are bitwise identical whatever the other
// sequences and the number of threads are.

#include "context.h"
#include "ops/attention_tiles.h"
#include "ops/disentangled_attention.h"

namespace precis {
namespace PRECIS_ISA {
namespace {

constexpr int kBlock = 4 * kRows;  // queries of a block
constexpr float kMinusInfinity = -__builtin_inff();

// The operands of a tile of a plain product. b's columns are packed.
struct ProductTile {
  const float* a;
  const float* b;
  int64_t words;  // of a row of a, and steps
  float* out;
  int64_t out_stride;
};

template <class Op, int R = kRows, int N = kVecs>
void product_tile_of(int64_t rows, int64_t vecs, const ProductTile& t) {
  if constexpr (R > 1) {
    if (rows < R) return product_tile_of<Op, R - 1, N>(rows, vecs, t);
  }
  if constexpr (N > 1) {
    if (vecs < N) return product_tile_of<Op, R, N - 1>(rows, vecs, t);
  }
  Vec c[R][N];
#pragma GCC unroll 8
  for (int r = 0; r < R; r++) {
#pragma GCC unroll 8
    for (int n = 0; n < N; n++) c[r][n] = Vec::zero();
  }
  multiply<Op, R, N>(t.a, t.words, t.b, kTile, t.words, c);
#pragma GCC unroll 8
  for (int r = 0; r < R; r++) {
#pragma GCC unroll 8
    for (int n = 0; n < N; n++) c[r][n].store(t.out + r * t.out_stride + n * W);
  }
}

// A tile's columns, of which `columns` count, for any number of rows.
template <class Op>
void product(int64_t rows, int64_t columns, ProductTile t) {
  const int64_t vecs = (min(columns, kTile) + W - 1) / W;
  for (int64_t i = 0; i < rows; i += kRows) {
    product_tile_of<Op>(min(kRows, rows - i), vecs, t);
    t.a += kRows * t.words;
    t.out += kRows * t.out_stride;
  }
}

// The layout of a thread's slice of scratch memory, in words.
struct Layout {
  int64_t keys, values, position_keys, position_queries, queries, scores, by_query, by_key, inverse,
      total;
  int64_t by_query_stride;

  // For sequences of up to n tokens.
  Layout(int64_t n, int64_t head_words, int64_t head_width) {
    total = 0;
    auto take = [&](int64_t words) {
      const int64_t at = total;
      total += round_up(words, 16);
      return at;
    };
    keys = take(round_up(n, kTile) * head_words);
    values = take(n * head_width);
    position_keys = take(round_up(2 * n, kTile) * head_words);
    position_queries = take((2 * n + kTile) * head_words);
    queries = take(kBlock * head_words);
    scores = take(kBlock * round_up(n, kTile));
    by_query_stride = round_up(n + kBlock + 2 * kTile, kTile);
    by_query = take(kBlock * by_query_stride);
    by_key = take((kBlock + kTile) * kTile);
    inverse = take(kBlock);
    // Threads share no page, and the buffers of one thread do not conflict in the same cache sets.
    total = round_up(total + 16, 1024);
  }
};

template <class Op, class X, class Y>
class Attention {
 public:
  Attention(const precis_disentangled_attention_args& a, const Layout& layout)
      : a_(a),
        layout_(layout),
        head_dim_(columns(a.q) / a.heads),
        words_((head_dim_ + Op::kPerWord - 1) / Op::kPerWord),
        width_(round_up(head_dim_, W)) {}

  // Processes this thread's slice of the blocks of queries.
  void run(const CpuContext& context, float* scratch, int thread, int threads) {
    int64_t total = 0;
    for (int32_t s = 0; s < a_.sequences; s++) total += a_.heads * tokens(s) * tokens(s);
    const int64_t begin = slice_begin(total, threads, thread),
                  end = slice_begin(total, threads, thread + 1);
    int64_t before = 0;
    for (int32_t s = 0; s < a_.sequences; s++) {
      const int64_t n = tokens(s);
      for (int64_t h = 0; h < a_.heads; h++, before += n * n) {
        if (before + n * n <= begin || before >= end) continue;
        bool packed = false;
        for (int64_t i = 0; i < n; i += kBlock) {
          const int64_t at = before + i * n;
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
  int64_t tokens(int32_t s) const { return a_.offsets[s + 1] - a_.offsets[s]; }

  const X* head(const precis_tensor& t, int64_t r, int64_t h) const {
    return row<const X>(t, r) + h * head_dim_;
  }

  void pack(int32_t s, int64_t h, float* scratch) const {
    const int64_t n = tokens(s);
    const auto key = [&](int64_t j) { return head(a_.k, a_.offsets[s] + j, h); };
    pack_row_tiles<Op>(n, head_dim_, words_, key, scratch + layout_.keys);
    pack_values<Op>(n, head_dim_, width_, head(a_.v, a_.offsets[s], h), row_stride(a_.v),
                    scratch + layout_.values);
    if (a_.position_keys.data != nullptr) {
      // Column c is the distance n - 1 - c of a query from a key.
      const int64_t reach = rows(a_.position_keys) / 2;
      const auto position = [&](int64_t c) {
        return head(a_.position_keys, relative_row(n - 1 - c, reach), h);
      };
      pack_row_tiles<Op>(2 * n - 1, head_dim_, words_, position, scratch + layout_.position_keys);
    }
    if (a_.position_queries.data != nullptr) {
      // Row p is the distance p - (n - 1) - (kTile - 1): the last tile reaches beyond the keys.
      const int64_t reach = rows(a_.position_queries) / 2;
      for (int64_t p = 0; p < 2 * n - 1 + kTile - 1; p++) {
        pack_words<Op>(head(a_.position_queries, relative_row(p - (n + kTile - 2), reach), h),
                       head_dim_, words_, scratch + layout_.position_queries + p * words_);
      }
    }
  }

  void block(int32_t s, int64_t h, int64_t first, float* scratch) const {
    const int64_t n = tokens(s), count = min(kBlock, n - first);
    const int64_t score_stride = round_up(n, kTile), stride = layout_.by_query_stride;
    float* q = scratch + layout_.queries;
    float* scores = scratch + layout_.scores;
    float* by_query = scratch + layout_.by_query;
    float* inverse = scratch + layout_.inverse;
    for (int64_t i = 0; i < count; i++) {
      pack_words<Op>(head(a_.q, a_.offsets[s] + first + i, h), head_dim_, words_, q + i * words_);
    }
    for (int64_t j = 0; j < n; j += kTile) {
      product<Op>(count, n - j,
                  {q, scratch + layout_.keys + j * words_, words_, scores + j, score_stride});
      if (a_.position_queries.data != nullptr) add_by_key(n, first, count, j, scratch);
    }
    // Of position_keys' columns, from that of the last query and the first key on.
    const int64_t columns = n - first - count, tile = columns / kTile * kTile;
    if (a_.position_keys.data != nullptr) {
      for (int64_t c = tile; c < 2 * n - 1 - first; c += kTile) {
        product<Op>(count, 2 * n - 1 - c,
                    {q, scratch + layout_.position_keys + c * words_, words_, by_query + (c - tile),
                     stride});
      }
    }
    const Vec scale = Vec::set1(a_.scale);
    for (int64_t i = 0; i < count; i++) {
      float* row = scores + i * score_stride;
      const float* other = by_query + i * stride + (n - 1 - first - i - tile);
      Vec most = Vec::set1(kMinusInfinity);
      for (int64_t j = 0; j < n; j += W) {
        Vec score = Vec::load(row + j);
        if (a_.position_keys.data != nullptr) score = score + Vec::load(other + j);
        score = score * scale;
        score.store(row + j);
        if (j + W > n) {
          for (int64_t k = n; k < j + W; k++) row[k] = kMinusInfinity;
          score = Vec::load(row + j);
        }
        most = max(most, score);
      }
      inverse[i] = 1.0f / Op::exponentiate(row, round_up(n, W), most.largest());
    }
    ValueTile t = {};
    t.weight_stride = score_stride;
    t.value_stride = width_;
    t.steps = (n + Op::kPerWord - 1) / Op::kPerWord;
    t.out_stride = row_stride(a_.out);
    for (int64_t i = 0; i < count; i += kRows) {
      t.weights = scores + i * score_stride;
      t.scale_rows = inverse + i;
      for (int64_t d = 0; d < head_dim_; d += kTile) {
        t.values = scratch + layout_.values + d;
        t.out_columns = head_dim_ - d;
        t.out = row<Y>(a_.out, a_.offsets[s] + first + i) + h * head_dim_ + d;
        value_tile_of<Op, Y>(min(kRows, count - i), (min(head_dim_ - d, kTile) + W - 1) / W, t);
      }
    }
  }

  // Adds the products of position_queries with the tile of keys from j on.
  void add_by_key(int64_t n, int64_t first, int64_t count, int64_t j, float* scratch) const {
    float* by_key = scratch + layout_.by_key;
    // The first row is the distance of the first query from the tile's last lane.
    const float* positions = scratch + layout_.position_queries + (first - j + n - 1) * words_;
    const int64_t lanes = min(kTile, n - j), score_stride = round_up(n, kTile);
    product<Op>(count + kTile - 1, lanes,
                {positions, scratch + layout_.keys + j * words_, words_, by_key, kTile});
    for (int64_t i = 0; i < count; i++) {
      float* row = scratch + layout_.scores + i * score_stride + j;
      const float* from = by_key + (i + kTile - 1) * kTile;
      for (int64_t l = 0; l < lanes; l++) row[l] += from[l * (1 - kTile)];
    }
  }

  const precis_disentangled_attention_args& a_;
  const Layout& layout_;
  const int64_t head_dim_;
  const int64_t words_;  // of a row of one head
  const int64_t width_;  // of a row of packed values
};

template <class Op, class X, class Y>
void run(CpuContext& context, const precis_disentangled_attention_args& a) {
  int64_t longest = 0;
  for (int32_t s = 0; s < a.sequences; s++) {
    longest = max(longest, a.offsets[s + 1] - a.offsets[s]);
  }
  if (longest == 0) return;
  const int64_t head_dim = columns(a.q) / a.heads;
  const Layout layout(longest, (head_dim + Op::kPerWord - 1) / Op::kPerWord, round_up(head_dim, W));
  auto* scratch = static_cast<float*>(context.scratch.reserve(
      static_cast<size_t>(layout.total * context.pool.threads()) * sizeof(float)));
  parallel(context.pool, [&](int thread, int threads) {
    Attention<Op, X, Y>(a, layout).run(context, scratch + layout.total * thread, thread, threads);
  });
}

template <class X>
void run(CpuContext& context, const precis_disentangled_attention_args& a) {
  using Op = typename WordsOf<X>::Type;
  a.out.dtype == PRECIS_BFLOAT16 ? run<Op, X, uint16_t>(context, a) : run<Op, X, float>(context, a);
}

}  // namespace

void disentangled_attention_cpu(CpuContext& context, const precis_disentangled_attention_args& a) {
  a.q.dtype == PRECIS_BFLOAT16 ? run<uint16_t>(context, a) : run<float>(context, a);
}

}  // namespace PRECIS_ISA
}  // namespace precis
