// Measures the memory-bound operations of training: gigabytes per second, of the bytes that the
// formula has to read and write, in the fastest of many calls, and the share of the ceiling that
// changing memory in place has. Operands of 256 rows come from the caches, where a share may exceed
// 100 %.
//
//   training_bench [isa] [threads]

#include <functional>

#include "bench.h"
#include "ceilings.h"
#include "test.h"

using namespace precis;

int main(int argc, char** argv) {
  TestContext context(argc > 1 ? argv[1] : nullptr, argc > 2 ? std::atoi(argv[2]) : 0);
  if (context.status() != PRECIS_OK) {
    std::printf("%s\n", context.error().c_str());
    return 1;
  }
  Random random(1);
  precis_context_info info;
  EXPECT_OK(context, precis_context_describe(context, &info));
  const Ceilings ceilings(info.threads);
  ceilings.print();
  std::printf("%-28s %12s %8s %6s   %s\n", "", "microseconds", "GB/s", "share", context.name());
  auto time = [&](const char* name, double bytes, const std::function<precis_status()>& call) {
    if (call() != PRECIS_OK) std::printf("%s: %s\n", name, precis_last_error(context));
    const double us = least_microseconds(call);
    std::printf("%-28s %12.1f %8.1f %4.0f %%\n", name, us, bytes / us / 1e3,
                ceilings.share(PRECIS_FLOAT32, 0, 0, bytes, us * 1e-6));
  };

  const int64_t count = 16 << 20;
  GuardedTensor p(PRECIS_FLOAT32, {count}), g(PRECIS_FLOAT32, {count});
  GuardedTensor m(PRECIS_FLOAT32, {count}), v(PRECIS_FLOAT32, {count});
  p.fill_normal(random);
  g.fill_normal(random);
  m.fill(0);
  v.fill(0);
  time("copy (convert)", 8.0 * count, [&] {
    precis_convert_args args = {g, m};
    return precis_convert(context, &args);
  });
  double result;
  time("sum_of_squares", 4.0 * count, [&] {
    precis_sum_of_squares_args args = {g, &result};
    return precis_sum_of_squares(context, &args);
  });
  time("adam", 28.0 * count, [&] {
    precis_adam_args args = {p, g, m, v, 1, 1e-4f, 0.9f, 0.999f, 1e-8f, 0.01f, 1, 1, 0};
    return precis_adam(context, &args);
  });
  time("sgd with momentum", 20.0 * count, [&] {
    precis_sgd_args args = {p, g, m, 2, 1e-4f, 0.9f, 0.01f, 1};
    return precis_sgd(context, &args);
  });
  GuardedTensor row_moments(PRECIS_FLOAT32, {4096}), column_moments(PRECIS_FLOAT32, {4096});
  row_moments.fill(1);
  column_moments.fill(1);
  time("adafactor", 24.0 * count, [&] {
    precis_adafactor_args args = {
        p, g, row_moments, column_moments, 2, 1e-4f, -0.8f, 1e-30f, 1e-3f, 1, 0, 1, 1};
    for (precis_tensor* t : {&args.parameter, &args.gradient}) {
      t->rank = 2;
      t->dims[0] = t->dims[1] = t->row_stride = 4096;
    }
    return precis_adafactor(context, &args);
  });

  for (int64_t rows : {256, 8192}) {
    const int64_t width = 768, size = rows * width;
    std::printf("%lld rows of %lld\n", static_cast<long long>(rows), static_cast<long long>(width));
    GuardedTensor x(PRECIS_FLOAT32, {rows, width}), y(PRECIS_FLOAT32, {rows, width});
    GuardedTensor dy(PRECIS_FLOAT32, {rows, width}), dx(PRECIS_FLOAT32, {rows, width});
    GuardedTensor weight(PRECIS_FLOAT32, {width}), dweight(PRECIS_FLOAT32, {width});
    GuardedTensor bias(PRECIS_FLOAT32, {width}), dbias(PRECIS_FLOAT32, {width});
    for (GuardedTensor* t : {&x, &y, &dy, &dx, &weight, &bias}) t->fill_normal(random);
    dweight.fill(0);
    dbias.fill(0);
    time("add", 12.0 * size, [&] {
      precis_add_args args = {x, y, 1e-6f, 0};
      return precis_add(context, &args);
    });
    for (float probability : {0.0f, 0.1f}) {
      time(probability > 0 ? "dropout 0.1" : "dropout 0", 8.0 * size, [&] {
        precis_dropout_args args = {x, y, 1, 2, probability, 0, {}};
        return precis_dropout(context, &args);
      });
    }
    time("rms_norm", 8.0 * size, [&] {
      precis_rms_norm_args args = {x, weight, y, 1e-6f, 0};
      return precis_rms_norm(context, &args);
    });
    time("rms_norm_backward, dx", 12.0 * size, [&] {
      precis_rms_norm_backward_args args = {x, weight, dy, dx, {}, 1e-6f, 0};
      return precis_rms_norm_backward(context, &args);
    });
    time("rms_norm_backward, dweight", 12.0 * size, [&] {
      precis_rms_norm_backward_args args = {x, weight, dy, dx, dweight, 1e-6f, 0};
      return precis_rms_norm_backward(context, &args);
    });
    GuardedTensor gates(PRECIS_FLOAT32, {rows, 2 * width}),
        dgates(PRECIS_FLOAT32, {rows, 2 * width});
    gates.fill_normal(random);
    time("gated gelu backward", 20.0 * size, [&] {
      precis_activation_backward_args args = {gates, dy, dgates, PRECIS_GELU_TANH, 1};
      return precis_activation_backward(context, &args);
    });
    GuardedTensor ids(PRECIS_INT32, {rows}), table(PRECIS_FLOAT32, {32128, width});
    for (int64_t t = 0; t < rows; t++) {
      ids.data<int32_t>()[t] = static_cast<int32_t>(random.below(32128));
    }
    table.fill(0);
    time("embedding_backward", 12.0 * size, [&] {
      precis_embedding_backward_args args = {ids, dy, table};
      return precis_embedding_backward(context, &args);
    });
  }
  return 0;
}
