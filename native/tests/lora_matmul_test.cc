#include "ops/lora_matmul.h"

#include <algorithm>

#include "matmul_cases.h"

using namespace precis;

namespace {

// The three matrices of a product with adapters. B is zero outside of the segments.
struct Adapted {
  Weights w, a, b;
  std::vector<precis_lora_segment> segments;

  Adapted(Random& random, int64_t outputs, int64_t inputs, int64_t ranks, int32_t dtype,
          int32_t low_dtype, std::vector<precis_lora_segment> parts)
      : w(random, {outputs}, inputs, dtype, PRECIS_FLOAT32, 0.1f),
        a(random, {ranks}, inputs, low_dtype, PRECIS_FLOAT32, 0.1f),
        b(random, {outputs}, ranks, low_dtype, PRECIS_FLOAT32, 0.1f),
        segments(parts) {
    for (int64_t n = 0; n < outputs; n++) {
      for (int64_t r = 0; r < ranks; r++) {
        bool used = false;
        for (const precis_lora_segment& s : segments) {
          used |= n >= s.output_begin && n < s.output_end && r >= s.rank_begin && r < s.rank_end;
        }
        if (!used) store_element(b.source(0), n, r, 0);
      }
    }
  }
  precis_lora_matmul_args args(precis_context* context) {
    precis_lora_matmul_args args = {};
    args.w = w.pack(context);
    args.a = a.pack(context);
    args.b = b.pack(context);
    args.alpha = 0.5f;
    args.segment_count = static_cast<int32_t>(segments.size());
    for (size_t i = 0; i < segments.size(); i++) args.segments[i] = segments[i];
    return args;
  }
};

// With bfloat16 b, s x A' may round to different neighbors in the kernel and in the reference; then
// one term is off by a bfloat16 step.
double tolerance(int64_t inputs, int64_t ranks, int32_t low_dtype) {
  const double projected = 2 * 0.1 * std::sqrt(static_cast<double>(inputs)) * 2.5;
  return sum_error(inputs) +
         (low_dtype == PRECIS_BFLOAT16 ? projected * 0x1p-8 * 0.1 * 3 * (1 + 0.02 * ranks) : 0);
}

// Returns true if down is defined: segments that share a rank must agree on its scaling.
bool one_scaling(const std::vector<precis_lora_segment>& segments) {
  for (const auto& s : segments) {
    for (const auto& t : segments) {
      if (s.scaling != t.scaling && s.rank_begin < t.rank_end && t.rank_begin < s.rank_end) {
        return false;
      }
    }
  }
  return true;
}

bool own_ranks(const std::vector<precis_lora_segment>& segments) {
  for (size_t i = 0; i < segments.size(); i++) {
    for (size_t j = 0; j < i; j++) {
      const precis_lora_segment &s = segments[i], &t = segments[j];
      if (s.rank_begin < t.rank_end && t.rank_begin < s.rank_end) return false;
    }
  }
  return true;
}

void test_sizes(std::vector<TestContext>& contexts) {
  Random random(1);
  const int64_t row_counts[] = {1, 2, 5, 6, 7, 8, 13, 64, 67};
  struct Case {
    int64_t outputs, inputs, ranks;
    std::vector<precis_lora_segment> segments;
  };
  const std::vector<Case> cases = {
      {130, 96, 8, {{0, 130, 0, 8, 2.0f, 0}}},
      {192, 65, 32, {{0, 64, 0, 16, 1.5f, 0}, {128, 192, 16, 32, 0.5f, 0}}},
      // Segments that end inside tiles, odd ranks, a gap without adapter.
      {257, 33, 37, {{3, 70, 0, 7, 2, 0}, {70, 100, 7, 24, -1, 0}, {200, 257, 24, 37, 1, 0}}},
      // Two segments share the ranks of one A with different scalings, in one tile.
      {63, 130, 5, {{0, 31, 0, 5, 1, 0}, {31, 63, 0, 5, -3, 0}}},
      // Overlapping outputs: two adapters on one layer.
      {64, 257, 65, {{0, 64, 0, 33, 1, 0}, {0, 64, 33, 65, 0.25f, 0}}},
      {1, 1, 1, {{0, 1, 0, 1, 1, 0}}},
      {100, 31, 130, {{0, 100, 1, 129, 1, 0}}},
      // As in the gradient with respect to x: every segment has all outputs, and ranks of its own.
      {200, 130, 64, {{0, 200, 0, 32, 2, 0}, {0, 200, 32, 64, 2, 0}}},
      {130, 300, 45, {{0, 130, 0, 8, 1, 0}, {0, 130, 8, 21, -2, 0}, {0, 130, 30, 45, 0.5f, 0}}},
      {67,
       70,
       70,
       {{0, 67, 0, 3, 1, 0}, {0, 67, 3, 6, 2, 0}, {0, 67, 6, 37, 3, 0}, {0, 67, 37, 70, 1, 0}}},
      // Shared ranks with one scaling, and shared outputs that are a part of both tiles.
      {100, 50, 20, {{0, 80, 0, 13, 1.5f, 0}, {20, 100, 7, 20, 1.5f, 0}}},
      {65, 64, 16, {}},
      {65, 64, 16, {{10, 10, 0, 16, 1, 0}, {0, 65, 4, 4, 1, 0}}},
  };
  for (const Case& c : cases) {
    for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16, PRECIS_INT8, PRECIS_INT4}) {
      for (int32_t low_dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
        for (int32_t x_type : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
          const int64_t m = row_counts[random.below(9)];
          const bool accumulate = random.below(2) == 0;
          const int32_t y_type = accumulate || random.below(2) ? PRECIS_FLOAT32 : PRECIS_BFLOAT16;
          const bool dropped = random.below(2) == 0;
          // Dropout of x, of the low-rank term where that is allowed, or none.
          int32_t dropout_of =
              dropped ? PRECIS_LORA_DROPOUT_NONE : static_cast<int32_t>(random.below(3));
          if (y_type != PRECIS_FLOAT32 || !own_ranks(c.segments)) {
            dropout_of = std::min(dropout_of, int32_t{PRECIS_LORA_DROPOUT_X});
          }
          const bool has_down = random.below(2) == 0 && one_scaling(c.segments);
          Adapted adapted(random, c.outputs, c.inputs, c.ranks, dtype, low_dtype, c.segments);
          GuardedTensor x(x_type, {m, c.inputs}, 3, 1), want(y_type, {m, c.outputs});
          GuardedTensor low_x(random.below(2) ? PRECIS_FLOAT32 : PRECIS_BFLOAT16, {m, c.inputs}, 2);
          GuardedTensor want_down(PRECIS_FLOAT32, {m, c.ranks});
          x.fill_normal(random);
          low_x.fill_normal(random);
          want.fill(0.25f);
          precis_lora_matmul_args args = adapted.args(contexts[0]);
          args.x = x;
          args.y = want;
          args.accumulate = accumulate;
          if (dropped) args.lora_x = low_x;
          if (has_down) args.down = want_down;
          GuardedTensor names(PRECIS_INT64, {m});
          for (int64_t r = 0; r < m; r++) {
            names.data<int64_t>()[r] = static_cast<int64_t>(random.next());
          }
          const bool named = random.below(2) == 0;
          const auto with_dropout = [&] {
            args.dropout_of = dropout_of;
            args.dropout = 0.25f;
            args.seed = 5;
            args.offset = 7;
            args.dropout_rows = named ? names.tensor() : precis_tensor{};
          };
          with_dropout();
          lora_matmul_ref(args, adapted.w.args(), adapted.a.args(), adapted.b.args());
          for (TestContext& context : contexts) {
            GuardedTensor y(y_type, {m, c.outputs}, 1, 3);
            GuardedTensor down(PRECIS_FLOAT32, {m, c.ranks}, 3, 1);
            y.fill(0.25f);
            args = adapted.args(context);
            args.x = x;
            args.y = y;
            args.accumulate = accumulate;
            if (dropped) args.lora_x = low_x;
            if (has_down) args.down = down;
            with_dropout();
            EXPECT_OK(context, precis_lora_matmul(context, &args));
            EXPECT(y.intact() && down.intact(), "%s", context.name());
            char what[128];
            std::snprintf(what, sizeof what, "%s w %s a %s M %lld K %lld N %lld R %lld",
                          context.name(), dtype_text(dtype), dtype_text(low_dtype),
                          static_cast<long long>(m), static_cast<long long>(c.inputs),
                          static_cast<long long>(c.outputs), static_cast<long long>(c.ranks));
            expect_close(y, want, rounding(y_type), tolerance(c.inputs, c.ranks, low_dtype), what);
            if (has_down) {
              std::strncat(what, " down", sizeof what - std::strlen(what) - 1);
              expect_close(down, want_down, 2e-6, sum_error(c.inputs), what);
            }
          }
        }
      }
    }
  }
}

