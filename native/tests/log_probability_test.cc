#include "ops/log_probability.h"

#include "logit_cases.h"

using namespace precis;

namespace {

using Args = precis_log_probability_args;

// A policy, a reference and the outputs, in the given type.
struct Pair {
  Pair(Random& random, const LogitShape& s, int32_t dtype, int32_t x_type, int32_t reference_dtype,
       double left_out, int32_t type = PRECIS_FLOAT32)
      : layer(random, s, dtype, x_type, left_out),
        reference(random, s, reference_dtype, x_type, 0),
        dlog_probabilities(type, {s.rows}, 0, 3),
        log_probabilities(type, {s.rows}, 0, 1),
        entropies(type, {s.rows}, 0, 2),
        divergences(type, {s.rows}, 0, 1),
        dx(type, {s.rows, s.width}, 3, 1),
        dw(type, {s.tokens, s.width}, 1, 2) {
    dlog_probabilities.fill_normal(random);
    dw.fill_normal(random);
  }

  // Returns the arguments with every optional one.
  Args all(precis_context* context) {
    Args a = {}, other = {};
    layer.put(context, a);
    reference.put(context, other);
    a.labels = layer.labels;
    a.log_probabilities = log_probabilities;
    a.entropies = entropies;
    a.reference_x = other.x;
    a.reference_w = other.w;
    a.divergences = divergences;
    a.dlog_probabilities = dlog_probabilities;
    a.dx = dx;
    a.dw = dw;
    return a;
  }

  bool intact() const {
    for (const GuardedTensor* t : {&log_probabilities, &entropies, &divergences, &dx, &dw}) {
      if (!t->intact()) return false;
    }
    return true;
  }

