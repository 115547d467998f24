// Timing for the native benchmarks: the median or the minimum of repeated runs, after a warm-up.
#ifndef PRECIS_BENCH_BENCH_H_
#define PRECIS_BENCH_BENCH_H_

#include <algorithm>
#include <chrono>
#include <vector>

namespace precis {

// Returns the microseconds of each call of f over about 200 ms.
template <class F>
std::vector<double> call_microseconds(const F& f) {
  using Clock = std::chrono::steady_clock;
  for (int i = 0; i < 5; i++) f();
  std::vector<double> times;
  const auto start = Clock::now();
  while (times.size() < 10 || Clock::now() - start < std::chrono::milliseconds(200)) {
    const auto before = Clock::now();
    f();
    times.push_back(std::chrono::duration<double, std::micro>(Clock::now() - before).count());
  }
  return times;
}

template <class F>
double median_microseconds(const F& f) {
  std::vector<double> times = call_microseconds(f);
  std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
  return times[times.size() / 2];
}

template <class F>
double least_microseconds(const F& f) {
  const std::vector<double> times = call_microseconds(f);
  return *std::min_element(times.begin(), times.end());
}

}  // namespace precis

#endif  // PRECIS_BENCH_BENCH_H_
