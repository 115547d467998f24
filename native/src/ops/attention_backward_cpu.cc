// One sequence and head is processed at a time. Its keys and values are packed once; then blocks of
// kBlock queries iterate over them, in which queries are lanes and a tile is kRows keys:
//
//   scores        k q', from which p is computed again, and v dout'
//   p and ds      rounded to words as they leave the registers
//   dv += p dout, dk += ds q       a tile's rows stay in registers while the block's queries pass
//   dq' = k' ds                    the same while the block's keys pass
//
// All five products are the register tile of attention_tiles.h. p and ds have keys as rows, which
// is what the left operand of dv and dk needs; dq's right operand is ds with neighbouring rows
// paired into words, so that nothing between the products is transposed but bits of the dropout
// mask. p and ds live for at most kKeys keys of one block.
//
// A unit of work is a head of a run of sequences: no other unit writes its rows of dk and dv. The
// partition of sequences into runs depends on their number alone, and dbias is summed run by run,
// so that results are deterministic.

#include "context.h"
#include "ops/attention_backward.h"
#include "ops/attention_tiles.h"
#include "ops/relative_position.h"

namespace precis {
namespace PRECIS_ISA {
namespace {

constexpr int kBlock = 64;         // queries of a block; kTile divides it
constexpr int kKeys = 384;         // keys of a pass; kRows and kDropoutGroup divide it
constexpr int64_t kRuns = 16;      // of sequences, at most
constexpr int kDiagonals = kRows;  // buffers of dbias
constexpr float kInfinity = __builtin_inff();
static_assert(kBlock % kTile == 0 && kBlock == kDropoutGroup);
static_assert(kKeys % kRows == 0 && kKeys % kDropoutGroup == 0);

// c = a b, or c += a b.
template <class Op, int R, int N>
void product_tile(const float* a, int64_t a_stride, const float* b, int64_t b_stride, int64_t steps,
                  bool accumulate, float* c, int64_t c_stride) {
  Vec sums[R][N];
#pragma GCC unroll 8
  for (int r = 0; r < R; r++) {
#pragma GCC unroll 8
    for (int n = 0; n < N; n++) {
      sums[r][n] = accumulate ? Vec::load(c + r * c_stride + n * W) : Vec::zero();
    }
  }
  multiply<Op, R, N>(a, a_stride, b, b_stride, steps, sums);
#pragma GCC unroll 8
  for (int r = 0; r < R; r++) {
#pragma GCC unroll 8
    for (int n = 0; n < N; n++) sums[r][n].store(c + r * c_stride + n * W);
  }
}

// Picks the instance for a number of rows in [1, kRows] and of vectors in [1, kVecs].
template <class Op, int R = kRows, int N = kVecs>
void product_of(int64_t rows, int64_t vecs, const float* a, int64_t a_stride, const float* b,
                int64_t b_stride, int64_t steps, bool accumulate, float* c, int64_t c_stride) {
  if constexpr (R > 1) {
    if (rows < R) {
      return product_of<Op, R - 1, N>(rows, vecs, a, a_stride, b, b_stride, steps, accumulate, c,
                                      c_stride);
    }
  }
  if constexpr (N > 1) {
    if (vecs < N) {
      return product_of<Op, R, N - 1>(rows, vecs, a, a_stride, b, b_stride, steps, accumulate, c,
                                      c_stride);
    }
  }
  product_tile<Op, R, N>(a, a_stride, b, b_stride, steps, accumulate, c, c_stride);
}

// As many columns as there are, in tiles of at most kTile.
template <class Op>
void product(int64_t rows, int64_t vecs, const float* a, int64_t a_stride, const float* b,
             int64_t b_stride, int64_t steps, bool accumulate, float* c, int64_t c_stride) {
  for (int64_t n = 0; n < vecs; n += kVecs) {
    product_of<Op>(rows, min(vecs - n, kVecs), a, a_stride, b + n * W, b_stride, steps, accumulate,
                   c + n * W, c_stride);
  }
}

// Columns [column, column + width) of the rows from first on, of a matrix of X.
template <class X>
struct Slice {
  Slice(const precis_tensor& t, int64_t first, int64_t column)
      : data(row<const X>(t, first) + column), stride(row_stride(t)) {}
  const X* at(int64_t r) const { return data + r * stride; }
  const X* data;
  int64_t stride;
};

// Calls f with the slice of whichever type the matrix has.
template <class F>
void with_slice(const precis_tensor& t, int64_t first, int64_t column, const F& f) {
  t.dtype == PRECIS_BFLOAT16 ? f(Slice<uint16_t>(t, first, column))
                             : f(Slice<float>(t, first, column));
}

// Words as they lie in memory: row r's at to + r * words.
template <class Op, class X>
void pack_rows(const Slice<X>& x, int64_t rows, int64_t width, int64_t words, float* to) {
  for (int64_t r = 0; r < rows; r++) {
    for (int64_t d = 0; d < words; d += W) {
      const Vec v = Op::load(x.at(r) + d * Op::kPerWord, width - d * Op::kPerWord);
      float* at = to + r * words + d;
      d + W <= words ? v.store(at) : v.store(at, static_cast<int>(words - d));
    }
  }
}

// Word d of row r at to[d * kBlock + r], up to a multiple of lanes; those beyond the last row
// repeat it.
template <class Op, class X>
void pack_lanes(const Slice<X>& x, int64_t rows, int64_t lanes, int64_t width, int64_t words,
                float* to) {
  for (int64_t r = 0; r < round_up(rows, lanes); r += W) {
    for (int64_t d = 0; d < words; d += W) {
      Vec m[W];
#pragma GCC unroll 16
      for (int i = 0; i < W; i++) {
        m[i] = Op::load(x.at(min(r + i, rows - 1)) + d * Op::kPerWord, width - d * Op::kPerWord);
      }
      transpose(m);
      float* at = to + d * kBlock + r;
      if (d + W <= words) {
#pragma GCC unroll 16
        for (int i = 0; i < W; i++) m[i].store(at + i * kBlock);
      } else {
        for (int i = 0; i < words - d; i++) m[i].store(at + i * kBlock);
      }
    }
  }
}

template <class Op, class X>
Vec load_step(const Slice<X>& x, int64_t r, int64_t rows, int64_t d, int64_t width) {
  return Op::load_rows(x.at(r) + d, r + 1 < rows ? x.at(r + 1) + d : nullptr, width - d);
}

// A step is a word, kPerWord rows, of every column: step k at to + k * stride.
template <class Op, class X>
void pack_steps(const Slice<X>& x, int64_t rows, int64_t width, int64_t stride, float* to) {
  for (int64_t r = 0; r < rows; r += Op::kPerWord, to += stride) {
    for (int64_t d = 0; d < width; d += W) {
      load_step<Op>(x, r, rows, d, width).store(to + d);
    }
  }
}

// The same with rows for columns: step k of column d at to[d * stride + k].
template <class Op, class X>
void pack_columns(const Slice<X>& x, int64_t rows, int64_t width, int64_t stride, float* to) {
  for (int64_t r = 0; r < rows; r += W * Op::kPerWord) {
    for (int64_t d = 0; d < width; d += W) {
      Vec m[W];
      for (int i = 0; i < W; i++) {
        const int64_t from = r + i * Op::kPerWord;
        m[i] = from < rows ? load_step<Op>(x, from, rows, d, width) : Vec::zero();
      }
      transpose(m);
      for (int i = 0; i < W && d + i < width; i++) {
        m[i].store(to + (d + i) * stride + r / Op::kPerWord);
      }
    }
  }
}

// y = scale x for rows of n elements.
template <class Y>
void store_row(Y* y, const float* x, int64_t n, Vec scale) {
  for (int64_t d = 0; d < n; d += W) {
    const Vec v = Vec::load(x + d) * scale;
    d + W <= n ? v.store(y + d) : v.store(y + d, static_cast<int>(n - d));
  }
}
void store_rows(const precis_tensor& y, int64_t first, int64_t column, int64_t rows, int64_t width,
                const float* x, int64_t stride, float scale) {
  const Vec by = Vec::set1(scale);
  for (int64_t r = 0; r < rows; r++) {
    if (y.dtype == PRECIS_BFLOAT16) {
      store_row(row<uint16_t>(y, first + r) + column, x + r * stride, width, by);
    } else {
      store_row(row<float>(y, first + r) + column, x + r * stride, width, by);
    }
  }
}

// Bit c of word r becomes bit r of word c: halves of the matrix trade places, then quarters of
// these, down to single bits.
void transpose_bits(uint64_t (&m)[64]) {
  uint64_t mask = 0x00000000ffffffffu;
  for (int size = 32; size > 0; size /= 2, mask ^= mask << size) {
    for (int i = 0; i < 64; i += 2 * size) {
      for (int j = i; j < i + size; j++) {
        const uint64_t t = (m[j] >> size ^ m[j + size]) & mask;
        m[j] ^= t << size;
        m[j + size] ^= t;
      }
    }
  }
}

// The layout of a thread's slice of scratch memory, in words.
struct Layout {
  int64_t words, width, key_words;  // of a row of one head; of its columns; of a column's keys
  int64_t key_rows, value_rows, key_columns, dk, dv;
  int64_t query_lanes, dout_lanes, query_steps, dout_steps, log_sum_exp, mean;
  int64_t scores, products, p, ds, ds_steps, dq, dq_rows, kept, bias, diagonals, diagonal, total;