  LogitCase layer, reference;
  GuardedTensor dlog_probabilities, log_probabilities, entropies, divergences, dx, dw;
};

// Bits that select the requested outputs.
void leave_out(Args& a, int wanted) {
  if ((wanted & 1) == 0) a.dx = {};
  if ((wanted & 2) == 0) a.dw = {};
  if ((wanted & 3) == 0) a.dlog_probabilities = {};
  if ((wanted & 4) == 0) a.entropies = {};
  if ((wanted & 8) == 0) {
    a.reference_x = a.divergences = {};
    a.reference_w = {};
  }
}

void test_sizes(std::vector<TestContext>& contexts) {
  Random random(1);
  for (const LogitShape& s : kLogitShapes) {
    for (int32_t dtype : kLogitTypes) {
      for (int32_t x_type : kLogitTypes) {
        for (int gradients = 0; gradients < 4; gradients++) {
          const int wanted = gradients + 4 * static_cast<int>(random.below(4));
          Pair p(random, s, dtype, x_type, kLogitTypes[random.below(2)], gradients == 0 ? 0 : 0.4);
          const float scale = random.below(2) == 0 ? 1.0f : 0.25f;
          GuardedTensor before(PRECIS_FLOAT32, {s.tokens, s.width});
          copy_elements(p.dw, before);
          GuardedTensor log_probabilities = row_vector(s.rows), entropies = row_vector(s.rows);
          GuardedTensor divergences = row_vector(s.rows);
          GuardedTensor dx(PRECIS_FLOAT32, {s.rows, s.width});
          GuardedTensor dw(PRECIS_FLOAT32, {s.tokens, s.width});
          copy_elements(before, dw);
          Args want = p.all(contexts[0]);
          want.log_probabilities = log_probabilities;
          want.entropies = entropies;
          want.divergences = divergences;
          want.dx = dx;
          want.dw = dw;
          want.scale = scale;
          leave_out(want, wanted);
          log_probability_ref(want, p.layer.w.args(), p.reference.w.args());
          for (TestContext& context : contexts) {
            copy_elements(before, p.dw);
            for (GuardedTensor* t : {&p.log_probabilities, &p.entropies, &p.divergences, &p.dx}) {
              t->fill(NAN);
            }
            Args args = p.all(context);
            args.scale = scale;
            leave_out(args, wanted);
            EXPECT_OK(context, precis_log_probability(context, &args));
            EXPECT(p.intact(), "%s", context.name());
            char what[160];
            std::snprintf(what, sizeof what, "%s %s M %lld D %lld V %lld wanted %d", context.name(),
                          dtype_text(dtype), static_cast<long long>(s.rows),
                          static_cast<long long>(s.width), static_cast<long long>(s.tokens),
                          wanted);
            expect_close(args.log_probabilities, log_probabilities, 1e-5, 1e-5, what);
            // In bfloat16 the gradient of a logit may round to a different neighbor.
            const double step = dtype == PRECIS_BFLOAT16 ? 0x1p-7 * scale : 0;
            if (wanted & 1) expect_close(args.dx, dx, 1e-5, 3e-6 + 2 * step, what);
            if (wanted & 2) expect_close(args.dw, dw, 1e-5, 2e-5 + 6 * step, what);
            if (wanted & 4) expect_close(args.entropies, entropies, 1e-5, 1e-5, what);
            if (wanted & 8) expect_close(args.divergences, divergences, 1e-5, 1e-5, what);
          }
        }
      }
    }
  }
}

// The reference's gradients are those of its own log-probabilities, in double precision.
void test_finite_differences() {
  Random random(2);
  TestContext context("portable", 1);
  const LogitShape s = {9, 4, 11};
  Pair p(random, s, PRECIS_FLOAT32, kReferenceFloat64, PRECIS_FLOAT32, 0.3, kReferenceFloat64);
  p.dw.fill(0);
  Args args = p.all(context);
  args.scale = 0.7f;
  log_probability_ref(args, p.layer.w.args(), p.reference.w.args());
  GuardedTensor dx(kReferenceFloat64, {s.rows, s.width});
  GuardedTensor dw(kReferenceFloat64, {s.tokens, s.width});
  copy_elements(p.dx, dx);
  copy_elements(p.dw, dw);
  auto total = [&] {
    log_probability_ref(args, p.layer.w.args(), p.reference.w.args());
    return inner_product(p.dlog_probabilities, p.log_probabilities);
  };
  expect_gradient(dx, p.layer.x, total, "dx");
  // w is float32, in which a step of 1e-5 would be lost.
  for (int64_t v = 0; v < s.tokens; v++) {
    for (int64_t d = 0; d < s.width; d++) {
      GuardedTensor& w = p.layer.w.source(0);
      const float old = w.at(v, d), high = old + 0x1p-9f, low = old - 0x1p-9f;
      store_element(w, v, d, high);
      const double above = total();
      store_element(w, v, d, low);
      const double slope = (above - total()) / (double{high} - low);
      store_element(w, v, d, old);
      EXPECT(std::fabs(slope - dw.at(v, d)) < 1e-4, "dw[%d, %d] is %g, not %g", static_cast<int>(v),
             static_cast<int>(d), dw.at(v, d), slope);
    }
  }
}

// With several blocks of rows, a row is bitwise identical to the same row alone, for any number of
// threads and any requested outputs.
void test_blocks() {
  Random random(3);
  const LogitShape s = {200, 12, 32999};  // with dw a block has 127 rows at most
  for (const char* isa : kIsas) {
    TestContext one(isa, 1), two(isa, 2);
    if (one.status() != PRECIS_OK) continue;
    for (int32_t dtype : kLogitTypes) {
      Pair p(random, s, dtype, PRECIS_FLOAT32, PRECIS_FLOAT32, 0.1);
      Pair again(random, s, dtype, PRECIS_FLOAT32, PRECIS_FLOAT32, 0.1);
      p.dw.fill(0);
      again.dw.fill(0);
      Args args = p.all(one);
      EXPECT_OK(one, precis_log_probability(one, &args));
      args.log_probabilities = again.log_probabilities;
      args.entropies = again.entropies;
      args.divergences = again.divergences;
      args.dx = again.dx;
      args.dw = again.dw;
      EXPECT_OK(two, precis_log_probability(two, &args));
      auto same = [&](bool dx, bool divergences, int64_t count, int64_t first) {
        int64_t differ = 0;
        for (int64_t m = 0; m < count; m++) {
          auto differs = [&](const GuardedTensor& a, const GuardedTensor& b) {
            return std::memcmp(a.data<float>() + first + m, b.data<float>() + m, 4) != 0;
          };
          differ += dx && first_difference(p.dx, first + m, again.dx, m) >= 0;
          differ += differs(p.log_probabilities, again.log_probabilities);
          differ += differs(p.entropies, again.entropies);
          differ += divergences && differs(p.divergences, again.divergences);
        }
        EXPECT(differ == 0, "%s: %lld differ from row %lld on", two.name(),
               static_cast<long long>(differ), static_cast<long long>(first));
      };
      same(true, true, s.rows, 0);
      int64_t differ = 0;
      for (int64_t v = 0; v < s.tokens; v++) {
        differ += first_difference(p.dw, v, again.dw, v) >= 0;
      }
      EXPECT(differ == 0, "%s: %lld rows of dw", two.name(), static_cast<long long>(differ));
      // Calls without dw or without a reference have blocks of another size.
      args.dw = {};
      again.dx.fill(-1);
      EXPECT_OK(two, precis_log_probability(two, &args));
      same(true, true, s.rows, 0);
      args.dx = args.divergences = args.dlog_probabilities = {};
      again.log_probabilities.fill(-1);
      again.entropies.fill(-1);
      EXPECT_OK(two, precis_log_probability(two, &args));
      same(false, false, s.rows, 0);
      for (int64_t m : {int64_t{0}, int64_t{100}, s.rows - 1}) {
        Args row = args;
        row.divergences = again.divergences;
        row.x = some_rows(p.layer.x, m, 1);
        row.reference_x = some_rows(p.reference.x, m, 1);
        row.labels.data = p.layer.labels.data<int32_t>() + m;
        for (precis_tensor* t :
             {&row.labels, &row.log_probabilities, &row.entropies, &row.divergences}) {
          t->dims[0] = 1;
        }
        EXPECT_OK(two, precis_log_probability(two, &row));
        same(false, true, 1, m);
      }
    }
  }
}

// A small divergence is not lost in the rounding of the logarithms whose difference it is, and the
// divergence of a policy from itself is 0.
void test_near_reference(std::vector<TestContext>& contexts) {
  Random random(4);
  const LogitShape s = {12, 40, 3001};
  Pair p(random, s, PRECIS_FLOAT32, PRECIS_FLOAT32, PRECIS_FLOAT32, 0.2);
  p.layer.x.fill_normal(random, 3);
  copy_elements(p.layer.x, p.reference.x);
  GuardedTensor divergences = row_vector(s.rows);
  for (TestContext& context : contexts) {
    Args args = p.all(context);
    leave_out(args, 12);
    args.reference_w = args.w;
    EXPECT_OK(context, precis_log_probability(context, &args));
    for (int64_t m = 0; m < s.rows; m++) {
      EXPECT(p.divergences.at(0, m) == 0, "%s: %g", context.name(), p.divergences.at(0, m));
    }
  }
  for (int64_t m = 0; m < s.rows; m++) {
    for (int64_t d = 0; d < s.width; d++) {
      store_element(p.reference.x, m, d, p.layer.x.at(m, d) * (1 + 0x1p-6 * random.normal()));
    }
  }
  Args want = p.all(contexts[0]);
  leave_out(want, 12);
  want.divergences = divergences;
  log_probability_ref(want, p.layer.w.args(), p.layer.w.args());
  for (TestContext& context : contexts) {
    Args args = p.all(context);
    leave_out(args, 12);
    args.reference_w = args.w;
    EXPECT_OK(context, precis_log_probability(context, &args));
    for (int64_t m = 0; m < s.rows; m++) {
      EXPECT(p.layer.left_out(m) || (divergences.at(0, m) > 1e-5 && divergences.at(0, m) < 1e-2),
             "%g is not small", divergences.at(0, m));
    }
    expect_close(p.divergences, divergences, 1e-3, 5e-7, context.name());
  }
}

void test_special_values(std::vector<TestContext>& contexts) {
  Random random(5);
  const LogitShape s = {5, 20, 70};
  for (int32_t dtype : kLogitTypes) {
    Pair p(random, s, dtype, PRECIS_FLOAT32, PRECIS_FLOAT32, 0);
    store_element(p.layer.x, 1, 3, NAN);
    // With logits of thousands nothing overflows.
    for (int64_t d = 0; d < s.width; d++) {
      store_element(p.layer.x, 2, d, 5e3 * random.normal());
      store_element(p.reference.x, 2, d, 5e3 * random.normal());
    }
    // Rows that are left out may contain anything.
    p.layer.labels.data<int32_t>()[3] = kIgnoredLabel;
    store_element(p.layer.x, 3, 0, NAN);
    store_element(p.reference.x, 3, 0, NAN);
    store_element(p.dlog_probabilities, 0, 3, NAN);
    // NaN in the reference affects only the divergence.
    store_element(p.reference.x, 4, 0, NAN);
    for (TestContext& context : contexts) {
      Args args = p.all(context);
      args.dw = {};
      EXPECT_OK(context, precis_log_probability(context, &args));
      for (int64_t m = 0; m < s.rows; m++) {
        const double l = p.log_probabilities.at(0, m), h = p.entropies.at(0, m);
        const double k = p.divergences.at(0, m);
        EXPECT(m == 1 ? std::isnan(l) : std::isfinite(l) && l <= 0, "%s: row %lld has %g",
               context.name(), static_cast<long long>(m), l);
        EXPECT(m == 1 ? std::isnan(h) : std::isfinite(h) && h >= 0, "%s: row %lld has %g",
               context.name(), static_cast<long long>(m), h);
        EXPECT(m == 1 || m == 4 ? std::isnan(k) : std::isfinite(k), "%s: row %lld has %g",
               context.name(), static_cast<long long>(m), k);
        EXPECT(std::isnan(p.dx.at(m, 7)) == (m == 1), "%s", context.name());
      }
      for (GuardedTensor* t : {&p.log_probabilities, &p.entropies, &p.divergences}) {
        EXPECT(t->at(0, 3) == 0, "%s: %g", context.name(), t->at(0, 3));
      }
      EXPECT(p.dx.at(3, 0) == 0 && p.dx.at(3, s.width - 1) == 0, "%s", context.name());
    }
  }
}

void test_refusals(TestContext& context) {
  Random random(6);
  const LogitShape s = {4, 33, 70};
  Pair p(random, s, PRECIS_BFLOAT16, PRECIS_FLOAT32, PRECIS_FLOAT32, 0);
  const Args good = p.all(context);
  GuardedTensor* const outputs[] = {&p.log_probabilities, &p.entropies, &p.divergences, &p.dx,
                                    &p.dw};
  for (GuardedTensor* t : outputs) t->fill(7);
  auto refused = [&](auto change, const char* text) {
    Args args = good;
    change(args);
    EXPECT_REFUSED(context, precis_log_probability(context, &args), text);
  };
  for (int32_t label : {70, -1, -99, INT32_MAX}) {
    p.layer.labels.data<int32_t>()[3] = label;
    refused([](Args&) {}, ("labels[3] is " + std::to_string(label)).c_str());
  }
  p.layer.labels.data<int32_t>()[3] = 69;
  refused([](Args& a) { a.x.dims[1] = 32; }, "x has 32");
  refused([](Args& a) { a.x.dtype = PRECIS_INT32; }, "x cannot be int32");
  refused([](Args& a) { a.w.dtype = PRECIS_INT8; }, "w cannot be int8");
  refused([](Args& a) { a.labels.dims[0] = 3; }, "labels has 3");
  refused([](Args& a) { a.labels.dtype = PRECIS_INT64; }, "labels cannot be int64");
  refused([](Args& a) { a.dx.dims[1] = 32; }, "dx has 32");
  refused([](Args& a) { a.dx.dtype = PRECIS_BFLOAT16; }, "dx cannot be bfloat16");
  refused([](Args& a) { a.dw.dims[0] = 71; }, "dw has 71");
  refused([](Args& a) { a.w_transposed = a.w; }, "w_transposed has 70 outputs and 33 inputs");
  refused([](Args& a) { a.w_transposed.data = nullptr; }, "w_transposed has data at");
  refused([](Args& a) { a.reference_x.dims[0] = 3; }, "reference_x has 3");
  refused([](Args& a) { a.reference_x.dims[1] = 32; }, "reference_x has 32");
  refused([](Args& a) { a.reference_x.dtype = PRECIS_INT8; }, "reference_x cannot be int8");
  refused([](Args& a) { a.reference_x.data = nullptr; }, "reference_x has no data");
  refused([](Args& a) { a.reference_w.dtype = PRECIS_INT8; }, "reference_w cannot be int8");
  refused([](Args& a) { a.reference_w.data = nullptr; }, "reference_w has data at");
  refused([](Args& a) { a.reference_w = a.w_transposed; },
          "reference_w has 33 outputs and 70 inputs, but w has 70 and 33");
  struct Vector {
    precis_tensor Args::*tensor;
    const char* name;
    bool output;
  };
  const Vector vectors[] = {{&Args::dlog_probabilities, "dlog_probabilities", false},
                            {&Args::log_probabilities, "log_probabilities", true},
                            {&Args::entropies, "entropies", true},
                            {&Args::divergences, "divergences", true}};
  for (const Vector& v : vectors) {
    const std::string name = v.name;
    refused([&](Args& a) { (a.*v.tensor).dims[0] = 3; }, (name + " has 3").c_str());
    refused([&](Args& a) { (a.*v.tensor).rank = 2; }, (name + " has rank 2").c_str());
    refused([&](Args& a) { (a.*v.tensor).dtype = PRECIS_BFLOAT16; },
            (name + " cannot be bfloat16").c_str());
    if (!v.output) continue;
    for (precis_tensor Args::*other : {&Args::x, &Args::labels, &Args::reference_x,
                                       &Args::dlog_probabilities, &Args::dx, &Args::dw}) {
      refused([&](Args& a) { (a.*v.tensor).data = (a.*other).data; }, "overlaps");
    }
    for (const Vector& other : vectors) {
      if (!other.output || &other >= &v) continue;
      refused([&](Args& a) { (a.*v.tensor).data = (a.*other.tensor).data; },
              (name + " overlaps " + other.name).c_str());
    }
  }
  refused([](Args& a) { a.log_probabilities.data = nullptr; }, "log_probabilities has no data");
  refused([](Args& a) { a.dlog_probabilities.data = nullptr; }, "dlog_probabilities has no data");
  refused([](Args& a) { a.dx.data = a.x.data; }, "dx overlaps x");
  refused([](Args& a) { a.dw.data = a.dx.data; }, "dw overlaps");
  refused([](Args& a) { a.dx = a.dw = {}; }, "there are dlog_probabilities, but neither dx nor dw");
  refused([](Args& a) { a.scale = NAN; }, "scale is nan");
  EXPECT(precis_log_probability(context, nullptr) == PRECIS_INVALID_ARGUMENT);
  for (GuardedTensor* t : outputs) {
    for (int64_t r = 0; r < rows(*t); r++) EXPECT(t->at(r, 3) == 7);
  }
  // Outputs that are not requested are not checked.
  Args least = good;
  leave_out(least, 0);
  least.w_transposed = {};
  EXPECT_OK(context, precis_log_probability(context, &least));
}

}  // namespace

int main() {
  std::vector<TestContext> contexts = all_contexts();
  add_onednn(contexts);
  test_sizes(contexts);
  test_finite_differences();
  test_blocks();
  test_near_reference(contexts);
  test_special_values(contexts);
  test_refusals(contexts.back());
  return test_result();
}