void test_batches() {
  Random random(2);
  constexpr int64_t kRows = 70, kInputs = 767, kOutputs = 250, kRanks = 48;
  const std::vector<precis_lora_segment> segments = {{0, 100, 0, 16, 2, 0},
                                                     {150, 250, 16, 48, 0.5f, 0}};
  for (const Engine& e : all_engines()) {
    TestContext one(e.isa, 1, e.matmul), two(e.isa, 2, e.matmul);
    if (one.status() != PRECIS_OK) continue;
    for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16, PRECIS_INT8, PRECIS_INT4}) {
      const int32_t low_dtype = dtype == PRECIS_FLOAT32 ? PRECIS_FLOAT32 : PRECIS_BFLOAT16;
      Adapted adapted(random, kOutputs, kInputs, kRanks, dtype, low_dtype, segments);
      GuardedTensor x(PRECIS_FLOAT32, {kRows, kInputs}), alone(PRECIS_FLOAT32, {kRows, kOutputs});
      GuardedTensor low_x(PRECIS_BFLOAT16, {kRows, kInputs}),
          ranks(PRECIS_FLOAT32, {kRows, kRanks});
      x.fill_normal(random);
      low_x.fill_normal(random);
      precis_lora_matmul_args args = adapted.args(one);
      for (int64_t r = 0; r < kRows; r++) {
        args.x = some_rows(x, r, 1);
        args.lora_x = some_rows(low_x, r, 1);
        args.down = some_rows(ranks, r, 1);
        args.y = some_rows(alone, r, 1);
        EXPECT_OK(one, precis_lora_matmul(one, &args));
      }
      // Columns without adapter are bitwise identical to those of the plain product.
      precis_matmul_args plain = {};
      GuardedTensor y(PRECIS_FLOAT32, {kRows, kOutputs});
      plain.x = x;
      plain.w = args.w;
      plain.y = y;
      plain.alpha = args.alpha;
      EXPECT_OK(one, precis_matmul(one, &plain));
      for (int64_t r = 0; r < kRows; r++) {
        for (int64_t c = 100; c < 150; c++) EXPECT(y.at(r, c) == alone.at(r, c), "%s", one.name());
        EXPECT(y.at(r, 99) != alone.at(r, 99) && y.at(r, 150) != alone.at(r, 150));
      }
      for (int64_t m = 1; m <= kRows; m++) {
        GuardedTensor some(PRECIS_FLOAT32, {m, kOutputs}), down(PRECIS_FLOAT32, {m, kRanks});
        args.x = some_rows(x, kRows - m, m);
        args.lora_x = some_rows(low_x, kRows - m, m);
        args.down = down;
        args.y = some;
        TestContext& context = m % 2 == 0 ? one : two;
        EXPECT_OK(context, precis_lora_matmul(context, &args));
        for (int64_t r = 0; r < m; r++) {
          const int64_t c = first_difference(alone, kRows - m + r, some, r);
          EXPECT(c < 0, "%s %s M %lld: row %lld differs in column %lld", context.name(),
                 dtype_text(dtype), static_cast<long long>(m), static_cast<long long>(r),
                 static_cast<long long>(c));
          EXPECT(first_difference(ranks, kRows - m + r, down, r) < 0, "%s: row %lld of down",
                 context.name(), static_cast<long long>(r));
        }
      }
    }
  }
}