  // For the longest sequence of the call.
  Layout(int64_t queries, int64_t keys, int64_t head_dim, int per_word, bool dbias) {
    words = (head_dim + per_word - 1) / per_word;
    width = round_up(head_dim, W);
    key_words = round_up((keys + per_word - 1) / per_word, W);
    total = 0;
    auto take = [&](int64_t n) {
      const int64_t at = total;
      total += round_up(n, 16);
      return at;
    };
    key_rows = take(keys * words);
    value_rows = take(keys * words);
    key_columns = take(head_dim * key_words);
    dk = take(keys * width);
    dv = take(keys * width);
    query_lanes = take(words * kBlock);
    dout_lanes = take(words * kBlock);
    query_steps = take(kBlock / per_word * width);
    dout_steps = take(kBlock / per_word * width);
    log_sum_exp = take(kBlock);
    mean = take(kBlock);
    scores = take(kRows * kBlock);
    products = take(kRows * kBlock);
    p = take(kKeys * kBlock / per_word);
    ds = take(kKeys * kBlock / per_word);
    ds_steps = per_word > 1 ? take(kKeys * kBlock / per_word) : ds;
    dq = take(width * kBlock);
    dq_rows = take(W * width);
    kept = take(2 * kKeys);
    diagonal = round_up(queries + keys + 2 * kBlock, 16);
    bias = take(diagonal);
    diagonals = take(dbias ? kDiagonals * diagonal : 0);
    // Threads share no page, and the buffers of one thread do not conflict in the same cache sets.
    total = round_up(total + 16, 1024);
  }
};

// Prefetches rows into the second-level cache, a few at a time: the rows of one head are strided,
// so the hardware does not prefetch them.
class Prefetch {
 public:
  void clear() { lists_ = next_ = 0; }
  void add(const precis_tensor& t, int64_t first, int64_t count, int64_t column, int64_t width) {
    if (count == 0) return;
    const int64_t element = t.dtype == PRECIS_BFLOAT16 ? 2 : 4;
    list_[lists_++] = {
        static_cast<const char*>(t.data) + (first * row_stride(t) + column) * element,
        row_stride(t) * element, width * element, count};
  }
  int64_t rows() const {
    int64_t n = 0;
    for (int i = next_; i < lists_; i++) n += list_[i].count;
    return n;
  }
  // The next n rows.
  void run(int64_t n) {
    for (; n > 0 && next_ < lists_; n--) {
      List& list = list_[next_];
      for (int64_t b = 0; b < list.bytes; b += 64) __builtin_prefetch(list.at + b, 0, 2);
      list.at += list.stride;
      if (--list.count == 0) next_++;
    }
  }

