#include <cmath>

#include "product_bench.h"
#include "weight_gradient.cuh"

namespace precis {

// The target is the same product without adapters, by cuBLASLt where there is one: the cost of the
// fusion. The backward pass computes the gradients of x, A and B; its target is that of x alone.
PRECIS_BENCH(lora_matmul) {
  for (const ProductShape& s : product_shapes(b)) {
    const ProductCase c(b, s);
    b.context().cublaslt = b.cublaslt();
    const double frozen = b.median([&] { return c.forward(b); });
    const double frozen_backward = b.median([&] { return c.backward(b); });
    b.context().cublaslt = nullptr;
    for (int64_t ranks : {16, 32, 64}) {
      if ((b.options().quick || b.options().tiny) && ranks == 64) continue;
      const precis_tensor a_values = b.tensor(PRECIS_FLOAT32, {ranks, s.k}, 0.3f);
      const precis_tensor b_values = b.tensor(PRECIS_FLOAT32, {s.n, ranks}, 0.3f);
      precis_lora_matmul_args args = {};
      args.x = c.x;
      args.w = c.w;
      args.a = b.pack(a_values);
      args.b = b.pack(b_values);
      args.y = c.y;
      args.down = b.tensor(PRECIS_FLOAT32, {s.m, ranks});
      args.segments[0] = {0, s.n, 0, ranks, 1, 0};
      args.segment_count = 1;
      args.alpha = 1;
      const double low = 2.0 * static_cast<double>(ranks * (s.k + s.n));
      const std::string of = " " + c.name + " rank " + std::to_string(ranks);
      const bool wanted = s.m > 32 && ranks <= 32;
      const double us = b.row(
          "lora_matmul" + of,
          {c.work.bytes + low, c.work.operations + low * static_cast<double>(s.m),
           wanted ? 1.10 * frozen : 0},
          [&] { return lora_matmul_cuda(b.context(), args); },
          [&] {
            const std::vector<double> in = b.row(c.x, s.m - 1), got = b.row(c.y, s.m - 1);
            const int64_t column = s.n - 1;
            const std::vector<double> up = b.row(args.b, column);
            double want = Bench::dot(in, b.row(c.w, column));
            for (int64_t r = 0; r < ranks; r++) {
              want += Bench::dot(in, b.row(args.a, r)) * up[static_cast<size_t>(r)];
            }
            b.expect_near(got.back(), want, kBfloat16, "lora_matmul");
          });

      precis_lora_matmul_args gradient = args;
      gradient.x = c.dy;
      gradient.w = c.w_transposed;
      gradient.a = b.pack(b_values, true);
      gradient.b = b.pack(a_values, true);
      gradient.y = c.dx;
      gradient.down = b.tensor(PRECIS_FLOAT32, {s.m, ranks});
      gradient.segments[0].output_end = s.k;
      const precis_tensor da = b.tensor(PRECIS_FLOAT32, {ranks, s.k});
      const precis_tensor db = b.tensor(PRECIS_FLOAT32, {s.n, ranks});
      // As the backend does, in one launch.
      WeightGradients gradients;
      gradients.add({gradient.down, c.x, da, 1, PRECIS_BFLOAT16, 0, 0}, nullptr);
      gradients.add({c.dy, args.down, db, 1, PRECIS_BFLOAT16, 0, 0}, nullptr);
      const precis_tensor finished =
          b.ids(std::vector<int32_t>(static_cast<size_t>(gradients.tiles)));
      const double backward_us = b.row(
          "  its dx, dA and dB",
          {c.work.bytes + low, c.work.operations + 2 * low * static_cast<double>(s.m),
           wanted ? 1.15 * frozen_backward : 0},
          [&] {
            PRECIS_RETURN_IF_ERROR(lora_matmul_cuda(b.context(), gradient));
            return weight_gradients(b.context(), gradients, static_cast<uint32_t*>(finished.data));
          },
          [&] {
            b.expect_finite(c.dx, "dx is not finite");
            // One element of each gradient, as a sum in double.
            double want_a = 0, want_b = 0, size_a = 0, size_b = 0;
            const std::vector<double> dt =
                b.rows(gradient.down.data, PRECIS_FLOAT32, 1, 0, s.m * ranks);
            const std::vector<double> t = b.rows(args.down.data, PRECIS_FLOAT32, 1, 0, s.m * ranks);
            const std::vector<double> all_x = b.rows(c.x.data, c.x.dtype, 1, 0, s.m * s.k);
            const std::vector<double> all_dy = b.rows(c.dy.data, c.dy.dtype, 1, 0, s.m * s.n);
            for (int64_t i = 0; i < s.m; i++) {
              const double a_term = dt[static_cast<size_t>(i * ranks)] *
                                    all_x[static_cast<size_t>(i * s.k + s.k - 1)];
              const double b_term = all_dy[static_cast<size_t>(i * s.n + s.n - 1)] *
                                    t[static_cast<size_t>(i * ranks)];
              want_a += a_term;
              want_b += b_term;
              size_a += a_term * a_term;
              size_b += b_term * b_term;
            }
            b.expect(std::fabs(b.row(da, 0).back() - want_a) <= kBfloat16 * std::sqrt(size_a),
                     "dA");
            b.expect(std::fabs(b.row(db, s.n - 1)[0] - want_b) <= kBfloat16 * std::sqrt(size_b),
                     "dB");
          });
      std::printf("%46s %.2fx forward, %.2fx backward of the product alone%s\n", "", us / frozen,
                  backward_us / frozen_backward,
                  b.cublaslt() != nullptr ? " by cuBLASLt" : " by our kernel");
    }
    b.release();
  }
}

}  // namespace precis
