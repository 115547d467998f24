// Tests the CUDA backend behind the C boundary, on a GPU or emulated: arguments that a context refuses,
// its memory, CUDA graphs, and the messages for problems that kernels note.

#include <cstdlib>
#include <memory>
#include <thread>

#include "piece.h"
#include "random/portable_math.h"

using namespace precis;

namespace {

constexpr int kSkipped = 77;

void test_memory(precis_context* c) {
  Piece x(c, PRECIS_FLOAT32, 3, 40, false), y(c, PRECIS_FLOAT32, 3, 40, true);
  EXPECT(x.get<float>() == std::vector<float>(120));
  std::vector<float> numbers(120);
  for (int i = 0; i < 120; i++) {
    EXPECT(y.data<float>()[i] == 0);
    numbers[i] = static_cast<float>(i);
    y.data<float>()[i] = 1;
  }
  x.set(numbers);
  precis_add_args add = {x, y, 2, 0};
  EXPECT_OK(c, precis_add(c, &add));
  EXPECT_OK(c, precis_synchronize(c));
  bool right = true;
  for (int i = 0; i < 120; i++) right &= y.data<float>()[i] == 1 + 2 * static_cast<float>(i);
  EXPECT(right);

  precis_zero_args zero = {y};
  zero.y.dims[1] = 30;
  zero.y.row_stride = 40;
  EXPECT_OK(c, precis_zero(c, &zero));
  EXPECT_OK(c, precis_synchronize(c));
  EXPECT(y.data<float>()[29] == 0 && y.data<float>()[30] == 61 && y.data<float>()[80] == 0);

  // Memory of another owner, or beyond the end of the context's memory.
  std::vector<float> plain(120);
  add.x.data = plain.data();
  EXPECT_REFUSED(c, precis_add(c, &add), "add: x");
  EXPECT_REFUSED(c, precis_add(c, &add), "is not memory of this context");
  add.x = x;
  add.x.data = x.data<float>() + 1;
  EXPECT_REFUSED(c, precis_add(c, &add), "is not memory of this context");
  double result = 0;
  precis_sum_of_squares_args sum = {x.vector(), &result};
  EXPECT_REFUSED(c, precis_sum_of_squares(c, &sum), "sum_of_squares: result");
  void* never = plain.data();
  EXPECT_REFUSED(c, precis_free(c, never, 480), "was not allocated on this context");
  EXPECT(precis_allocate(c, int64_t{1} << 50, &never) == PRECIS_OUT_OF_MEMORY);
  EXPECT_REFUSED(c, precis_allocate_shared(c, 0, &never), "0 bytes");

  Piece value(c, PRECIS_FLOAT32, 1, 2, true);
  sum.result = value.data<double>();
  EXPECT_OK(c, precis_sum_of_squares(c, &sum));
  EXPECT_OK(c, precis_synchronize(c));
  EXPECT(*sum.result == 119.0 * 120 * 239 / 6);
}

// Copies of every size, in both directions, keep the order of the stream.
void test_copies(precis_context* c) {
  constexpr int64_t kMost = (int64_t{9} << 20) / 4 + 5;  // more than both pinned buffers
  Random random(11);
  std::vector<float> numbers(kMost);
  for (float& each : numbers) each = random.normal();
  Piece x(c, PRECIS_FLOAT32, kMost, 1, false), y(c, PRECIS_FLOAT32, kMost, 1, false);
  Piece z(c, PRECIS_FLOAT32, kMost, 1, true);
  for (int64_t count : {int64_t{1}, int64_t{3}, int64_t{1000}, (int64_t{1} << 20) + 1, kMost}) {
    x.set(std::vector<float>(kMost, 1));
    std::vector<float> some(numbers.begin(), numbers.begin() + count);
    EXPECT_OK(c, precis_upload(c, x.data<float>() + kMost - count, some.data(), count * 4));
    std::fill(some.begin(), some.end(), 0.0f);  // the call has taken what it copies
    precis_convert_args convert = {x.vector(), y.vector()};
    EXPECT_OK(c, precis_convert(c, &convert));
    // Before the conversion has run, perhaps; not before it is given.
    x.set(std::vector<float>(kMost, 2));
    EXPECT_OK(c, precis_download(c, some.data(), y.data<float>() + kMost - count, count * 4));
    EXPECT(std::memcmp(some.data(), numbers.data(), static_cast<size_t>(count) * 4) == 0,
           "%lld numbers", static_cast<long long>(count));
    EXPECT_OK(c, precis_upload(c, z.data<float>(), numbers.data(), count * 4));
    EXPECT_OK(c, precis_download(c, some.data(), z.data<float>(), count * 4));
    EXPECT(std::memcmp(some.data(), numbers.data(), static_cast<size_t>(count) * 4) == 0);
  }
  // Many small ones, one behind the other.
  for (int64_t i = 0; i < 3000; i++) {
    EXPECT_OK(c, precis_upload(c, x.data<float>() + i, &numbers[i], 4));
  }
  const std::vector<float> got = x.get<float>();
  EXPECT(std::memcmp(got.data(), numbers.data(), 3000 * 4) == 0 && got[3000] == 2);

  float here = 0;
  EXPECT_OK(c, precis_upload(c, x.data<float>(), &here, 0));
  EXPECT_REFUSED(c, precis_upload(c, x.data<float>(), nullptr, 4), "upload: from is NULL");
  EXPECT_REFUSED(c, precis_upload(c, x.data<float>(), &here, -4), "upload: -4 bytes");
  EXPECT_REFUSED(c, precis_upload(c, &here, &here, 4), "upload: to");
  EXPECT_REFUSED(c, precis_upload(c, x.data<float>() + kMost - 1, &here, 8), "upload: to");
  EXPECT_REFUSED(c, precis_upload(c, x.data<float>(), y.data<float>(), 4), "memory of the GPU");
  EXPECT_REFUSED(c, precis_download(c, &here, &here, 4), "download: from");
  EXPECT_REFUSED(c, precis_download(c, y.data<float>(), x.data<float>(), 4), "memory of the GPU");
  EXPECT_OK(c, precis_record_begin(c));
  EXPECT_REFUSED(c, precis_upload(c, x.data<float>(), &here, 4), "while operations are recorded");
  EXPECT_REFUSED(c, precis_download(c, &here, x.data<float>(), 4), "while operations are recorded");
  EXPECT_OK(c, precis_record_end(c, nullptr));
}

// Small pieces share blocks of memory: they do not overlap, are zero when they are given out again,
// and a block whose pieces are all freed is given back.
void test_pieces(precis_context* c) {
  precis_context_info before, after;
  EXPECT_OK(c, precis_context_describe(c, &before));
  for (int turn = 0; turn < 3; turn++) {
    std::vector<std::unique_ptr<Piece>> pieces;
    for (int64_t i = 0; i < 40; i++) {
      const int64_t count = i % 7 == 0 ? int64_t{1} << 20 : 1 + 37 * i;
      pieces.push_back(std::make_unique<Piece>(c, PRECIS_FLOAT32, count, 1, false));
      const std::vector<float> got = pieces.back()->get<float>();
      EXPECT(got == std::vector<float>(got.size()) &&
             reinterpret_cast<uintptr_t>(pieces.back()->data<float>()) % 256 == 0);
      pieces.back()->set(std::vector<float>(got.size(), static_cast<float>(i + 1)));
      if (i % 3 == 1) pieces[static_cast<size_t>(i) - 1].reset();
    }
    for (int64_t i = 0; i < 40; i++) {
      if (pieces[static_cast<size_t>(i)] == nullptr) continue;
      const std::vector<float> got = pieces[static_cast<size_t>(i)]->get<float>();
      EXPECT(got == std::vector<float>(got.size(), static_cast<float>(i + 1)));
    }
  }
  EXPECT_OK(c, precis_context_describe(c, &after));
  EXPECT(after.free_bytes == before.free_bytes, "%lld bytes are gone",
         static_cast<long long>(before.free_bytes - after.free_bytes));
}

// The sources of a packed weight may be in any memory, with the same result.
void test_pack(precis_context* c) {
  constexpr int64_t kOutputs = 700, kInputs = 3001;  // larger than the staging buffers
  Random random(5);
  std::vector<float> w(kOutputs * kInputs);
  for (float& each : w) each = random.normal();
  Piece near(c, PRECIS_FLOAT32, kOutputs, kInputs, false);
  near.set(w);
  precis_matmul_pack_args pack = {};
  pack.weight_count = 2;
  pack.dtype = PRECIS_BFLOAT16;
  pack.weights[0] = near;
  pack.weights[0].dims[0] = 300;
  pack.weights[1] = near;
  pack.weights[1].dims[0] = kOutputs - 300;
  pack.weights[1].data = near.data<float>() + 300 * kInputs;
  EXPECT_OK(c, precis_matmul_pack_size(c, &pack, &pack.packed_bytes));
  const auto bytes = static_cast<size_t>(pack.packed_bytes);
  EXPECT(bytes == 704 * 3008 * 2);
  Piece one(c, PRECIS_FLOAT32, pack.packed_bytes / 4, 1, false);
  Piece other(c, PRECIS_FLOAT32, pack.packed_bytes / 4, 1, false);
  pack.packed = one.data<void>();
  EXPECT_OK(c, precis_matmul_pack(c, &pack));
  pack.packed = other.data<void>();
  pack.weights[0].data = w.data();
  pack.weights[1].data = w.data() + 300 * kInputs;
  EXPECT_OK(c, precis_matmul_pack(c, &pack));
  EXPECT_OK(c, precis_synchronize(c));
  EXPECT(one.get<char>() == other.get<char>());

  pack.packed = w.data();
  pack.packed_bytes = 1 << 30;
  EXPECT(precis_matmul_pack(c, &pack) == PRECIS_INVALID_ARGUMENT);
  pack.dtype = PRECIS_INT8;
  int64_t size = 0, twice = 0;
  EXPECT_OK(c, precis_matmul_pack_size(c, &pack, &size));
  pack.dtype = PRECIS_BFLOAT16;
  EXPECT_OK(c, precis_matmul_pack_size(c, &pack, &twice));
  EXPECT(size > twice / 2 && size < twice, "the scales are behind the rows");
  pack.dtype = PRECIS_INT4;
  EXPECT(precis_matmul_pack_size(c, &pack, &size) == PRECIS_UNSUPPORTED);
  EXPECT(std::strstr(precis_last_error(c), "take int8 weights on a GPU") != nullptr);

  precis_transpose_packed_args transpose = {};
  transpose.w = {one.data<void>(), static_cast<int64_t>(bytes), 64, 64, PRECIS_INT8, 0};
  transpose.out = {other.data<void>(), static_cast<int64_t>(bytes), 64, 64, PRECIS_BFLOAT16, 0};
  EXPECT(precis_transpose_packed(c, &transpose) == PRECIS_UNSUPPORTED);
  EXPECT(std::strstr(precis_last_error(c), "transposed on the CPU alone") != nullptr);
}

// Bad ids in shared memory are refused at once, bad ids in device memory at the next synchronization.
void test_problems(precis_context* c) {
  Piece table(c, PRECIS_FLOAT32, 10, 8, false), y(c, PRECIS_FLOAT32, 4, 8, false);
  Piece shared(c, PRECIS_INT32, 4, 1, true), far(c, PRECIS_INT32, 4, 1, false);
  const std::vector<int32_t> bad = {0, 1, 10, 3};
  std::copy(bad.begin(), bad.end(), shared.data<int32_t>());
  far.set(bad);
  precis_embedding_args args = {table, shared.vector(), y, {}};
  EXPECT_REFUSED(c, precis_embedding(c, &args), "ids[2] is 10");
  args.ids = far.vector();
  EXPECT_OK(c, precis_embedding(c, &args));
  EXPECT_REFUSED(c, precis_synchronize(c), "embedding: number 2 of the ids");
  EXPECT_OK(c, precis_synchronize(c));  // a problem is reported once

  // Arrays that are checked before anything runs.
  Piece q(c, PRECIS_FLOAT32, 4, 8, false), out(c, PRECIS_FLOAT32, 4, 8, false);
  precis_attention_args attention = {};
  attention.q = attention.k = attention.v = q;
  attention.out = out;
  attention.heads = 2;
  attention.scale = 1;
  attention.sequences = 1;
  attention.query_offsets = attention.key_offsets = far.data<int32_t>();
  EXPECT_REFUSED(c, precis_attention(c, &attention), "query_offsets lies in device memory");
  const int32_t plain[] = {0, 4};
  attention.query_offsets = plain;
  EXPECT_REFUSED(c, precis_attention(c, &attention), "query_offsets");
  shared.data<int32_t>()[0] = 0;
  shared.data<int32_t>()[1] = 4;
  attention.query_offsets = attention.key_offsets = shared.data<int32_t>();
  EXPECT_OK(c, precis_attention(c, &attention));
  EXPECT_OK(c, precis_synchronize(c));
}

// The state of a decoding step may lie in device memory, where the kernels check it and advance it:
// a captured step is replayed without a look by the host.
void test_decoding_on_device(precis_context* c) {
  constexpr int64_t kRows = 2, kVocabulary = 40, kStride = 6;
  Piece logits(c, PRECIS_FLOAT32, kRows, kVocabulary, false);
  Piece ids(c, PRECIS_INT32, kRows, 1, false), lengths(c, PRECIS_INT32, kRows, 1, false);
  Piece history(c, PRECIS_INT32, kRows, kStride, false), tokens(c, PRECIS_INT32, kRows, 1, false);
  Piece streams(c, PRECIS_INT32, kRows, 2, false), offsets(c, PRECIS_INT32, kRows, 2, false);
  Piece rules(c, PRECIS_INT32, kRows, sizeof(precis_row_rules) / 4, false);
  Piece sampling(c, PRECIS_INT32, kRows, sizeof(precis_row_sampling) / 4, false);
  std::vector<float> scores(kRows * kVocabulary);
  for (int64_t r = 0; r < kRows; r++) {
    for (int64_t i = 0; i < 6; i++)
      scores[r * kVocabulary + 7 * r + i] = 20 - static_cast<float>(i);
  }
  logits.set(scores);
  lengths.set(std::vector<int32_t>{1, 2});
  history.set(std::vector<int32_t>{30, 0, 0, 0, 0, 0, 30, 31, 0, 0, 0, 0});
  streams.set(std::vector<uint64_t>{5, 6});
  offsets.set(std::vector<uint64_t>{0, 1});
  rules.set(std::vector<precis_row_rules>(kRows, {1, 1, 0, 0}));  // no token twice
  sampling.set(std::vector<precis_row_sampling>(kRows, {1, 1, 0, 1, 1}));
  precis_sample_args args = {};
  args.logits = logits;
  args.rules.history = args.next_history = history.data<int32_t>();
  args.rules.history_lengths = args.next_lengths = lengths.data<int32_t>();
  args.rules.history_stride = kStride;
  args.rules.row_rules = rules.data<precis_row_rules>();
  args.row_sampling = sampling.data<precis_row_sampling>();
  args.streams = streams.data<uint64_t>();
  args.offsets = args.next_offsets = offsets.data<uint64_t>();
  args.tokens = tokens.data<int32_t>();
  args.next_ids = ids.data<int32_t>();
  EXPECT_OK(c, precis_sample(c, &args));
  EXPECT_OK(c, precis_synchronize(c));
  precis_recording* recording = nullptr;
  EXPECT_OK(c, precis_record_begin(c));
  EXPECT_OK(c, precis_sample(c, &args));
  EXPECT_OK(c, precis_record_end(c, &recording));
  int32_t replayed = 0;
  for (int step = 0; step < 3; step++) {
    EXPECT_OK(c, precis_replay(c, recording, &replayed));
    EXPECT(replayed == 1);
  }
  EXPECT(ids.get<int32_t>() == (std::vector<int32_t>{3, 10}));
  EXPECT(history.get<int32_t>() == (std::vector<int32_t>{30, 0, 1, 2, 3, 0, 30, 31, 7, 8, 9, 10}));
  EXPECT(lengths.get<int32_t>() == (std::vector<int32_t>{5, 6}));
  EXPECT(offsets.get<uint64_t>() == (std::vector<uint64_t>{4, 5}));
  // The second row's history is full.
  EXPECT_OK(c, precis_replay(c, recording, &replayed));
  EXPECT_REFUSED(c, precis_synchronize(c), "sample: history_lengths[1] is beyond history_stride");
  EXPECT_OK(c, precis_recording_destroy(c, recording));
  lengths.set(std::vector<int32_t>{1, 1});
  sampling.set(std::vector<precis_row_sampling>{{1, 1, 0, 1, 0}, {1, 0, 0, 1, 0}});
  EXPECT_OK(c, precis_sample(c, &args));
  EXPECT_REFUSED(c, precis_synchronize(c), "sample: row_rules or row_sampling has a bad value");
  sampling.set(std::vector<precis_row_sampling>(kRows, {1, 1, 0, 1, 0}));
  offsets.set(std::vector<uint64_t>{0, uint64_t{1} << 40});
  EXPECT_OK(c, precis_sample(c, &args));
  EXPECT_REFUSED(c, precis_synchronize(c), "sample: offsets[1] is not below 2^32");
  // Pointers are checked at once.
  args.next_lengths = nullptr;
  EXPECT_REFUSED(c, precis_sample(c, &args), "next_lengths is NULL");
  args.next_lengths = lengths.data<int32_t>();
  args.streams = nullptr;
  EXPECT_REFUSED(c, precis_sample(c, &args), "streams is NULL");
  args.streams = streams.data<uint64_t>();
  args.rules.history = nullptr;
  EXPECT_REFUSED(c, precis_sample(c, &args), "history is NULL");

  Piece q(c, PRECIS_FLOAT32, kRows, 8, false), out(c, PRECIS_FLOAT32, kRows, 8, false);
  Piece keys(c, PRECIS_FLOAT32, 20, 8, false), values(c, PRECIS_FLOAT32, 20, 8, false);
  Piece starts(c, PRECIS_INT32, kRows, 1, false);
  starts.set(std::vector<int32_t>{0, 10});
  lengths.set(std::vector<int32_t>{10, 10});
  precis_attention_decode_args attention = {};
  attention.q = q;
  attention.k_cache = keys;
  attention.v_cache = values;
  attention.out = out;
  attention.key_starts = starts.data<int32_t>();
  attention.lengths = lengths.data<int32_t>();
  attention.heads = 2;
  attention.scale = 1;
  EXPECT_OK(c, precis_attention_decode(c, &attention));
  EXPECT_OK(c, precis_synchronize(c));
  starts.set(std::vector<int32_t>{0, 11});
  EXPECT_OK(c, precis_attention_decode(c, &attention));
  EXPECT_REFUSED(c, precis_synchronize(c), "attention_decode: lengths and key_starts or ancestors");
  int32_t plain[] = {0, 10};
  attention.key_starts = plain;
  EXPECT_REFUSED(c, precis_attention_decode(c, &attention), "key_starts");
}

// A captured CUDA graph does nothing until it is replayed, and then reads the memory's current contents.
void test_recording(precis_context* c) {
  constexpr int64_t kRows = 5, kWidth = 40;
  Piece table(c, PRECIS_FLOAT32, 10, kWidth, false), x(c, PRECIS_FLOAT32, kRows, kWidth, false);
  Piece y(c, PRECIS_FLOAT32, kRows, kWidth, true), ids(c, PRECIS_INT32, kRows, 1, true);
  Random random(3);
  std::vector<float> rows(10 * kWidth);
  for (float& each : rows) each = random.normal();
  table.set(rows);
  precis_embedding_args embedding = {table, ids.vector(), x, {}};
  precis_add_args add = {x, y, 2, 0};
  auto step = [&] {
    EXPECT_OK(c, precis_embedding(c, &embedding));
    EXPECT_OK(c, precis_add(c, &add));
  };
  std::vector<float> want(kRows * kWidth);
  auto change = [&](int turn) {
    for (int64_t r = 0; r < kRows; r++) {
      const auto id = static_cast<int32_t>((r * 3 + turn) % 10);
      ids.data<int32_t>()[r] = id;
      for (int64_t i = 0; i < kWidth; i++) {
        want[r * kWidth + i] += 2 * rows[id * kWidth + i];
      }
    }
  };
  auto same = [&] {
    EXPECT_OK(c, precis_synchronize(c));
    return std::memcmp(y.data<float>(), want.data(), want.size() * 4) == 0;
  };
  change(0);
  step();
  EXPECT(same());

  EXPECT_OK(c, precis_record_begin(c));
  step();
  precis_recording* recording = nullptr;
  EXPECT_OK(c, precis_record_end(c, &recording));
  EXPECT(recording != nullptr && same(), "recorded operations ran");
  precis_context_info before, after;
  EXPECT_OK(c, precis_context_describe(c, &before));
  for (int turn = 1; turn < 4; turn++) {
    change(turn);
    int32_t replayed = 0;
    EXPECT_OK(c, precis_replay(c, recording, &replayed));
    EXPECT(replayed == 1 && same(), "turn %d", turn);
  }
  EXPECT_OK(c, precis_context_describe(c, &after));
  EXPECT(after.replays - before.replays == 3);
  EXPECT(after.launches - before.launches == 3 * (2 + 1),
         "each replay launches both operations, and each wait copies the word of problems");

  // A problem is reported after a replay, too.
  ids.data<int32_t>()[3] = 77;
  int32_t replayed = 0;
  EXPECT_OK(c, precis_replay(c, recording, &replayed));
  EXPECT_REFUSED(c, precis_synchronize(c), "embedding: number 3 of the ids");

  // The graph may use memory that has been freed.
  { Piece other(c, PRECIS_FLOAT32, 1, 1, false); }
  replayed = 7;
  EXPECT_OK(c, precis_replay(c, recording, &replayed));
  EXPECT(replayed == 0);
  EXPECT_OK(c, precis_recording_destroy(c, recording));
  EXPECT_OK(c, precis_recording_destroy(c, nullptr));
}

// Operations of a decoding step, which one kernel computes with its neighbors: bitwise what they give
// one by one, in fewer launches.
class HeldOps {
 public:
  // keys: rows of the cache. With more than usual, the first row has almost all of them.
  HeldOps(precis_context* c, int64_t m, int64_t width, Random& random, int64_t keys = kKeys)
      : c_(c),
        m_(m),
        stream_(c, PRECIS_FLOAT32, m, width, false),
        weight_(c, PRECIS_FLOAT32, width, 1, false),
        gradient_(c, PRECIS_FLOAT32, m, width, false),
        normed_(c, PRECIS_BFLOAT16, m, width, false),
        sum_(c, PRECIS_FLOAT32, m, kInner, false),
        base_(c, PRECIS_FLOAT32, m, kInner, false),
        values_(c, PRECIS_BFLOAT16, m, 2 * kInner, false),
        wide_(c, PRECIS_BFLOAT16, m, 2 * kInner, false),
        narrow_(c, PRECIS_BFLOAT16, m, 2 * kInner, false),
        query_(c, PRECIS_BFLOAT16, m, kInner, false),
        mixed_(c, PRECIS_BFLOAT16, m, kInner, false),
        cache_(c, PRECIS_BFLOAT16, keys, 2 * kInner, false),
        starts_(c, PRECIS_INT32, m, 1, false),
        lengths_(c, PRECIS_INT32, m, 1, false),
        names_(c, PRECIS_INT32, m, 2, false),
        in_(c, PRECIS_FLOAT32, 2 * kInner * width, 1, false),
        a_(c, PRECIS_FLOAT32, kRanks * width, 1, false),
        b_(c, PRECIS_FLOAT32, 2 * kInner * kRanks, 1, false),
        many_a_(c, PRECIS_FLOAT32, kManyRanks * width, 1, false),
        many_b_(c, PRECIS_FLOAT32, 2 * kInner * kManyRanks, 1, false) {
    pack(in_, 2 * kInner, width, random, &w_in_);
    pack(in_, width, 2 * kInner, random, &w_turned_);
    transpose_weights(w_in_, w_turned_);
    pack(a_, kRanks, width, random, &w_a_);
    pack(b_, 2 * kInner, kRanks, random, &w_b_);
    pack(many_a_, kManyRanks, width, random, &w_many_a_);
    pack(many_b_, 2 * kInner, kManyRanks, random, &w_many_b_);
    stream_.set(normal(m * width, random));
    weight_.set(normal(width, random));
    base_.set(normal(m * kInner, random));
    std::vector<uint16_t> values(2 * m * 2 * kInner);  // Piece has four bytes an element
    for (uint16_t& each : values) each = float_to_bf16(random.normal());
    values_.set(values);
    std::vector<uint16_t> cache(2 * keys * 2 * kInner);
    for (uint16_t& each : cache) each = float_to_bf16(random.normal());
    cache_.set(cache);
    std::vector<int32_t> starts(m), lengths(m);
    for (int64_t r = 0; r < m; r++) {
      starts[r] = static_cast<int32_t>(r % 20);
      lengths[r] = static_cast<int32_t>(keys > kKeys ? keys - 20 - 100 * r : 1 + r % (keys - 20));
    }
    starts_.set(starts);
    lengths_.set(lengths);
    std::vector<int64_t> names(m);
    for (int64_t& each : names) each = static_cast<int64_t>(random.next());
    names_.set(names);
  }