 private:
  struct List {
    const char* at;
    int64_t stride, bytes, count;
  };
  List list_[8];
  int lists_ = 0, next_ = 0;
};

template <class Op>
class Backward {
 public:
  // sums: (runs, heads, buckets), for dbias.
  Backward(const precis_attention_backward_args& b, const RelativeBias& bias, const Layout& layout,
           float* scratch, double* sums)
      : b_(b),
        a_(b.forward),
        bias_(bias),
        layout_(layout),
        scratch_(scratch),
        sums_(sums),
        head_dim_(columns(a_.q) / a_.heads),
        buckets_(b.dbias.data != nullptr ? b.dbias.dims[0] : 0),
        inverse_keep_(1.0f / (1.0f - a_.dropout)) {}

  // Processes this thread's slice of the units.
  void run(int thread, int threads) {
    const int64_t runs = min(a_.sequences, kRuns);
    int64_t total = 0;
    for (int32_t s = 0; s < a_.sequences; s++) total += a_.heads * cost(s);
    const int64_t begin = slice_begin(total, threads, thread),
                  end = slice_begin(total, threads, thread + 1);
    int64_t at = 0;
    for (int64_t r = 0; r < runs; r++) {
      const auto first = static_cast<int32_t>(slice_begin(a_.sequences, runs, r));
      const auto last = static_cast<int32_t>(slice_begin(a_.sequences, runs, r + 1));
      int64_t whole = 0;
      for (int32_t s = first; s < last; s++) whole += cost(s);
      for (int64_t h = 0; h < a_.heads; h++, at += whole) {
        if (at < begin || at >= end) continue;
        double* sums = sums_ + (r * a_.heads + h) * buckets_;
        for (int64_t i = 0; i < buckets_; i++) sums[i] = 0;
        for (int32_t s = first; s < last; s++) {
          // The same sequence's next head, as it will be in most batches.
          next_head_ = s + 1 < last ? h : h + 1;
          next_sequence_ = s + 1 < last ? s + 1 : first;
          sequence(s, h, sums);
        }
      }
    }
  }