// Rows that have adapters of their own get the bits of a product that they have for themselves,
// whatever rows are beside them, and their rows of down are 0.
void test_row_adapters() {
  Random random(6);
  constexpr int64_t kInputs = 767, kOutputs = 250, kRanks = 16;
  for (const char* isa : kIsas) {
    TestContext one(isa, 1, "native"), two(isa, 2, "native");
    if (one.status() != PRECIS_OK) continue;
    for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16, PRECIS_INT8, PRECIS_INT4}) {
      for (int64_t m : {5, 32, 70}) {
        const int32_t low = dtype == PRECIS_FLOAT32 ? PRECIS_FLOAT32 : PRECIS_BFLOAT16;
        Adapted base(random, kOutputs, kInputs, kRanks, dtype, low, {{9, 250, 0, 16, 2, 0}});
        Adapted first(random, kOutputs, kInputs, 8, dtype, low, {{0, 100, 1, 8, 2, 0}});
        Adapted second(random, kOutputs, kInputs, 67, dtype, low,
                       {{0, 128, 0, 33, 1.5f, 0}, {70, 250, 33, 67, -1, 0}});
        GuardedTensor x(PRECIS_FLOAT32, {m, kInputs}, 1, 2);
        GuardedTensor alone(PRECIS_FLOAT32, {m, kOutputs}), y(PRECIS_FLOAT32, {m, kOutputs}, 2, 1);
        GuardedTensor alone_down(PRECIS_FLOAT32, {m, kRanks}), down(PRECIS_FLOAT32, {m, kRanks});
        x.fill_normal(random);
        // Of the common adapter, of the first and of the second.
        precis_lora_matmul_args packed[] = {base.args(one), first.args(one), second.args(one)};
        for (precis_lora_matmul_args& each : packed) each.w = packed[0].w;
        for (const bool general : {true, false}) {
          if (!general) packed[0].segment_count = 0;
          // Rows 0, 1, 3, and from 4 to the last but one; row 2 and the last have the common ones.
          for (TestContext* context : {&one, &two}) {
            precis_lora_matmul_args args = packed[0];
            std::vector<precis_lora_rows> rows;
            std::vector<int> owners(static_cast<size_t>(m), 0);
            auto add = [&](int owner, int64_t begin, int64_t end) {
              const precis_lora_matmul_args& own = packed[owner];
              precis_lora_rows r = {begin, end, own.a, own.b, {}, own.segment_count, 0};
              std::copy_n(own.segments, own.segment_count, r.segments);
              rows.push_back(r);
              std::fill(owners.begin() + begin, owners.begin() + end, owner);
            };
            add(1, 0, 1);
            add(2, 1, 2);
            add(1, 2, 2);
            add(2, 3, 4);
            add(1, 4, m - 1);
            args.x = x;
            args.y = y;
            args.down = down;
            args.row_adapters = rows.data();
            args.row_adapter_count = static_cast<int32_t>(rows.size());
            // A recording has copied the rows' adapters.
            precis_recording* recording = nullptr;
            int32_t replayed = 0;
            EXPECT_OK(*context, precis_record_begin(*context));
            EXPECT_OK(*context, precis_lora_matmul(*context, &args));
            EXPECT_OK(*context, precis_record_end(*context, &recording));
            std::memset(rows.data(), 0xff, rows.size() * sizeof rows[0]);
            EXPECT_OK(*context, precis_replay(*context, recording, &replayed));
            EXPECT_OK(*context, precis_recording_destroy(*context, recording));
            EXPECT(y.intact() && down.intact(), "%s", context->name());
            for (int64_t r = 0; r < m; r++) {
              const int owner = owners[static_cast<size_t>(r)];
              precis_lora_matmul_args lone = packed[owner];
              lone.x = some_rows(x, r, 1);
              lone.y = some_rows(alone, r, 1);
              if (owner == 0) lone.down = some_rows(alone_down, r, 1);
              EXPECT_OK(one, precis_lora_matmul(one, &lone));
              const int64_t c = first_difference(alone, r, y, r);
              EXPECT(c < 0, "%s %s M %lld: row %lld differs in column %lld", context->name(),
                     dtype_text(dtype), static_cast<long long>(m), static_cast<long long>(r),
                     static_cast<long long>(c));
              for (int64_t k = 0; k < kRanks; k++) {
                const float want = owner == 0 ? alone_down.at(r, k) : 0;
                EXPECT(down.at(r, k) == want, "%s: down of row %lld", context->name(),
                       static_cast<long long>(r));
              }
            }
          }
        }
      }
    }
  }
}