  // Runs a chain of operations one by one and together, and expects so many launches.
  template <class Chain>
  void check(const char* what, int64_t launches, const Chain& chain) {
    const std::vector<std::vector<char>> want = results(chain, true, nullptr);
    int64_t taken = 0;
    EXPECT(results(chain, false, &taken) == want, "%s of %lld rows has other bits", what,
           static_cast<long long>(m_));
    EXPECT(taken == launches, "%s of %lld rows: %lld launches", what, static_cast<long long>(m_),
           static_cast<long long>(taken));
    // The same in a graph.
    clear();
    precis_recording* recording = nullptr;
    EXPECT_OK(c_, precis_record_begin(c_));
    chain([] {});
    EXPECT_OK(c_, precis_record_end(c_, &recording));
    int32_t replayed = 0;
    EXPECT_OK(c_, precis_replay(c_, recording, &replayed));
    EXPECT(replayed == 1 && contents() == want, "%s of %lld rows, replayed", what,
           static_cast<long long>(m_));
    EXPECT_OK(c_, precis_recording_destroy(c_, recording));
  }

  // Names of rows, or none, so that both are tested.
  precis_tensor dropout_rows() const {
    precis_tensor names = names_;
    names.dtype = PRECIS_INT64;
    names.dims[1] = 0;
    names.rank = 1;
    return m_ % 4 == 1 ? precis_tensor{} : names;
  }

