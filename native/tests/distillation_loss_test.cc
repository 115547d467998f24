#include "ops/distillation_loss.h"

#include "logit_cases.h"

using namespace precis;

namespace {

using Args = precis_distillation_loss_args;

constexpr float kBetas[] = {0, 1, 0.5f, 0.1f, 0.999f};

// A student, a teacher of another width and the outputs, in the given type.
struct Pair {
  Pair(Random& random, const LogitShape& s, int64_t teacher_width, int32_t dtype, int32_t x_type,
       int32_t teacher_dtype, double left_out, int32_t type = PRECIS_FLOAT32)
      : student(random, s, dtype, x_type, left_out),
        teacher(random, {s.rows, teacher_width, s.tokens}, teacher_dtype, x_type, 0),
        divergences(type, {s.rows}, 0, 1),
        cross_entropies(type, {s.rows}, 0, 2),
        dx(type, {s.rows, s.width}, 3, 1),
        dw(type, {s.tokens, s.width}, 1, 2) {
    dw.fill_normal(random);
  }

  // Returns the arguments with every optional one.
  Args all(precis_context* context) {
    Args a = {}, other = {};
    student.put(context, a);
    teacher.put(context, other);
    a.labels = student.labels;
    a.teacher_x = other.x;
    a.teacher_w = other.w;
    a.divergences = divergences;
    a.cross_entropies = cross_entropies;
    a.dx = dx;
    a.dw = dw;
    a.teacher_scale = 0.5f;
    a.temperature = 1;
    a.beta = 0.5f;
    a.divergence_weight = 1;
    return a;
  }
  void by_reference(const Args& a) { distillation_loss_ref(a, student.w.args(), teacher.w.args()); }

  bool intact() const {
    for (const GuardedTensor* t : {&divergences, &cross_entropies, &dx, &dw}) {
      if (!t->intact()) return false;
    }
    return true;
  }