// As in decoding, each of many rows has an adapter of its own, or shares it with its neighbor; their
// ranks fill a part of a vector, several vectors or more than a tile.
void test_adapter_per_row() {
  Random random(7);
  constexpr int64_t kInputs = 133, kOutputs = 150;
  for (const Engine& e : all_engines()) {
    TestContext one(e.isa, 1, e.matmul), two(e.isa, 2, e.matmul);
    if (one.status() != PRECIS_OK) continue;
    for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16, PRECIS_INT8, PRECIS_INT4}) {
      const int32_t low = dtype == PRECIS_FLOAT32 ? PRECIS_FLOAT32 : PRECIS_BFLOAT16;
      std::vector<std::unique_ptr<Adapted>> adapted;
      std::vector<precis_lora_matmul_args> packed;
      for (int64_t ranks : {1, 8, 16, 33, 130}) {
        adapted.push_back(std::make_unique<Adapted>(
            random, kOutputs, kInputs, ranks, dtype, low,
            std::vector<precis_lora_segment>{{0, 70, 0, ranks / 2, 2, 0},
                                             {64, kOutputs, ranks / 2, ranks, -0.5f, 0}}));
        packed.push_back(adapted.back()->args(one));
        packed.back().w = packed.front().w;
      }
      for (int64_t m : {2, 3, 9, 32}) {
        for (int32_t x_type : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
          GuardedTensor x(x_type, {m, kInputs}, 1, 2), y(PRECIS_FLOAT32, {m, kOutputs}, 2, 1);
          GuardedTensor alone(PRECIS_FLOAT32, {m, kOutputs});
          x.fill_normal(random);
          std::vector<precis_lora_rows> rows;
          std::vector<size_t> owners;
          for (int64_t r = 0; r < m;) {
            const size_t owner = static_cast<size_t>(random.below(packed.size()));
            const int64_t end = std::min<int64_t>(m, r + (random.below(4) == 0 ? 2 : 1));
            const precis_lora_matmul_args& own = packed[owner];
            rows.push_back({r, end, own.a, own.b, {}, own.segment_count, 0});
            std::copy_n(own.segments, own.segment_count, rows.back().segments);
            for (; r < end; r++) owners.push_back(owner);
          }
          for (int64_t r = 0; r < m; r++) {
            precis_lora_matmul_args lone = packed[owners[static_cast<size_t>(r)]];
            lone.x = some_rows(x, r, 1);
            lone.y = some_rows(alone, r, 1);
            EXPECT_OK(one, precis_lora_matmul(one, &lone));
          }
          for (TestContext* context : {&one, &two}) {
            precis_lora_matmul_args args = packed[0];
            args.segment_count = 0;
            args.x = x;
            args.y = y;
            args.row_adapters = rows.data();
            args.row_adapter_count = static_cast<int32_t>(rows.size());
            y.fill(7);
            EXPECT_OK(*context, precis_lora_matmul(*context, &args));
            EXPECT(y.intact(), "%s", context->name());
            for (int64_t r = 0; r < m; r++) {
              const int64_t c = first_difference(alone, r, y, r);
              EXPECT(c < 0, "%s %s M %lld: row %lld differs in column %lld", context->name(),
                     dtype_text(dtype), static_cast<long long>(m), static_cast<long long>(r),
                     static_cast<long long>(c));
            }
          }
        }
      }
    }
  }
}