  void norm() const {
    const precis_rms_norm_args args = {stream_, weight_.vector(), normed_, 1e-6f, 0};
    EXPECT_OK(c_, precis_rms_norm(c_, &args));
  }
  void clear_weights() const {
    const precis_zero_args args = {
        {const_cast<void*>(w_in_.data), {1, w_in_.bytes / 4, 0, 0}, 0, 2, PRECIS_FLOAT32}};
    EXPECT_OK(c_, precis_zero(c_, &args));
  }
  void restore_weights() const { transpose_weights(w_turned_, w_in_); }
  // The product's outputs may be fewer than the weight has.
  void product(const precis_tensor& y, bool accumulate = false) const {
    precis_matmul_args args = {normed_, w_in_, y, 1, accumulate, step, 0};
    args.w.outputs = y.dims[1];
    EXPECT_OK(c_, precis_matmul(c_, &args));
  }
  void adapted_product(float dropout = 0) const {
    precis_lora_matmul_args args = {};
    args.x = normed_;
    args.w = w_in_;
    args.a = w_a_;
    args.b = w_b_;
    args.y = wide_;
    args.alpha = 1;
    args.segment_count = 1;
    args.segments[0] = {8, 2 * kInner - 8, 0, kRanks, 0.5f, 0};
    args.dropout_of = dropout > 0 ? PRECIS_LORA_DROPOUT_X : PRECIS_LORA_DROPOUT_NONE;
    args.dropout = dropout;
    args.dropout_rows = dropout_rows();
    args.seed = 5;
    args.step = step;
    EXPECT_OK(c_, precis_lora_matmul(c_, &args));
  }
  // Adapters of more ranks than a kernel takes at once.
  void product_of_many_ranks(const precis_tensor& y, float dropout = 0) const {
    precis_lora_matmul_args args = {};
    args.x = normed_;
    args.w = w_in_;
    args.a = w_many_a_;
    args.b = w_many_b_;
    args.y = y;
    args.w.outputs = args.b.outputs = y.dims[1];
    args.alpha = 1;
    args.segment_count = 1;
    args.segments[0] = {8, y.dims[1] - 8, 0, kManyRanks, 0.5f, 0};
    args.dropout_of = dropout > 0 ? PRECIS_LORA_DROPOUT_X : PRECIS_LORA_DROPOUT_NONE;
    args.dropout = dropout;
    args.dropout_rows = dropout_rows();
    args.seed = 5;
    EXPECT_OK(c_, precis_lora_matmul(c_, &args));
  }
  void activation(bool gated, const precis_tensor& y) const {
    const precis_activation_args args = {wide_, y, gated ? PRECIS_GELU_TANH : PRECIS_RELU, gated};
    EXPECT_OK(c_, precis_activation(c_, &args));
  }
  void attention() const {
    precis_attention_decode_args args = {};
    args.q = query_;
    args.k_cache = args.v_cache = columns(cache_, 0, kInner);
    args.v_cache = columns(cache_, kInner, kInner);
    args.out = mixed_;
    args.key_starts = starts_.data<int32_t>();
    args.lengths = lengths_.data<int32_t>();
    args.heads = kHeads;
    args.scale = 1;
    EXPECT_OK(c_, precis_attention_decode(c_, &args));
  }
  void activate_values() const {
    const precis_activation_args args = {values_, gated(), PRECIS_GELU_TANH, 1};
    EXPECT_OK(c_, precis_activation(c_, &args));
  }
  // The gradient of that; dy is the queries.
  void activation_backward() const {
    const precis_activation_backward_args args = {values_, query_, narrow_, PRECIS_GELU_TANH, 1};
    EXPECT_OK(c_, precis_activation_backward(c_, &args));
  }
  void norm_backward() const {
    precis_rms_norm_backward_args args = {};
    args.x = stream_;
    args.weight = weight_.vector();
    args.dy = normed_;
    args.dx = gradient_;
    args.epsilon = 1e-6f;
    args.accumulate = 1;
    EXPECT_OK(c_, precis_rms_norm_backward(c_, &args));
  }
  void dropout(const precis_tensor& x, const precis_tensor& y, bool accumulate = false) const {
    const precis_dropout_args args = {x, y, 9, 2, 0.25f, accumulate, dropout_rows()};
    EXPECT_OK(c_, precis_dropout(c_, &args));
  }
  void copy_base() const {
    const precis_convert_args args = {base_, sum_};
    EXPECT_OK(c_, precis_convert(c_, &args));
  }
  precis_tensor sum() const { return sum_; }
  precis_tensor gradient() const { return gradient_; }
  // As wide as the stream.
  precis_tensor passing() const { return columns(narrow_, 0, precis_tensor(stream_).dims[1]); }
  precis_tensor wide() const { return wide_; }
  precis_tensor gated() const { return columns(narrow_, 0, kInner); }
  precis_tensor narrow() const { return narrow_; }
  precis_tensor query() const { return query_; }
  precis_tensor stream() const { return stream_; }

