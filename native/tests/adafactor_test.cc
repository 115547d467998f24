#include "adafactor_cases.h"

using namespace precis;

namespace {

// If the squares of the gradient are an outer product, the factored moments are exact, and the
// same gradient at every step leaves u = sign(g): an update of lr min(1, clip_threshold), scaled by
// the parameter's size or at least epsilon2.
void check_reference(bool matrix) {
  const int64_t n = matrix ? 3 : 1, k = 4;
  const std::vector<int64_t> dims = matrix ? std::vector<int64_t>{n, k} : std::vector<int64_t>{k};
  GuardedTensor p(kReferenceFloat64, dims), g(kReferenceFloat64, dims);
  GuardedTensor row_moments(kReferenceFloat64, {matrix ? n : k});
  GuardedTensor column_moments(kReferenceFloat64, {k});
  row_moments.fill(0);
  column_moments.fill(0);
  p.fill(0.5);
  for (int64_t r = 0; r < n; r++) {
    for (int64_t c = 0; c < k; c++) {
      store_element(g, r, c, ((r + c) % 2 == 0 ? 1 : -1) * (r + 1.0) * (c + 0.5));
    }
  }
  for (int64_t step = 1; step <= 4; step++) {
    const bool scaled = step != 2, clipped = step == 3;
    if (step == 4) p.fill(1e-5f);
    GuardedTensor before(kReferenceFloat64, dims);
    copy_elements(p, before);
    precis_adafactor_args args = {p,     g,     row_moments, column_moments, step,
                                  0.25f, -0.8f, 1e-30f,      1e-3f,          clipped ? 0.5f : 1.0f,
                                  0,     2,     scaled};
    adafactor_ref(args);
    double squares = 0;
    for (int64_t i = 0; i < n * k; i++) squares += std::pow(before.at(i / k, i % k), 2);
    const double size = std::fmax(1e-3f, std::sqrt(squares / (n * k)));
    const double update = 0.25 * (scaled ? size : 1) * (clipped ? 0.5 : 1);
    for (int64_t r = 0; r < n; r++) {
      for (int64_t c = 0; c < k; c++) {
        const double want = before.at(r, c) - ((r + c) % 2 == 0 ? update : -update);
        EXPECT(std::fabs(p.at(r, c) - want) < 1e-12, "step %d: %.15g, not %.15g",
               static_cast<int>(step), p.at(r, c), want);
      }
    }
  }
}

}  // namespace

int main() {
  check_reference(true);
  check_reference(false);
  Random random(19);
  struct Case {
    std::vector<int64_t> dims;
  };
  for (const Case& shape :
       {Case{{0}}, Case{{1}}, Case{{17}}, Case{{40001}}, Case{{0, 5}}, Case{{5, 0}}, Case{{1, 1}},
        Case{{3, 7}}, Case{{5, 64}}, Case{{67, 33}}, Case{{2100, 17}}, Case{{2, 4099}}}) {
    const bool matrix = shape.dims.size() == 2;
    const int64_t k = shape.dims.back();
    for (int variant = 0; variant < kAdafactorVariants; variant++) {
      for (int64_t step : {1, 2, 500}) {
        AdafactorCase before(shape.dims, variant, step, 2, 3, random);
        precis_adafactor_args args = adafactor_settings(variant, step);
        before.by_reference(args);
        args.gradient = before.gradient;
        std::string isa;
        GuardedTensor first(PRECIS_FLOAT32, shape.dims);
        for (TestContext& context : all_contexts()) {
          GuardedTensor q(PRECIS_FLOAT32, shape.dims, 1, 2);
          GuardedTensor r(PRECIS_FLOAT32, {shape.dims[0]}, 0, 1), c(PRECIS_FLOAT32, {k}, 0, 5);
          copy_elements(before.parameter, q);
          copy_elements(before.row, r);
          copy_elements(before.column, c);
          args.parameter = q;
          args.row = r;
          if (matrix) args.column = c;
          if (!matrix) args.column = {};
          EXPECT_OK(context, precis_adafactor(context, &args));
          EXPECT(q.intact() && r.intact() && c.intact(), "%s", context.name());
          expect_close(r, before.want_row, 4e-6, 0, context.name());
          if (matrix) expect_close(c, before.want_column, 4e-6, 0, context.name());
          expect_close(q, before.want, 2e-6, 1e-7, context.name());
          if (isa == context.isa()) expect_close(q, first, 0, 0, context.name());
          copy_elements(q, first);
          isa = context.isa();
        }
      }
    }
  }
  for (TestContext& context : all_contexts()) {
    GuardedTensor p(PRECIS_FLOAT32, {4, 8}), g(PRECIS_FLOAT32, {4, 8});
    GuardedTensor r(PRECIS_FLOAT32, {4}), c(PRECIS_FLOAT32, {8});
    p.fill(1);
    g.fill(NAN);
    r.fill(0);
    c.fill(0);
    const precis_adafactor_args good = {p, g, r, c, 1, 0.1f, -0.8f, 1e-30f, 1e-3f, 1, 0, 1, 1};
    precis_adafactor_args args = good;
    EXPECT_OK(context, precis_adafactor(context, &args));
    EXPECT(std::isnan(p.at(3, 7)), "%s: NaN went unseen", context.name());
    args = good;
    args.row = c;
    EXPECT_REFUSED(context, precis_adafactor(context, &args), "row has 8");
    args = good;
    args.column = r;
    EXPECT_REFUSED(context, precis_adafactor(context, &args), "column has 4");
    args = good;
    args.parameter.rank = 3;
    EXPECT_REFUSED(context, precis_adafactor(context, &args), "parameter has rank 3");
    args = good;
    args.gradient.rank = 1;
    EXPECT_REFUSED(context, precis_adafactor(context, &args), "gradient has rank 1");
    args = good;
    args.column.data = r.data<float>();
    EXPECT_REFUSED(context, precis_adafactor(context, &args), "column overlaps row");
    args = good;
    args.decay_rate = 0.8f;
    EXPECT_REFUSED(context, precis_adafactor(context, &args), "decay_rate is 0.8");
    args = good;
    args.clip_threshold = 0;
    EXPECT_REFUSED(context, precis_adafactor(context, &args), "clip_threshold is 0");
    args = good;
    args.step = 0;
    EXPECT_REFUSED(context, precis_adafactor(context, &args), "step is 0");
  }
  return test_result();
}