 private:
  int64_t queries(int32_t s) const { return a_.query_offsets[s + 1] - a_.query_offsets[s]; }
  int64_t keys(int32_t s) const { return a_.key_offsets[s + 1] - a_.key_offsets[s]; }
  // The cost of a sequence: its scores and an overhead for its rows; never 0.
  int64_t cost(int32_t s) const {
    const int64_t n = queries(s), m = keys(s), growing = min(n, m);
    const int64_t scores = a_.causal ? growing * (growing + 1) / 2 + (n - growing) * m : n * m;
    return scores + 16 * (n + m) + 1;
  }

  void sequence(int32_t s, int64_t h, double* sums) {
    queries_ = queries(s);
    keys_ = keys(s);
    if (keys_ == 0) return;
    first_query_ = a_.query_offsets[s];
    first_key_ = a_.key_offsets[s];
    head_ = h;
    const int64_t column = h * head_dim_, first_key = first_key_;
    with_slice(a_.k, first_key, column, [&](const auto& k) {
      pack_rows<Op>(k, keys_, head_dim_, layout_.words, scratch_ + layout_.key_rows);
      pack_columns<Op>(k, keys_, head_dim_, layout_.key_words, scratch_ + layout_.key_columns);
    });
    with_slice(a_.v, first_key, column, [&](const auto& v) {
      pack_rows<Op>(v, keys_, head_dim_, layout_.words, scratch_ + layout_.value_rows);
    });
    zero(scratch_ + layout_.dk, keys_ * layout_.width);
    zero(scratch_ + layout_.dv, keys_ * layout_.width);
    fill_bias();
    if (buckets_ > 0) zero(scratch_ + layout_.diagonals, kDiagonals * layout_.diagonal);
    for (int64_t i = 0; i < queries_; i += kBlock) block(i);
    store_rows(b_.dk, first_key, column, keys_, head_dim_, scratch_ + layout_.dk, layout_.width,
               a_.scale);
    store_rows(b_.dv, first_key, column, keys_, head_dim_, scratch_ + layout_.dv, layout_.width,
               inverse_keep_);
    if (buckets_ > 0) sum_diagonals(sums);
  }

  static void zero(float* x, int64_t n) {
    for (int64_t i = 0; i < n; i++) x[i] = 0;
  }

  // By query - key position, from 1 - keys_ on, in Op's units.
  void fill_bias() {
    float* bias = scratch_ + layout_.bias;
    const int64_t count = queries_ + keys_ - 1;
    fill_relative_bias(bias_, head_, 1 - queries_, count, bias);
    for (int64_t i = 0; i < count / 2; i++) {
      const float t = bias[i];
      bias[i] = bias[count - 1 - i];
      bias[count - 1 - i] = t;
    }
    for (int64_t i = 0; i < count; i++) bias[i] *= Op::kPerUnit;
    // Lanes beyond the last query.
    zero(bias + count, kBlock);
  }