  int32_t step = 0;  // of the products

  static constexpr int64_t kHeads = 3, kInner = 72, kKeys = 90, kRanks = 5, kManyRanks = 140;

 private:
  static std::vector<float> normal(int64_t count, Random& random) {
    std::vector<float> values(static_cast<size_t>(count));
    for (float& each : values) each = random.normal();
    return values;
  }
  static precis_tensor columns(precis_tensor t, int64_t first, int64_t count) {
    t.row_stride = t.dims[1];
    t.data = static_cast<uint16_t*>(t.data) + first;
    t.dims[1] = count;
    return t;
  }
  // Packs a random weight into memory of its own.
  void pack(const Piece& source, int64_t outputs, int64_t inputs, Random& random,
            precis_packed_matrix* w) {
    source.set(normal(outputs * inputs, random));
    precis_matmul_pack_args args = {};
    args.weights[0] = source;
    args.weights[0].dims[0] = outputs;
    args.weights[0].dims[1] = inputs;
    args.weight_count = 1;
    args.dtype = PRECIS_BFLOAT16;
    EXPECT_OK(c_, precis_matmul_pack_size(c_, &args, &args.packed_bytes));
    packed_.push_back(std::make_unique<Piece>(c_, PRECIS_FLOAT32, args.packed_bytes / 4, 1, false));
    args.packed = packed_.back()->data<void>();
    EXPECT_OK(c_, precis_matmul_pack(c_, &args));
    *w = {args.packed, args.packed_bytes, outputs, inputs, PRECIS_BFLOAT16, 0};
  }