// y = x W' + (x A' . s) B' for three adapters on parts of W, and its gradient with respect to x:
// the product of dy with the same matrices packed transposed, and every segment on all outputs.
void test_backward(std::vector<TestContext>& contexts) {
  Random random(5);
  constexpr int64_t kOutputs = 210, kInputs = 150, kRows = 20, kRanks = 24;
  const std::vector<precis_lora_segment> forward = {
      {0, 70, 0, 5, 2, 0}, {70, 140, 5, 16, 0.5f, 0}, {140, 210, 16, 24, -1, 0}};
  Adapted adapted(random, kOutputs, kInputs, kRanks, PRECIS_FLOAT32, PRECIS_FLOAT32, forward);
  GuardedTensor dy(PRECIS_FLOAT32, {kRows, kOutputs}), want(PRECIS_FLOAT32, {kRows, kInputs});
  GuardedTensor want_down(PRECIS_FLOAT32, {kRows, kRanks});
  dy.fill_normal(random);
  const GuardedTensor &w = adapted.w.source(0), &a = adapted.a.source(0), &b = adapted.b.source(0);
  for (int64_t m = 0; m < kRows; m++) {
    std::vector<double> down(kRanks, 0);
    for (const precis_lora_segment& s : forward) {
      for (int64_t r = s.rank_begin; r < s.rank_end; r++) {
        for (int64_t n = 0; n < kOutputs; n++) down[r] += double{dy.at(m, n)} * b.at(n, r);
        down[r] *= s.scaling;
        store_element(want_down, m, r, down[r]);
      }
    }
    for (int64_t k = 0; k < kInputs; k++) {
      double sum = 0;
      for (int64_t n = 0; n < kOutputs; n++) sum += double{dy.at(m, n)} * w.at(n, k);
      for (int64_t r = 0; r < kRanks; r++) sum += down[r] * a.at(r, k);
      store_element(want, m, k, sum);
    }
  }
  auto packed = [](precis_context* context, const GuardedTensor& source, int32_t dtype,
                   std::unique_ptr<GuardedTensor>& memory) {
    precis_matmul_pack_args pack = {};
    pack.weights[0] = source;
    pack.weight_count = 1;
    pack.dtype = dtype;
    pack.transposed = 1;
    int64_t bytes = 0;
    EXPECT_OK(context, precis_matmul_pack_size(context, &pack, &bytes));
    memory = std::make_unique<GuardedTensor>(PRECIS_UINT8, std::vector<int64_t>{1, bytes});
    pack.packed = memory->data<void>();
    pack.packed_bytes = bytes;
    EXPECT_OK(context, precis_matmul_pack(context, &pack));
    const precis_tensor& t = source;
    return precis_packed_matrix{pack.packed, bytes, t.dims[1], t.dims[0], dtype, 0};
  };
  for (TestContext& context : contexts) {
    for (int32_t dtype : {PRECIS_FLOAT32, PRECIS_BFLOAT16}) {
      std::unique_ptr<GuardedTensor> memory[3];
      GuardedTensor dx(PRECIS_FLOAT32, {kRows, kInputs}, 1), down(PRECIS_FLOAT32, {kRows, kRanks});
      precis_lora_matmul_args args = {};
      args.x = dy;
      args.w = packed(context, w, dtype, memory[0]);
      args.a = packed(context, b, dtype, memory[1]);
      args.b = packed(context, a, dtype, memory[2]);
      args.y = dx;
      args.down = down;
      args.alpha = 1;
      args.segment_count = 3;
      for (int i = 0; i < 3; i++) {
        args.segments[i] = forward[i];
        args.segments[i].output_begin = 0;
        args.segments[i].output_end = kInputs;
      }
      EXPECT_OK(context, precis_lora_matmul(context, &args));
      const double error = dtype == PRECIS_FLOAT32 ? 1e-5 : 0.05;
      expect_close(dx, want, error, error, context.name());
      expect_close(down, want_down, error, error, context.name());
    }
  }
}

