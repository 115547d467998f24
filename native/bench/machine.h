// Helpers that the attention benchmarks share: clocks, tensors of random numbers.
#ifndef PRECIS_BENCH_MACHINE_H_
#define PRECIS_BENCH_MACHINE_H_

#include <algorithm>
#include <chrono>
#include <vector>

#include "test.h"

namespace precis {

inline double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct Times {
  double least, p20, p50, p80;
};

// Calls f for about this many seconds, and at least 15 times.
template <class F>
inline Times measure(const F& f, double duration = 0.7) {
  std::vector<double> seconds;
  f();
  const double start = now();
  while (seconds.size() < 15 || (now() - start < duration && seconds.size() < 2000)) {
    const double t = now();
    f();
    seconds.push_back(now() - t);
  }
  std::sort(seconds.begin(), seconds.end());
  const size_t n = seconds.size();
  return {seconds[0], seconds[n / 5], seconds[n / 2], seconds[n * 4 / 5]};
}

inline precis_tensor tensor(precis_context* context, int32_t dtype, int64_t rows, int64_t columns,
                            Random& random) {
  precis_tensor t = {};
  t.rank = 2;
  t.dtype = dtype;
  t.dims[0] = rows;
  t.dims[1] = columns;
  if (precis_allocate(context, rows * columns * (dtype == PRECIS_BFLOAT16 ? 2 : 4), &t.data) !=
      PRECIS_OK) {
    std::printf("%s\n", precis_last_error(context));
    std::exit(1);
  }
  for (int64_t r = 0; r < rows; r++) {
    for (int64_t c = 0; c < columns; c++) {
      store_element(t, r, c, 0.7 * (random.uniform() + random.uniform() + random.uniform() - 1.5));
    }
  }
  return t;
}

inline void release(precis_context* context, const precis_tensor& t) {
  (void)precis_free(context, t.data, rows(t) * columns(t) * (t.dtype == PRECIS_BFLOAT16 ? 2 : 4));
}

inline void check(precis_context* context, precis_status status) {
  if (status == PRECIS_OK) return;
  std::printf("%s\n", precis_last_error(context));
  std::exit(1);
}

inline const char* name(int32_t dtype) { return dtype == PRECIS_BFLOAT16 ? "bf16" : "f32"; }

// Opens the context that a benchmark's first two arguments name, a number of threads and an
// instruction set, and prints it. Ends the program where there is no such context.
inline TestContext open_context(int argc, char** argv, precis_context_info* info) {
  TestContext context(argc > 2 && argv[2][0] != 0 ? argv[2] : nullptr,
                      argc > 1 ? std::atoi(argv[1]) : 0);
  if (context.status() != PRECIS_OK) {
    std::printf("%s\n", context.error().c_str());
    std::exit(1);
  }
  check(context, precis_context_describe(context, info));
  std::printf("%s, %d threads\n", info->isa, info->threads);
  return context;
}

}  // namespace precis

#endif  // PRECIS_BENCH_MACHINE_H_
