// Timing for the native benchmarks: the median of repeated runs, after a warm-up.
#ifndef PRECIS_BENCH_BENCH_H_
#define PRECIS_BENCH_BENCH_H_

#include <algorithm>
#include <chrono>
#include <vector>

namespace precis {

// Median microseconds of one call of f over about 200 ms.
template <class F>
double median_microseconds(const F& f) {
  using Clock = std::chrono::steady_clock;
  for (int i = 0; i < 5; i++) f();
  std::vector<double> times;
  const auto start = Clock::now();
  while (times.size() < 10 || Clock::now() - start < std::chrono::milliseconds(200)) {
    const auto before = Clock::now();
    f();
    times.push_back(std::chrono::duration<double, std::micro>(Clock::now() - before).count());
  }
  std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
  return times[times.size() / 2];
}

}  // namespace precis

#endif  // PRECIS_BENCH_BENCH_H_