// An adapter with NaN does not change the outputs of the others.
void test_isolation(std::vector<TestContext>& contexts) {
  Random random(3);
  Adapted adapted(random, 64, 40, 32, PRECIS_BFLOAT16, PRECIS_BFLOAT16,
                  {{0, 20, 0, 16, 1, 0}, {20, 50, 16, 32, 1, 0}});
  store_element(adapted.a.source(0), 3, 5, NAN);
  for (TestContext& context : contexts) {
    GuardedTensor x(PRECIS_FLOAT32, {2, 40}), y(PRECIS_FLOAT32, {2, 64});
    x.fill(1);
    precis_lora_matmul_args args = adapted.args(context);
    args.x = x;
    args.y = y;
    EXPECT_OK(context, precis_lora_matmul(context, &args));
    for (int64_t n = 0; n < 64; n++) {
      EXPECT(std::isnan(y.at(1, n)) == (n < 20), "%s: output %lld is %g", context.name(),
             static_cast<long long>(n), y.at(1, n));
    }
  }
}

void test_refusals(TestContext& context) {
  Random random(4);
  Adapted adapted(random, 70, 33, 8, PRECIS_BFLOAT16, PRECIS_BFLOAT16, {{0, 70, 0, 8, 1, 0}});
  GuardedTensor x(PRECIS_FLOAT32, {4, 33}), y(PRECIS_FLOAT32, {4, 70});
  precis_lora_matmul_args good = adapted.args(context);
  good.x = x;
  good.y = y;
  EXPECT_OK(context, precis_lora_matmul(context, &good));
  auto refused = [&](auto change, const char* text) {
    precis_lora_matmul_args args = good;
    change(args);
    EXPECT_REFUSED(context, precis_lora_matmul(context, &args), text);
  };
  using Args = precis_lora_matmul_args;
  refused([](Args& a) { a.a.inputs = 32; }, "a has 32 inputs");
  refused([](Args& a) { a.b.outputs = 69; }, "b has 69 outputs");
  refused([](Args& a) { a.b.inputs = 7; }, "b has 7 inputs");
  refused([](Args& a) { a.a.dtype = PRECIS_INT8; }, "a cannot be int8");
  refused([](Args& a) { a.b.dtype = PRECIS_FLOAT32; }, "but b is float32");
  refused([](Args& a) { a.a.bytes = 0; }, "a has 0 bytes");
  refused([](Args& a) { a.segment_count = 5; }, "segment_count is 5");
  refused([](Args& a) { a.segments[0].output_end = 71; }, "segments[0] has outputs [0, 71)");
  refused([](Args& a) { a.segments[0].rank_end = 9; }, "ranks [0, 9)");
  refused([](Args& a) { a.segments[0].rank_begin = -1; }, "ranks [-1, 8)");
  refused([](Args& a) { a.x.dims[1] = 32; }, "x has 32");
  GuardedTensor low_x(PRECIS_BFLOAT16, {4, 33}), down(PRECIS_FLOAT32, {4, 8});
  good.lora_x = low_x;
  good.down = down;
  EXPECT_OK(context, precis_lora_matmul(context, &good));
  refused([](Args& a) { a.lora_x.dims[0] = 3; }, "lora_x has 3");
  refused([](Args& a) { a.lora_x.dims[1] = 32; }, "lora_x has 32");
  refused([](Args& a) { a.lora_x.dtype = PRECIS_INT8; }, "lora_x cannot be int8");
  refused([](Args& a) { a.down.dims[1] = 7; }, "down has 7");
  refused([](Args& a) { a.down.dims[0] = 5; }, "down has 5");
  refused([](Args& a) { a.down.dtype = PRECIS_BFLOAT16; }, "down cannot be bfloat16");
  refused([](Args& a) { a.down.data = a.y.data; }, "down overlaps y");
  refused([](Args& a) { a.y.data = a.lora_x.data; }, "y overlaps lora_x");
  refused(
      [](Args& a) {
        a.segment_count = 2;
        a.segments[0] = {0, 35, 0, 5, 1, 0};
        a.segments[1] = {35, 70, 4, 8, 2, 0};
      },
      "down has one column for rank 4, but segments[0] scales it by 1 and segments[1] by 2");
  refused([](Args& a) { a.dropout_of = 3; }, "dropout_of is 3");
  refused([](Args& a) { a.dropout_of = PRECIS_LORA_DROPOUT_X; }, "but there is a lora_x");
  good.lora_x = {};
  good.dropout_of = PRECIS_LORA_DROPOUT_LOW_RANK;
  good.dropout = 0.5f;
  EXPECT_OK(context, precis_lora_matmul(context, &good));
  refused([](Args& a) { a.dropout = 1; }, "dropout is 1, not in [0, 1)");
  refused([](Args& a) { a.dropout = NAN; }, "not in [0, 1)");
  refused([](Args& a) { a.y.dtype = PRECIS_BFLOAT16; }, "needs y in float32, not bfloat16");
  refused(
      [](Args& a) {
        a.segment_count = 2;
        a.segments[0] = {0, 35, 0, 5, 1, 0};
        a.segments[1] = {35, 70, 4, 8, 1, 0};
      },
      "segments cannot share ranks, but segments[0] and segments[1] do");
  good.segment_count = 0;
  down.fill(7);
  EXPECT_OK(context, precis_lora_matmul(context, &good));
  for (int64_t r = 0; r < 8; r++) EXPECT(down.at(3, r) == 0);
  EXPECT(precis_lora_matmul(context, nullptr) == PRECIS_INVALID_ARGUMENT);
}

}  // namespace

int main() {
  std::vector<TestContext> contexts = all_contexts();
  add_onednn(contexts);
  test_sizes(contexts);
  test_batches();
  test_row_adapters();
  test_adapter_per_row();
  test_backward(contexts);
  test_isolation(contexts);
  test_refusals(contexts.back());
  return test_result();
}