  void transpose_weights(const precis_packed_matrix& from, const precis_packed_matrix& to) const {
    const precis_transpose_packed_args args = {from, to};
    EXPECT_OK(c_, precis_transpose_packed(c_, &args));
  }

  void clear() const {
    stream_.set(saved_.empty() ? stream_.get<float>() : saved_);
    for (const Piece* each : {&normed_, &wide_, &narrow_, &query_, &mixed_, &sum_, &gradient_}) {
      each->set(std::vector<char>(each->get<char>().size(), 0x3f));
    }
  }
  std::vector<std::vector<char>> contents() const {
    std::vector<std::vector<char>> all;
    for (const Piece* each :
         {&stream_, &normed_, &wide_, &narrow_, &query_, &mixed_, &sum_, &gradient_}) {
      all.push_back(each->get<char>());
    }
    return all;
  }
  int64_t launches() const {
    precis_context_info info;
    EXPECT_OK(c_, precis_context_describe(c_, &info));
    return info.launches;
  }
  template <class Chain>
  std::vector<std::vector<char>> results(const Chain& chain, bool one_by_one, int64_t* taken) {
    if (saved_.empty()) saved_ = stream_.get<float>();
    clear();
    const int64_t before = launches();
    chain([&] {
      if (one_by_one) EXPECT_OK(c_, precis_synchronize(c_));
    });
    if (taken != nullptr) *taken = launches() - before;
    return contents();
  }