  // Queries [first, first + kBlock), had the sequence that many.
  void block(int64_t first) {
    first_ = first;
    const int64_t count = min(kBlock, queries_ - first);
    const int64_t row0 = first_query_ + first, column = head_ * head_dim_;
    lanes_ = round_up(count, W * Op::kPerWord);
    pack_queries(row0, column, count);
    const int64_t visible = a_.causal ? min(first + count, keys_) : keys_;
    prefetch(first, count);
    const int64_t tiles = (visible + kRows - 1) / kRows;
    const int64_t rows = (prefetch_.rows() + tiles - 1) / tiles;
    for (int64_t j = 0; j < visible; j += kKeys) {
      const int64_t end = min(visible, j + kKeys);
      if (a_.dropout > 0) fill_kept(j, end, count);
      for (int64_t t = j; t < end; t += kRows) {
        prefetch_.run(rows);
        tile(j, t, min(kRows, end - t));
      }
      for (int64_t t = j; t < end; t += kRows) {
        add_key_gradients(j, t, min(kRows, end - t), count);
      }
      add_query_gradients(j, end);
    }
    store_query_gradients(row0, column, count);
  }

  // Prefetches for the time after this block: the next block's rows, a slice of the next head's
  // keys and the rows of the results.
  void prefetch(int64_t first, int64_t count) {
    const int64_t column = head_ * head_dim_, blocks = (queries_ + kBlock - 1) / kBlock;
    const int64_t from = keys_ * (first / kBlock) / blocks;
    const int64_t keys_here = keys_ * (first / kBlock + 1) / blocks - from;
    prefetch_.clear();
    const int64_t row0 = first_query_ + first;
    prefetch_.add(b_.dq, row0, count, column, head_dim_);
    prefetch_.add(b_.dk, first_key_ + from, keys_here, column, head_dim_);
    prefetch_.add(b_.dv, first_key_ + from, keys_here, column, head_dim_);
    int64_t next = row0 + count, next_count = min(kBlock, queries_ - first - count);
    int64_t next_column = column;
    if (next_head_ < a_.heads) {
      const int64_t n = keys(next_sequence_);
      const int64_t k0 = a_.key_offsets[next_sequence_] + n * (first / kBlock) / blocks;
      const int64_t k1 = a_.key_offsets[next_sequence_] + n * (first / kBlock + 1) / blocks;
      prefetch_.add(a_.k, k0, k1 - k0, next_head_ * head_dim_, head_dim_);
      prefetch_.add(a_.v, k0, k1 - k0, next_head_ * head_dim_, head_dim_);
      if (next_count == 0) {
        next = a_.query_offsets[next_sequence_];
        next_count = min(kBlock, queries(next_sequence_));
        next_column = next_head_ * head_dim_;
      }
    }
    prefetch_.add(a_.q, next, next_count, next_column, head_dim_);
    prefetch_.add(b_.dout, next, next_count, next_column, head_dim_);
    prefetch_.add(a_.out, next, next_count, next_column, head_dim_);
  }

  void pack_queries(int64_t row0, int64_t column, int64_t count) {
    with_slice(a_.q, row0, column, [&](const auto& q) {
      pack_lanes<Op>(q, count, W * Op::kPerWord, head_dim_, layout_.words,
                     scratch_ + layout_.query_lanes);
      pack_steps<Op>(q, count, head_dim_, layout_.width, scratch_ + layout_.query_steps);
    });
    float* mean = scratch_ + layout_.mean;
    with_slice(b_.dout, row0, column, [&](const auto& dout) {
      pack_lanes<Op>(dout, count, W * Op::kPerWord, head_dim_, layout_.words,
                     scratch_ + layout_.dout_lanes);
      pack_steps<Op>(dout, count, head_dim_, layout_.width, scratch_ + layout_.dout_steps);
      with_slice(a_.out, row0, column, [&](const auto& out) {
        for (int64_t i = 0; i < count; i++) {
          Vec sum = Vec::zero();
          for (int64_t d = 0; d < head_dim_; d += W) {
            // Of the same dout as the products': their difference is what counts.
            sum = fma(Op::rounded(Singles::load(dout.at(i) + d, head_dim_ - d)),
                      Singles::load(out.at(i) + d, head_dim_ - d), sum);
          }
          mean[i] = sum.sum();
        }
      });
    });
    float* log_sum_exp = scratch_ + layout_.log_sum_exp;
    for (int64_t i = 0; i < count; i++) {
      log_sum_exp[i] = row<const float>(a_.log_sum_exp, row0 + i)[head_] * Op::kPerUnit;
    }
    // Lanes that are no query have p = 0 and ds = 0.
    for (int64_t i = count; i < kBlock; i++) {
      log_sum_exp[i] = kInfinity;
      mean[i] = 0;
    }
  }

