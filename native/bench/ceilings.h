// The ceilings that benchmarks are held to: what libprecis_roofline measures on as many threads, each
// pinned to a core as those of libprecis are.
#ifndef PRECIS_BENCH_CEILINGS_H_
#define PRECIS_BENCH_CEILINGS_H_

#include <sched.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "precis.h"
#include "roofline.h"

namespace precis {

class Ceilings {
 public:
  // Measures each loop for a fifth of a second.
  explicit Ceilings(int threads) : threads_(threads) {
    std::vector<int32_t> cores;
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    (void)sched_getaffinity(0, sizeof allowed, &allowed);
    for (int32_t core = 0; core < CPU_SETSIZE; core++) {
      if (CPU_ISSET(core, &allowed) && static_cast<int>(cores.size()) < threads) {
        cores.push_back(core);
      }
    }
    const bool pinned = static_cast<int>(cores.size()) == threads;
    for (int32_t loop = 0; loop < precis_roofline_count(); loop++) {
      const std::string words = precis_roofline_describe(loop);
      double& rate = rates_[words.substr(0, words.find(','))];
      rate = std::max(rate, precis_roofline_measure(loop, pinned ? cores.data() : nullptr, threads,
                                                    4 * precis_roofline_cache(), 0.2));
    }
  }

  int threads() const { return threads_; }
  // Operations a second of the fastest instructions for a type, float32's among them; int4 is
  // multiplied as int8.
  double operations(int32_t dtype) const {
    const char* own = dtype == PRECIS_BFLOAT16                       ? "bfloat16"
                      : dtype == PRECIS_INT8 || dtype == PRECIS_INT4 ? "int8"
                                                                     : "float32";
    return std::max(of(own), of("float32"));
  }
  // Bytes a second of an array that exceeds every cache: read, and changed in place, where bytes
  // read and bytes written count.
  double reading() const { return of("read"); }
  double updating() const { return of("update"); }

  // The percentage of a time that operations of a type and bytes that are read, or read and written,
  // need at the ceilings, whichever is longer.
  double share(int32_t dtype, double operation_count, double bytes_read, double bytes_updated,
               double seconds) const {
    const double computing = operation_count / operations(dtype);
    const double moving = bytes_read / reading() + bytes_updated / updating();
    return 100 * std::max(computing, moving) / seconds;
  }

  void print() const {
    std::printf(
        "ceilings: float32 %.0f, bfloat16 %.0f, int8 %.0f G operations/s; reading %.1f, updating "
        "%.1f GB/s\n",
        operations(PRECIS_FLOAT32) * 1e-9, operations(PRECIS_BFLOAT16) * 1e-9,
        operations(PRECIS_INT8) * 1e-9, reading() * 1e-9, updating() * 1e-9);
  }

 private:
  double of(const std::string& kind) const {
    const auto found = rates_.find(kind);
    return found == rates_.end() ? 0 : found->second;
  }

  const int threads_;
  std::map<std::string, double> rates_;
};

}  // namespace precis

#endif  // PRECIS_BENCH_CEILINGS_H_