  precis_context* c_;
  int64_t m_;
  Piece stream_, weight_, gradient_, normed_, sum_, base_, values_, wide_, narrow_, query_, mixed_,
      cache_, starts_, lengths_, names_;
  Piece in_, a_, b_, many_a_, many_b_;
  std::vector<std::unique_ptr<Piece>> packed_;
  precis_packed_matrix w_in_, w_turned_, w_a_, w_b_, w_many_a_, w_many_b_;
  std::vector<float> saved_;
};

// Chains of operations for HeldOps::check, of whole sequences and of a step.
auto feed_forward(HeldOps& ops, bool gated) {
  return [&ops, gated](auto next) {
    ops.norm();
    next();
    ops.product(ops.wide());
    next();
    ops.activation(gated, gated ? ops.gated() : ops.narrow());
    next();
  };
}
auto activation_in_place(HeldOps& ops) {
  return [&ops](auto next) {
    ops.norm();
    next();
    ops.product(ops.wide());
    next();
    ops.activation(false, ops.wide());
    next();
  };
}
auto attention(HeldOps& ops) {
  return [&ops](auto next) {
    ops.norm();
    next();
    ops.product(ops.query());
    next();
    ops.attention();
    next();
  };
}
auto adapters(HeldOps& ops) {
  return [&ops](auto next) {
    ops.norm();
    next();
    ops.adapted_product();
    next();
  };
}
auto dropped_residual(HeldOps& ops) {
  return [&ops](auto next) {
    ops.product(ops.query());
    next();
    ops.copy_base();
    next();
    ops.dropout(ops.query(), ops.sum(), true);
    next();
  };
}
auto activation_gradient(HeldOps& ops, bool drops) {
  return [&ops, drops](auto next) {
    ops.product(ops.query());
    next();
    if (drops) ops.dropout(ops.query(), ops.query());
    next();
    ops.activation_backward();
    next();
  };
}

void test_held_ops(precis_context* c, int64_t m, int64_t width, bool wgmma, Random& random) {
  HeldOps ops(c, m, width, random);
  const bool few = m <= 128;
  // TMA can copy these rows.
  const bool tiles = wgmma && width % 8 == 0;
  for (bool gated : {true, false}) {
    ops.check("feed-forward", few ? 1 : gated && tiles ? 2 : 3, feed_forward(ops, gated));
  }
  ops.check("activation alone", few || tiles ? 1 : 2, [&](auto next) {
    ops.product(ops.wide());
    next();
    ops.activation(true, ops.gated());
    next();
  });
  ops.check("activation in place", few ? 2 : 3, activation_in_place(ops));
  ops.check("attention", few ? 2 : 3, attention(ops));
  ops.check("adapters", few ? 1 : 2, adapters(ops));
  // A product's other blocks cannot normalize meanwhile what one overwrites.
  precis_tensor onto = ops.stream();
  onto.row_stride = onto.dims[1];
  onto.dims[1] = 80;
  ops.check("onto the stream", 2, [&](auto next) {
    ops.norm();
    next();
    ops.product(onto, true);
    next();
  });
  ops.check("norm alone", 2, [&](auto next) {
    ops.norm();
    next();
    ops.norm();
    next();
  });
  ops.check("adapters with dropout", 2, [&](auto next) {
    ops.norm();
    next();
    ops.adapted_product(0.25f);
    next();
  });
  ops.check("activation with dropout", few || tiles ? 1 : 2, [&](auto next) {
    ops.product(ops.wide());
    next();
    ops.activation(true, ops.gated());
    next();
    ops.dropout(ops.gated(), ops.gated());
    next();
  });
  ops.check("activation with dropout, without its product", 1, [&](auto next) {
    ops.activate_values();
    next();
    ops.dropout(ops.gated(), ops.gated());
    next();
  });
  for (bool drops : {false, true}) {
    ops.check("gradient of an activation", 1, activation_gradient(ops, drops));
  }
  ops.check("gradient of an activation, without its product", 1, [&](auto next) {
    ops.dropout(ops.query(), ops.query());
    next();
    ops.activation_backward();
    next();
  });
  ops.check("gradient of a norm with dropout", 1, [&](auto next) {
    ops.norm_backward();
    next();
    ops.dropout(ops.gradient(), ops.passing());
    next();
  });
  ops.check("residual stream", 1, dropped_residual(ops));
  ops.check("residual stream in place", 1, [&](auto next) {
    ops.product(ops.query());
    next();
    ops.dropout(ops.query(), ops.sum(), true);
    next();
  });
  ops.check("residual stream, without its product", 1, [&](auto next) {
    ops.copy_base();
    next();
    ops.dropout(ops.query(), ops.sum(), true);
    next();
  });
  // Two kernels for the ranks beyond the first 128, and the product.
  for (float dropout : {0.0f, 0.25f}) {
    ops.check("many ranks", 4, [&](auto next) {
      ops.norm();
      next();
      ops.product_of_many_ranks(ops.wide(), dropout);
      next();
    });
  }
  ops.check("residual stream of many ranks", 3, [&](auto next) {
    ops.product_of_many_ranks(ops.query());
    next();
    ops.copy_base();
    next();
    ops.dropout(ops.query(), ops.sum(), true);
    next();
  });
  ops.check("gradient of an activation of many ranks", 3, [&](auto next) {
    ops.product_of_many_ranks(ops.query());
    next();
    ops.activation_backward();
    next();
  });
  ops.check("product between a copy and its dropout", 2, [&](auto next) {
    ops.copy_base();
    next();
    ops.product(ops.query());
    next();
    ops.dropout(ops.query(), ops.sum(), true);
    next();
  });
}

// The same in the products of a decoding step, of any number of rows.
void test_held_steps(precis_context* c, int64_t m, int64_t width, Random& random) {
  HeldOps ops(c, m, width, random);
  ops.step = 1;
  // With more rows, too many blocks would normalize a row.
  const bool normalizes = m <= 128;
  for (bool gated : {true, false}) {
    ops.check("feed-forward of a step", normalizes ? 1 : 2, feed_forward(ops, gated));
  }
  ops.check("activation of a step in place", normalizes ? 2 : 3, activation_in_place(ops));
  ops.check("attention of a step", 1, attention(ops));
  ops.check("adapters of a step", normalizes ? 1 : 2, adapters(ops));
  ops.check("residual stream of a step", 1, [&](auto next) {
    ops.copy_base();
    next();
    ops.product(ops.sum(), true);
    next();
  });
  ops.check("residual stream of a step with dropout", 1, dropped_residual(ops));
  ops.check("gradient of an activation after a step", 2, activation_gradient(ops, false));
  // The last product may not read its weights before they are there. Kernels of a graph that may
  // overlap do so in one of two replays.
  for (int time = 0; time < 2; time++) {
    ops.check("weights that are made between the products of a step", 4, [&](auto next) {
      ops.clear_weights();
      next();
      ops.product(ops.query());
      next();
      ops.restore_weights();
      next();
      ops.product(ops.query());
      next();
    });
  }
}

// With few rows and many keys, a cluster of blocks has a head of the attention.
void test_held_steps_of_long_sources() {
  setenv("PRECIS_EMULATION_MULTIPROCESSORS", "132", 1);
  precis_status status;
  std::string text;
  precis_context* c = create(0, &status, &text);
  unsetenv("PRECIS_EMULATION_MULTIPROCESSORS");
  EXPECT(c != nullptr, "%s", text.c_str());
  Random random(29);
  for (int64_t m : {1, 3}) {
    HeldOps ops(c, m, 104, random, 900);
    ops.step = 1;
    ops.check("attention of a step over a long source", 1, attention(ops));
  }
  precis_context_destroy(c);
}

void test_held_ops(precis_context* c) {
  precis_context_info info;
  EXPECT_OK(c, precis_context_describe(c, &info));
  const bool wgmma = std::strcmp(info.isa, "sm_90a") == 0;
  Random random(17);
  for (int64_t m : {1, 3, 17, 40, 128, 129}) test_held_ops(c, m, 100, wgmma, random);
  test_held_ops(c, 135, 104, wgmma, random);
  for (int64_t m : {1, 3, 17, 40, 128, 129}) test_held_steps(c, m, m % 2 == 0 ? 104 : 100, random);
}

// Operations of one kind that do not depend on each other are one launch; those that do are not.
void test_groups(precis_context* c) {
  Random random(23);
  const auto launches = [&] {
    precis_context_info info;
    EXPECT_OK(c, precis_context_describe(c, &info));
    return info.launches;
  };
  const auto normal = [&](int64_t count) {
    std::vector<float> values(static_cast<size_t>(count));
    for (float& each : values) each = random.normal();
    return values;
  };
  constexpr int64_t kRows = 70, kWidth = 24;
  Piece x(c, PRECIS_FLOAT32, kRows, kWidth, false), y(c, PRECIS_FLOAT32, kRows, kWidth, false);
  const std::vector<float> numbers = normal(kRows * kWidth);
  x.set(numbers);
  const auto row_of = [](const Piece& piece, int64_t r) {
    precis_tensor t = piece;
    t.dims[0] = 1;
    t.data = piece.data<float>() + r * kWidth;
    return t;
  };
  int64_t before = launches();
  for (int64_t r = 0; r < kRows; r++) {
    const precis_convert_args convert = {row_of(x, r), row_of(y, r)};
    EXPECT_OK(c, precis_convert(c, &convert));
  }
  EXPECT(launches() - before == 2, "%lld", static_cast<long long>(launches() - before));
  EXPECT(y.get<float>() == numbers);
  // Each row is the one before it.
  before = launches();
  for (int64_t r = 1; r < 5; r++) {
    const precis_convert_args convert = {row_of(y, r - 1), row_of(y, r)};
    EXPECT_OK(c, precis_convert(c, &convert));
  }
  EXPECT(launches() - before == 4);
  std::vector<float> got = y.get<float>();
  for (int64_t r = 1; r < 5; r++) {
    EXPECT(std::memcmp(got.data(), got.data() + r * kWidth, kWidth * 4) == 0);
  }

  // Packed weights, of which one is packed from the result of another operation.
  std::vector<std::unique_ptr<Piece>> packed;
  precis_matmul_pack_args pack = {};
  pack.weights[0] = x;
  pack.weight_count = 1;
  for (int turn = 0; turn < 2; turn++) {
    before = launches();
    for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
      for (int32_t transposed : {0, 1}) {
        pack.dtype = dtype;
        pack.transposed = transposed;
        pack.packed_bytes = 128 * 64 * 4;
        if (turn == 0 && packed.size() < 8) {
          for (int i = 0; i < 2; i++) {
            packed.push_back(std::make_unique<Piece>(c, PRECIS_FLOAT32, 128, 64, false));
          }
        }
        const size_t at =
            static_cast<size_t>(4 * (dtype == PRECIS_BFLOAT16) + 2 * transposed + turn);
        pack.packed = packed[at]->data<void>();
        EXPECT_OK(c, precis_matmul_pack(c, &pack));
        if (turn == 0) EXPECT_OK(c, precis_synchronize(c));
      }
    }
    if (turn == 1) EXPECT(launches() - before == 1);
  }
  for (size_t i = 0; i < 8; i += 2) {
    EXPECT(packed[i]->get<char>() == packed[i + 1]->get<char>(), "packed %zu", i);
  }