  // kept[j - begin]: a bit for each query of the block.
  void fill_kept(int64_t begin, int64_t end, int64_t count) {
    auto* kept = static_cast<uint64_t*>(static_cast<void*>(scratch_ + layout_.kept));
    const uint32_t threshold = dropout_threshold(a_.dropout);
    const auto* names = static_cast<const int64_t*>(a_.dropout_rows.data);
    for (int64_t j = begin; j < end; j += kDropoutGroup) {
      uint64_t bits[kBlock] = {};
      for (int64_t i = 0; i < count; i++) {
        const DropoutRow of = dropout_row(names, first_query_ + first_ + i, a_.offset);
        bits[i] = dropout_bits(a_.seed, of.offset,
                               attention_dropout_index(of.row, a_.heads, head_, j), threshold);
      }
      transpose_bits(bits);
      for (int64_t i = 0; i < kDropoutGroup; i++) kept[j - begin + i] = bits[i];
    }
  }

  // The first lane, a multiple of W, that sees a key from j on.
  int64_t first_lane(int64_t j) const { return a_.causal && j > first_ ? (j - first_) / W * W : 0; }

  // p and ds of the keys [j, j + count); begin: the first key of the pass.
  void tile(int64_t begin, int64_t j, int64_t count) {
    const int64_t from = first_lane(j);
    product<Op>(count, (lanes_ - from) / W, scratch_ + layout_.key_rows + j * layout_.words,
                layout_.words, scratch_ + layout_.query_lanes + from, kBlock, layout_.words, false,
                scratch_ + layout_.scores + from, kBlock);
    product<Op>(count, (lanes_ - from) / W, scratch_ + layout_.value_rows + j * layout_.words,
                layout_.words, scratch_ + layout_.dout_lanes + from, kBlock, layout_.words, false,
                scratch_ + layout_.products + from, kBlock);
    const bool masked = a_.causal && j + count - 1 > first_;
    if (a_.dropout > 0) {
      masked ? gradients<true, true>(begin, j, count) : gradients<true, false>(begin, j, count);
    } else {
      masked ? gradients<false, true>(begin, j, count) : gradients<false, false>(begin, j, count);
    }
  }