  LogitCase student, teacher;
  GuardedTensor divergences, cross_entropies, dx, dw;
};

void test_sizes(std::vector<TestContext>& contexts) {
  Random random(1);
  int turn = 0;
  for (const LogitShape& s : kLogitShapes) {
    for (int32_t dtype : kLogitTypes) {
      for (int32_t x_type : kLogitTypes) {
        for (float beta : kBetas) {
          const int gradients = turn++ % 4;
          Pair p(random, s, 1 + static_cast<int64_t>(random.below(70)), dtype, x_type,
                 kLogitTypes[random.below(2)], gradients == 0 ? 0 : 0.4);
          GuardedTensor before(PRECIS_FLOAT32, {s.tokens, s.width});
          copy_elements(p.dw, before);
          GuardedTensor divergences = row_vector(s.rows), cross_entropies = row_vector(s.rows);
          GuardedTensor dx(PRECIS_FLOAT32, {s.rows, s.width});
          GuardedTensor dw(PRECIS_FLOAT32, {s.tokens, s.width});
          copy_elements(before, dw);
          auto set = [&](Args a) {
            a.scale = turn % 3 == 0 ? 0.25f : 1.0f;
            a.temperature = turn % 5 == 0 ? 2.5f : turn % 5 == 1 ? 0.7f : 1.0f;
            a.beta = beta;
            a.divergence_weight = turn % 7 == 0 ? 0 : 0.8f;
            a.label_weight = turn % 2 == 0 ? 0.3f : 0;
            if ((gradients & 1) == 0) a.dx = {};
            if ((gradients & 2) == 0) a.dw = {};
            return a;
          };
          Args want = p.all(contexts[0]);
          want.divergences = divergences;
          want.cross_entropies = cross_entropies;
          want.dx = dx;
          want.dw = dw;
          p.by_reference(set(want));
          for (TestContext& context : contexts) {
            copy_elements(before, p.dw);
            for (GuardedTensor* t : {&p.divergences, &p.cross_entropies, &p.dx}) t->fill(NAN);
            const Args args = set(p.all(context));
            EXPECT_OK(context, precis_distillation_loss(context, &args));
            EXPECT(p.intact(), "%s", context.name());
            char what[160];
            std::snprintf(what, sizeof what, "%s %s M %lld D %lld V %lld beta %g gradients %d",
                          context.name(), dtype_text(dtype), static_cast<long long>(s.rows),
                          static_cast<long long>(s.width), static_cast<long long>(s.tokens), beta,
                          gradients);
            expect_close(args.divergences, divergences, 1e-5, 1e-5, what);
            expect_close(args.cross_entropies, cross_entropies, 1e-5, 1e-5, what);
            // In bfloat16 the gradient of a logit may round to a different neighbor.
            const double step = dtype == PRECIS_BFLOAT16 ? 0x1p-7 * args.scale : 0;
            if (gradients & 1) expect_close(args.dx, dx, 1e-5, 5e-6 + 2 * step, what);
            if (gradients & 2) expect_close(args.dw, dw, 1e-5, 2e-5 + 6 * step, what);
          }
        }
      }
    }
  }
}

// The reference's gradients are those of its own losses, in double precision.
void test_finite_differences() {
  Random random(2);
  TestContext context("portable", 1);
  const LogitShape s = {9, 4, 11};
  for (float beta : kBetas) {
    for (float temperature : {1.0f, 1.7f}) {
      Pair p(random, s, 6, PRECIS_FLOAT32, kReferenceFloat64, PRECIS_FLOAT32, 0.3,
             kReferenceFloat64);
      p.dw.fill(0);
      Args args = p.all(context);
      args.scale = 0.7f;
      args.beta = beta;
      args.temperature = temperature;
      args.divergence_weight = 0.9f;
      args.label_weight = 0.4f;
      p.by_reference(args);
      GuardedTensor dx(kReferenceFloat64, {s.rows, s.width});
      GuardedTensor dw(kReferenceFloat64, {s.tokens, s.width});
      copy_elements(p.dx, dx);
      copy_elements(p.dw, dw);
      auto total = [&] {
        p.by_reference(args);
        double sum = 0;
        for (int64_t m = 0; m < s.rows; m++) {
          sum += double{args.divergence_weight} * p.divergences.at(0, m) +
                 double{args.label_weight} * p.cross_entropies.at(0, m);
        }
        return sum;
      };
      expect_gradient(dx, p.student.x, total, "dx");
      // w is float32, in which a step of 1e-5 would be lost.
      for (int64_t v = 0; v < s.tokens; v++) {
        for (int64_t d = 0; d < s.width; d++) {
          GuardedTensor& w = p.student.w.source(0);
          const float old = w.at(v, d), high = old + 0x1p-9f, low = old - 0x1p-9f;
          store_element(w, v, d, high);
          const double above = total();
          store_element(w, v, d, low);
          const double slope = (above - total()) / (double{high} - low);
          store_element(w, v, d, old);
          EXPECT(std::fabs(slope - dw.at(v, d)) < 1e-4, "beta %g: dw[%d, %d] is %g, not %g", beta,
                 static_cast<int>(v), static_cast<int>(d), dw.at(v, d), slope);
        }
      }
    }
  }
}

// Two tokens and one input, where z = (x, 0) and u = (y, 0): by hand with p = 3/4, q = 1/4 at
// temperature 1, where r = 1/2 with beta = 1/2.
void test_by_hand(std::vector<TestContext>& contexts) {
  Random random(3);
  Pair p(random, {1, 1, 2}, 1, PRECIS_FLOAT32, PRECIS_FLOAT32, PRECIS_FLOAT32, 0);
  store_element(p.student.x, 0, 0, -std::log(3.0));
  store_element(p.teacher.x, 0, 0, std::log(3.0));
  p.student.labels.data<int32_t>()[0] = 0;
  for (LogitCase* layer : {&p.student, &p.teacher}) {
    store_element(layer->w.source(0), 0, 0, 1);
    store_element(layer->w.source(0), 1, 0, 0);
  }
  struct {
    float beta;
    double divergence, gradient;  // by z[0]
  } const cases[] = {
      {0, 0.5 * std::log(3.0), -0.5},  // q - p
      {1, 0.5 * std::log(3.0),
       0.25 * (-std::log(3.0) - 0.5 * std::log(3.0))},  // q[0] (log(q / p)[0] - divergence)
      {0.5f, 0.75 * std::log(1.5) + 0.25 * std::log(0.5),
       0.5 * 0.25 * (std::log(0.5) - (0.25 * std::log(0.5) + 0.75 * std::log(1.5)))},
  };
  for (TestContext& context : contexts) {
    for (const auto& c : cases) {
      for (float label_weight : {0.0f, 2.0f}) {
        Args args = p.all(context);
        args.scale = args.teacher_scale = 1;
        args.beta = c.beta;
        args.label_weight = label_weight;
        args.dw = {};
        EXPECT_OK(context, precis_distillation_loss(context, &args));
        const double gradient = c.gradient + label_weight * (0.25 - 1);
        EXPECT(std::fabs(p.divergences.at(0, 0) - c.divergence) < 1e-6, "%s: beta %g: %g, not %g",
               context.name(), c.beta, p.divergences.at(0, 0), c.divergence);
        EXPECT(std::fabs(p.cross_entropies.at(0, 0) - std::log(4.0)) < 1e-6, "%g",
               p.cross_entropies.at(0, 0));
        EXPECT(std::fabs(p.dx.at(0, 0) - gradient) < 1e-6, "%s: beta %g: %g, not %g",
               context.name(), c.beta, p.dx.at(0, 0), gradient);
      }
    }
  }
}

// With several blocks of rows, a row is bitwise identical to the same row alone, for any number of
// threads and any requested outputs.
void test_blocks() {
  Random random(4);
  const LogitShape s = {150, 12, 32999};
  for (const char* isa : {"portable", "avx2", "avx512", "avx512_bf16"}) {
    TestContext one(isa, 1), two(isa, 2);
    if (one.status() != PRECIS_OK) continue;
    const int32_t dtype = std::strcmp(isa, "avx2") == 0 ? PRECIS_BFLOAT16 : PRECIS_FLOAT32;
    Pair p(random, s, 20, dtype, PRECIS_FLOAT32, PRECIS_FLOAT32, 0.1);
    GuardedTensor divergences = row_vector(s.rows), cross_entropies = row_vector(s.rows);
    GuardedTensor dx(PRECIS_FLOAT32, {s.rows, s.width}), dw(PRECIS_FLOAT32, {s.tokens, s.width});
    p.dw.fill(0);
    dw.fill(0);
    Args args = p.all(one);
    args.scale = 1;
    args.label_weight = 0.5f;
    EXPECT_OK(one, precis_distillation_loss(one, &args));
    args.divergences = divergences;
    args.cross_entropies = cross_entropies;
    args.dx = dx;
    args.dw = dw;
    auto same = [&](bool with_dx, int64_t count, int64_t first) {
      int64_t differ = 0;
      auto differs = [&](const GuardedTensor& a, const GuardedTensor& b, int64_t m) {
        return std::memcmp(a.data<float>() + first + m, b.data<float>() + m, 4) != 0;
      };
      for (int64_t m = 0; m < count; m++) {
        differ += with_dx && first_difference(p.dx, first + m, dx, m) >= 0;
        differ += differs(p.divergences, divergences, m);
        differ += differs(p.cross_entropies, cross_entropies, m);
      }
      EXPECT(differ == 0, "%s: %lld differ from row %lld on", isa, static_cast<long long>(differ),
             static_cast<long long>(first));
    };
    EXPECT_OK(two, precis_distillation_loss(two, &args));
    same(true, s.rows, 0);
    int64_t differ = 0;
    for (int64_t v = 0; v < s.tokens; v++) differ += first_difference(p.dw, v, dw, v) >= 0;
    EXPECT(differ == 0, "%s: %lld rows of dw", isa, static_cast<long long>(differ));
    args.dw = args.dx = {};
    divergences.fill(-1);
    EXPECT_OK(two, precis_distillation_loss(two, &args));
    same(false, s.rows, 0);
    for (int64_t m : {int64_t{0}, int64_t{100}, s.rows - 1}) {
      Args row = args;
      row.x = some_rows(p.student.x, m, 1);
      row.teacher_x = some_rows(p.teacher.x, m, 1);
      row.labels.data = p.student.labels.data<int32_t>() + m;
      for (precis_tensor* t : {&row.labels, &row.divergences, &row.cross_entropies}) {
        t->dims[0] = 1;
      }
      EXPECT_OK(two, precis_distillation_loss(two, &row));
      same(false, 1, m);
    }
  }
}

// The divergence of a student from itself is 0, and so is its gradient but for rounding.
void test_of_itself(std::vector<TestContext>& contexts) {
  Random random(5);
  const LogitShape s = {12, 40, 3001};
  Pair p(random, s, s.width, PRECIS_FLOAT32, PRECIS_FLOAT32, PRECIS_FLOAT32, 0.2);
  p.student.x.fill_normal(random, 3);
  copy_elements(p.student.x, p.teacher.x);
  for (TestContext& context : contexts) {
    for (float beta : kBetas) {
      Args args = p.all(context);
      args.teacher_w = args.w;
      args.scale = args.teacher_scale = 0.7f;
      args.temperature = 1.3f;
      args.beta = beta;
      args.dw = {};
      EXPECT_OK(context, precis_distillation_loss(context, &args));
      for (int64_t m = 0; m < s.rows; m++) {
        EXPECT(std::fabs(p.divergences.at(0, m)) < 1e-7, "%s: beta %g: %g", context.name(), beta,
               p.divergences.at(0, m));
        EXPECT(std::fabs(p.dx.at(m, 5)) < 1e-6, "%s: beta %g: %g", context.name(), beta,
               p.dx.at(m, 5));
      }
    }
  }
}

void test_special_values(std::vector<TestContext>& contexts) {
  Random random(6);
  const LogitShape s = {5, 20, 70};
  for (int32_t dtype : kLogitTypes) {
    Pair p(random, s, 30, dtype, PRECIS_FLOAT32, PRECIS_FLOAT32, 0);
    store_element(p.student.x, 1, 3, NAN);
    // With logits of thousands nothing overflows.
    for (int64_t d = 0; d < s.width; d++) {
      store_element(p.student.x, 2, d, 5e3 * random.normal());
      store_element(p.teacher.x, 2, d, 5e3 * random.normal());
    }
    // Rows that are left out may contain anything.
    p.student.labels.data<int32_t>()[3] = kIgnoredLabel;
    store_element(p.student.x, 3, 0, NAN);
    store_element(p.teacher.x, 3, 0, NAN);
    // NaN in the teacher affects the divergence and the gradient.
    store_element(p.teacher.x, 4, 0, NAN);
    for (TestContext& context : contexts) {
      for (float beta : kBetas) {
        Args args = p.all(context);
        args.scale = 1;
        args.beta = beta;
        args.label_weight = 1;
        args.dw = {};
        EXPECT_OK(context, precis_distillation_loss(context, &args));
        for (int64_t m = 0; m < s.rows; m++) {
          const double d = p.divergences.at(0, m), c = p.cross_entropies.at(0, m);
          const int row = static_cast<int>(m);
          EXPECT(m == 1 || m == 4 ? std::isnan(d) : std::isfinite(d) && d > -1e-6,
                 "%s: beta %g: row %d has %g", context.name(), beta, row, d);
          EXPECT(m == 1 ? std::isnan(c) : std::isfinite(c) && c >= 0, "%s: row %d has %g",
                 context.name(), row, c);
          EXPECT(std::isnan(p.dx.at(m, 7)) == (m == 1 || m == 4), "%s: beta %g: row %d",
                 context.name(), beta, row);
        }
        EXPECT(p.divergences.at(0, 3) == 0 && p.cross_entropies.at(0, 3) == 0 &&
                   p.dx.at(3, 0) == 0 && p.dx.at(3, s.width - 1) == 0,
               "%s", context.name());
      }
    }
  }
}

void test_refusals(TestContext& context) {
  Random random(7);
  const LogitShape s = {4, 33, 70};
  Pair p(random, s, 20, PRECIS_BFLOAT16, PRECIS_FLOAT32, PRECIS_FLOAT32, 0);
  Args good = p.all(context);
  good.scale = 1;
  GuardedTensor* const outputs[] = {&p.divergences, &p.cross_entropies, &p.dx, &p.dw};
  for (GuardedTensor* t : outputs) t->fill(7);
  auto refused = [&](auto change, const char* text) {
    Args args = good;
    change(args);
    EXPECT_REFUSED(context, precis_distillation_loss(context, &args), text);
  };
  p.student.labels.data<int32_t>()[3] = 70;
  refused([](Args&) {}, "labels[3] is 70");
  p.student.labels.data<int32_t>()[3] = 69;
  refused([](Args& a) { a.x.dims[1] = 32; }, "x has 32");
  refused([](Args& a) { a.teacher_x.dims[1] = 19; }, "teacher_x has 19");
  refused([](Args& a) { a.teacher_x.dims[0] = 3; }, "teacher_x has 3");
  refused([](Args& a) { a.teacher_x.dtype = PRECIS_INT32; }, "teacher_x cannot be int32");
  refused([](Args& a) { a.w_transposed = {}; }, "w_transposed");
  refused([](Args& a) { a.divergences.dims[0] = 3; }, "divergences has 3");
  refused([](Args& a) { a.cross_entropies.dtype = PRECIS_BFLOAT16; },
          "cross_entropies cannot be bfloat16");
  refused([](Args& a) { a.cross_entropies = a.divergences; }, "overlaps");
  refused([](Args& a) { a.temperature = 0; }, "temperature is 0, but must be above 0");
  refused([](Args& a) { a.temperature = INFINITY; }, "temperature is inf");
  refused([](Args& a) { a.temperature = NAN; }, "temperature is nan");
  refused([](Args& a) { a.beta = 1.5f; }, "beta is 1.5, but must be in [0, 1]");
  refused([](Args& a) { a.beta = -1; }, "beta is -1");
  refused([](Args& a) { a.beta = NAN; }, "beta is nan");
  refused([](Args& a) { a.divergence_weight = NAN; }, "divergence_weight is nan");
  refused([](Args& a) { a.label_weight = INFINITY; }, "label_weight is inf");
  refused([](Args& a) { a.teacher_scale = NAN; }, "teacher_scale is nan");
  // A teacher with another vocabulary.
  Pair other(random, {4, 33, 64}, 20, PRECIS_BFLOAT16, PRECIS_FLOAT32, PRECIS_FLOAT32, 0);
  const Args with_other = other.all(context);
  refused([&](Args& a) { a.teacher_w = with_other.teacher_w; },
          "teacher_w has 64 outputs, but w has 70");
  // Nothing was written.
  for (GuardedTensor* t : outputs) EXPECT(t->at(0, 3) == 7);
}

}  // namespace

int main() {
  std::vector<TestContext> contexts = all_contexts();
  add_onednn(contexts);
  test_sizes(contexts);
  test_finite_differences();
  test_by_hand(contexts);
  test_blocks();
  test_of_itself(contexts);
  test_special_values(contexts);
  test_refusals(contexts.back());
  return test_result();
}