  // A product that is added to a copy; bias of the copy's own rows.
  for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
    Piece in(c, PRECIS_FLOAT32, kRows, kWidth, false), sum(c, PRECIS_FLOAT32, kRows, kRows, false);
    Piece stream(c, PRECIS_FLOAT32, kRows, kRows, false);
    in.set(normal(kRows * kWidth));
    stream.set(normal(kRows * kRows));
    const precis_packed_matrix w = {packed[dtype == PRECIS_FLOAT32 ? 0 : 4]->data<void>(),
                                    128 * 64 * 4,
                                    kRows,
                                    kWidth,
                                    dtype,
                                    0};
    const precis_convert_args copy = {stream, sum};
    const precis_matmul_args product = {in, w, sum, 0.5f, 1, 0, 0};
    std::vector<float> want;
    for (bool together : {false, true}) {
      EXPECT_OK(c, precis_convert(c, &copy));
      if (!together) EXPECT_OK(c, precis_synchronize(c));
      before = launches();
      EXPECT_OK(c, precis_convert(c, &copy));
      if (!together) EXPECT_OK(c, precis_synchronize(c));
      EXPECT_OK(c, precis_matmul(c, &product));
      const int64_t taken = launches() - before;
      EXPECT(taken == (together ? 1 : 3), "%lld launches", static_cast<long long>(taken));
      if (!together) want = sum.get<float>();
    }
    EXPECT(sum.get<float>() == want && stream.get<float>() != want);
  }

  // Dropout and the gradients that read its result.
  Piece dy(c, PRECIS_FLOAT32, kRows, 10, false), dropped(c, PRECIS_FLOAT32, kRows, kWidth, false);
  Piece dw(c, PRECIS_FLOAT32, 10, kWidth, false), db(c, PRECIS_FLOAT32, 10, 10, false);
  dy.set(normal(kRows * 10));
  const precis_dropout_args dropout = {x, dropped, 3, 4, 0.5f, 0, {}};
  const precis_weight_gradient_args of_w = {dy, dropped, dw, 1, PRECIS_BFLOAT16, 0, 0};
  const precis_weight_gradient_args of_b = {dy, dy, db, 1, PRECIS_BFLOAT16, 0, 0};
  std::vector<std::vector<float>> want;
  for (bool together : {false, true}) {
    dropped.set(std::vector<float>(kRows * kWidth));
    before = launches();
    EXPECT_OK(c, precis_dropout(c, &dropout));
    if (!together) EXPECT_OK(c, precis_synchronize(c));
    EXPECT_OK(c, precis_weight_gradient(c, &of_b));
    if (!together) EXPECT_OK(c, precis_synchronize(c));
    EXPECT_OK(c, precis_weight_gradient(c, &of_w));
    if (together) EXPECT(launches() - before == 1);
    const std::vector<std::vector<float>> all = {dropped.get<float>(), dw.get<float>(),
                                                 db.get<float>()};
    EXPECT(!together || all == want);
    want = all;
  }
  // One gradient reads what another one writes.
  precis_weight_gradient_args again = of_b;
  again.dy = again.x = db;
  again.dw = dw;
  again.dw.dims[1] = 10;
  again.dw.row_stride = kWidth;
  before = launches();
  EXPECT_OK(c, precis_weight_gradient(c, &of_b));
  EXPECT_OK(c, precis_weight_gradient(c, &again));
  EXPECT(launches() - before == 2);
}