  // The same from the scores and products of those keys. kMasked: some query does not see some key.
  template <bool kDropout, bool kMasked>
  void gradients(int64_t begin, int64_t j, int64_t count) {
    constexpr int kPer = Op::kPerWord;
    constexpr int kStride = kBlock / kPer;
    const Vec scale = Vec::set1(a_.scale * Op::kPerUnit), inverse_keep = Vec::set1(inverse_keep_);
    const float* log_sum_exp = scratch_ + layout_.log_sum_exp;
    const float* mean = scratch_ + layout_.mean;
    const auto* kept = static_cast<const uint64_t*>(static_cast<void*>(scratch_ + layout_.kept));
    for (int64_t r = 0; r < count; r += kPer) {
      const int64_t key = j + r, at = (key - begin) * kStride;
      const float* scores = scratch_ + layout_.scores + r * kBlock;
      const float* products = scratch_ + layout_.products + r * kBlock;
      const float* bias = scratch_ + layout_.bias + (keys_ - 1) + first_ - key;
      // By query - first key of the tile: rows have buffers of their own, so that none reads what
      // its neighbour has just written.
      float* diagonals = buckets_ > 0 ? scratch_ + layout_.diagonals + r * layout_.diagonal +
                                            (keys_ - 1) + first_ - j
                                      : nullptr;
      float* p_rows = scratch_ + layout_.p + at;
      float* ds_rows = scratch_ + layout_.ds + at;
      float* steps = scratch_ + layout_.ds_steps + at;
      const int64_t first = kMasked ? first_lane(j) / (kPer * W) * (kPer * W) : 0;
      for (int64_t l = 0; l < first; l += W) Vec::zero().store(steps + l);
      for (int64_t l = first; l < lanes_; l += kPer * W) {
        Vec p[kPer][kPer], ds[kPer][kPer];  // a row, a vector of it
#pragma GCC unroll 2
        for (int i = 0; i < kPer; i++) {
          if (r + i == count) {
            for (int v = 0; v < kPer; v++) p[i][v] = ds[i][v] = Vec::zero();
            break;
          }
#pragma GCC unroll 2
          for (int v = 0; v < kPer; v++) {
            const int64_t lane = l + v * W;
            const Vec shift = Vec::load(bias - i + lane) - Vec::load(log_sum_exp + lane);
            Vec weight = Op::power(fma(Vec::load(scores + i * kBlock + lane), scale, shift));
            Vec product = Vec::load(products + i * kBlock + lane), rest = weight;
            if constexpr (kDropout) {
              const uint64_t bits = kept[key + i - begin] >> lane;
              product = keep_lanes(product * inverse_keep, bits);
              rest = keep_lanes(rest, bits);
            }
            Vec gradient = weight * (product - Vec::load(mean + lane));
            if constexpr (kMasked) {
              const int64_t hidden = max(key + i - (first_ + lane), 0);
              const uint64_t bits = hidden < W ? ~uint64_t{0} << hidden : 0;
              rest = keep_lanes(rest, bits);
              gradient = keep_lanes(gradient, bits);
            }
            if (diagonals != nullptr) {
              float* diagonal = diagonals + i * layout_.diagonal + lane;
              (Vec::load(diagonal) + gradient).store(diagonal);
            }
            p[i][v] = rest;
            ds[i][v] = gradient;
          }
        }
        if constexpr (kPer == 1) {
          p[0][0].store(p_rows + l);
          ds[0][0].store(ds_rows + l);
        } else {
          Vec words[kPer];
#pragma GCC unroll 2
          for (int i = 0; i < kPer; i++) {
            Op::join(p[i][0], p[i][1]).store(p_rows + i * kStride + l / kPer);
            words[i] = Op::join(ds[i][0], ds[i][1]);
            words[i].store(ds_rows + i * kStride + l / kPer);
          }
#pragma GCC unroll 2
          for (int half = 0; half < kPer; half++) {
            Op::interleave(words[0], words[1], half).store(steps + l + half * W);
          }
        }
      }
    }
  }

  // dv and dk of the keys [j, j + count).
  void add_key_gradients(int64_t begin, int64_t j, int64_t count, int64_t queries) {
    constexpr int kPer = Op::kPerWord;
    const int64_t from = first_lane(j) / kPer, steps = (queries + kPer - 1) / kPer - from;
    const int64_t at = (j - begin) * (kBlock / kPer) + from;
    const int64_t vecs = layout_.width / W;
    product<Op>(count, vecs, scratch_ + layout_.p + at, kBlock / kPer,
                scratch_ + layout_.dout_steps + from * layout_.width, layout_.width, steps, true,
                scratch_ + layout_.dv + j * layout_.width, layout_.width);
    product<Op>(count, vecs, scratch_ + layout_.ds + at, kBlock / kPer,
                scratch_ + layout_.query_steps + from * layout_.width, layout_.width, steps, true,
                scratch_ + layout_.dk + j * layout_.width, layout_.width);
  }

  // dq' from the keys [begin, end).
  void add_query_gradients(int64_t begin, int64_t end) {
    constexpr int kPer = Op::kPerWord;
    // On the diagonal half a tile at a time sees fewer keys.
    const int64_t size = a_.causal && end > first_ + 1 ? max(kTile / 2, W) : kTile;
    for (int64_t lane = 0; lane < lanes_; lane += size) {
      const int64_t vecs = min(size, lanes_ - lane) / W;
      const int64_t last = a_.causal ? min(end, first_ + lane + size) : end;
      for (int64_t d = 0; d < head_dim_; d += kRows) {
        product<Op>(min(kRows, head_dim_ - d), vecs,
                    scratch_ + layout_.key_columns + d * layout_.key_words + begin / kPer,
                    layout_.key_words, scratch_ + layout_.ds_steps + lane, kBlock,
                    (last - begin + kPer - 1) / kPer, begin > 0,
                    scratch_ + layout_.dq + d * kBlock + lane, kBlock);
      }
    }
  }