// Calls that invalidate a capture, after which the context still works.
void test_invalid_capture(precis_context* c) {
  Piece x(c, PRECIS_FLOAT32, 2, 8, false), y(c, PRECIS_FLOAT32, 2, 8, true);
  precis_add_args add = {x, y, 1, 0};
  precis_recording* recording = nullptr;
  int32_t replayed = 0;
  EXPECT_REFUSED(c, precis_record_end(c, &recording), "nothing is recorded");
  void* memory = x.data<void>();
  const char* kinds[] = {"allocate", "free", "synchronize", "record_begin", "add"};
  for (int kind = 0; kind < 5; kind++) {
    EXPECT_OK(c, precis_record_begin(c));
    EXPECT_OK(c, precis_add(c, &add));
    switch (kind) {
      case 0: {
        void* never = nullptr;
        EXPECT_REFUSED(c, precis_allocate(c, 64, &never), "while operations are recorded");
        break;
      }
      case 1:
        EXPECT_REFUSED(c, precis_free(c, memory, 64), "while operations are recorded");
        break;
      case 2:
        EXPECT_REFUSED(c, precis_synchronize(c), "while operations are recorded");
        break;
      case 3:
        EXPECT_REFUSED(c, precis_record_begin(c), "while operations are recorded");
        break;
      default: {
        precis_add_args wrong = add;
        wrong.x.dims[1] = 7;
        EXPECT(precis_add(c, &wrong) == PRECIS_INVALID_ARGUMENT);
      }
    }
    recording = reinterpret_cast<precis_recording*>(&add);
    EXPECT_REFUSED(c, precis_record_end(c, &recording), kinds[kind]);
    EXPECT(recording == nullptr);
  }
  // A discarded capture, and one that would need more scratch memory.
  EXPECT_OK(c, precis_record_begin(c));
  EXPECT_OK(c, precis_record_end(c, nullptr));
  const int64_t many = int64_t{1} << 20;
  Piece large(c, PRECIS_FLOAT32, many, 1, false), sum(c, PRECIS_FLOAT32, 1, 2, true);
  precis_sum_of_squares_args squares = {large.vector(), sum.data<double>()};
  EXPECT_OK(c, precis_record_begin(c));
  EXPECT(precis_sum_of_squares(c, &squares) == PRECIS_DEVICE_ERROR);
  EXPECT(precis_record_end(c, &recording) == PRECIS_INVALID_ARGUMENT && recording == nullptr);
  EXPECT_OK(c, precis_sum_of_squares(c, &squares));
  EXPECT_OK(c, precis_record_begin(c));
  EXPECT_OK(c, precis_sum_of_squares(c, &squares));
  EXPECT_OK(c, precis_record_end(c, &recording));
  EXPECT_OK(c, precis_replay(c, recording, &replayed));
  EXPECT(replayed == 1);
  EXPECT_OK(c, precis_recording_destroy(c, recording));
}

// A graph uses the scratch memory at the address that it had during the capture.
void test_moved_scratch() {
  precis_status status;
  std::string text;
  precis_context* c = create(0, &status, &text);
  EXPECT(c != nullptr, "said: %s", text.c_str());
  if (c == nullptr) return;
  {
    const int64_t few = 5000, many = int64_t{1} << 20;
    Piece x(c, PRECIS_FLOAT32, many, 1, false), sum(c, PRECIS_FLOAT32, 1, 2, true);
    std::vector<float> values(many);
    for (int64_t i = 0; i < many; i += 3) values[i] = 2;
    x.set(values);
    precis_sum_of_squares_args large = {x.vector(), sum.data<double>()}, small = large;
    small.x.dims[0] = few;
    const double want = 4 * ((few + 2) / 3);
    precis_context_info before, after;
    precis_recording* recording = nullptr;
    auto record = [&] {
      EXPECT_OK(c, precis_record_begin(c));
      EXPECT_OK(c, precis_sum_of_squares(c, &small));
      EXPECT_OK(c, precis_record_end(c, &recording));
    };
    auto replayed = [&] {
      int32_t done = 7;
      EXPECT_OK(c, precis_synchronize(c));
      *sum.data<double>() = 0;
      EXPECT_OK(c, precis_replay(c, recording, &done));
      EXPECT_OK(c, precis_synchronize(c));
      EXPECT(*sum.data<double>() == (done == 1 ? want : 0));
      return done;
    };
    EXPECT_OK(c, precis_sum_of_squares(c, &small));
    EXPECT_OK(c, precis_context_describe(c, &before));
    record();
    EXPECT(replayed() == 1);
    EXPECT_OK(c, precis_sum_of_squares(c, &small));
    EXPECT(replayed() == 1);
    EXPECT_OK(c, precis_context_describe(c, &after));
    EXPECT(after.allocations == before.allocations);

    EXPECT_OK(c, precis_sum_of_squares(c, &large));
    EXPECT_OK(c, precis_context_describe(c, &after));
    EXPECT(after.scratch_bytes > before.scratch_bytes &&
           after.allocations == before.allocations + 1);
    EXPECT(replayed() == 0);
    EXPECT_OK(c, precis_recording_destroy(c, recording));
    record();
    EXPECT(replayed() == 1);
    EXPECT_OK(c, precis_recording_destroy(c, recording));
  }
  precis_context_destroy(c);
}

}  // namespace

int main() {
  precis_status status;
  std::string text;
  precis_context* c = create(0, &status, &text);
  if (c == nullptr) {
    std::printf("SKIPPED: %s\n", text.c_str());
    EXPECT(status == PRECIS_UNSUPPORTED && !text.empty());
    return test_result() == 0 ? kSkipped : 1;
  }
  EXPECT(create(99, &status, &text) == nullptr && status == PRECIS_INVALID_ARGUMENT);
  EXPECT(text.find("no GPU 99") != std::string::npos, "said: %s", text.c_str());
  precis_context_info info;
  EXPECT_OK(c, precis_context_describe(c, &info));
  EXPECT(info.abi_version == PRECIS_ABI_VERSION && info.device == PRECIS_CUDA);
  EXPECT(info.compute_capability >= 80 && info.device_bytes >= info.free_bytes &&
         info.free_bytes > 0 && info.driver_version > 0 && std::strlen(info.device_name) > 0);
  test_memory(c);
  test_copies(c);
  test_pieces(c);
  test_pack(c);
  test_problems(c);
  test_decoding_on_device(c);
  test_recording(c);
  test_invalid_capture(c);
  test_held_ops(c);
  test_held_steps_of_long_sources();
  test_groups(c);
  test_moved_scratch();
  // From another thread, for which the device is not current yet.
  std::thread([&] { test_memory(c); }).join();
  // Destroying the context frees what is left.
  void* left = nullptr;
  EXPECT_OK(c, precis_allocate(c, 1 << 20, &left));
  precis_context_destroy(c);
  return test_result();
}