  void store_query_gradients(int64_t row0, int64_t column, int64_t count) {
    float* rows = scratch_ + layout_.dq_rows;
    for (int64_t i = 0; i < count; i += W) {
      for (int64_t d = 0; d < head_dim_; d += W) {
        Vec m[W];
        for (int k = 0; k < W; k++) m[k] = Vec::load(scratch_ + layout_.dq + (d + k) * kBlock + i);
        transpose(m);
        for (int k = 0; k < W; k++) m[k].store(rows + k * layout_.width + d);
      }
      store_rows(b_.dq, row0 + i, column, min(W, count - i), head_dim_, rows, layout_.width,
                 a_.scale);
    }
  }

  // Adds the sums along diagonals to those of their buckets.
  void sum_diagonals(double* sums) {
    float* total = scratch_ + layout_.diagonals;
    const int64_t count = queries_ + keys_ - 1;
    for (int r = 1; r < kDiagonals; r++) {
      const float* part = total + r * layout_.diagonal + r;
      for (int64_t i = 0; i < count; i++) total[i] += part[i];
    }
    for (int64_t i = 0; i < count; i++) {
      const int64_t distance = i - (keys_ - 1);  // query - key position
      const int32_t bucket = distance >= 0 ? bias_.past[min(distance, bias_.limit)]
                                           : bias_.future[min(-distance, bias_.limit)];
      sums[bucket] += static_cast<double>(total[i]);
    }
  }

  const precis_attention_backward_args& b_;
  const precis_attention_args& a_;
  const RelativeBias& bias_;
  const Layout& layout_;
  float* const scratch_;
  double* const sums_;
  const int64_t head_dim_;
  const int64_t buckets_;
  const float inverse_keep_;
  // The current sequence, head and block; queries and keys count from the start of the sequence.
  int64_t queries_ = 0, keys_ = 0, first_query_ = 0, first_key_ = 0, head_ = 0, first_ = 0;
  int64_t next_head_ = 0;
  int32_t next_sequence_ = 0;
  Prefetch prefetch_;
  int64_t lanes_ = 0;  // queries of the block, rounded up to vectors of their words
};

template <class Op>
void run(CpuContext& context, const precis_attention_backward_args& b) {
  const precis_attention_args& a = b.forward;
  int64_t queries = 0, keys = 0;
  for (int32_t s = 0; s < a.sequences; s++) {
    queries = max(queries, a.query_offsets[s + 1] - a.query_offsets[s]);
    keys = max(keys, a.key_offsets[s + 1] - a.key_offsets[s]);
  }
  const bool dbias = b.dbias.data != nullptr;
  const Layout layout(queries, keys, columns(a.q) / a.heads, Op::kPerWord, dbias);
  const int64_t longest = max(queries, keys);
  const int64_t bias_words =
      a.bias.data != nullptr ? round_up(relative_bias_words(a.max_distance, longest), 16) : 0;
  const int64_t sums = dbias ? kRuns * a.heads * b.dbias.dims[0] : 0;
  auto* scratch = static_cast<float*>(
      context.scratch.reserve(static_cast<size_t>(round_up(2 * sums, 16) + bias_words +
                                                  layout.total * context.pool.threads()) *
                              sizeof(float)));
  auto* run_sums = static_cast<double*>(static_cast<void*>(scratch));
  scratch += round_up(2 * sums, 16);
  const RelativeBias bias = relative_bias(a.bias, a.max_distance, a.bidirectional != 0, longest,
                                          static_cast<int32_t*>(static_cast<void*>(scratch)));
  parallel(context.pool, [&](int thread, int threads) {
    Backward<Op>(b, bias, layout, scratch + bias_words + layout.total * thread, run_sums)
        .run(thread, threads);
  });
  if (!dbias) return;
  const int64_t runs = min(a.sequences, kRuns), buckets = b.dbias.dims[0];
  for (int64_t bucket = 0; bucket < buckets; bucket++) {
    for (int64_t h = 0; h < a.heads; h++) {
      double sum = 0;
      for (int64_t r = 0; r < runs; r++) sum += run_sums[(r * a.heads + h) * buckets + bucket];
      row<float>(b.dbias, bucket)[h] += static_cast<float>(sum);
    }
  }
}

}  // namespace

void attention_backward_cpu(CpuContext& context, const precis_attention_backward_args& b) {
  b.forward.q.dtype == PRECIS_BFLOAT16 ? run<Bf16Words>(context, b) : run<Singles>(context, b);
}

}  // namespace PRECIS_ISA
}  // namespace precis
