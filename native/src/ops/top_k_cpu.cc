// One pass finds the maximum of every group of 64. The k-th largest of the maxima is a lower bound
// of the k-th largest value, so only groups whose maximum reaches it are searched. The values found
// there, seldom more than 2 k, are selected and sorted as integers that combine value and index, so
// no two are equal.

#include "context.h"
#include "cpu/select.h"
#include "ops/row_errors.h"
#include "ops/row_groups.h"
#include "ops/top_k.h"

namespace precis {
namespace PRECIS_ISA {

void top_k_cpu(CpuContext& context, const precis_top_k_args& a) {
  const int64_t m = rows(a.x), n = columns(a.x), k = columns(a.values), groups = group_count(n);
  // keys, maxima, and a copy of them to select from
  const size_t bytes = static_cast<size_t>(n) * 8 + static_cast<size_t>(groups) * 8;
  char* scratch = static_cast<char*>(
      context.scratch.reserve(bytes * static_cast<size_t>(context.pool.threads())));
  FirstRow refused;
  parallel(context.pool, [&](int thread, int threads) {
    uint64_t* keys = reinterpret_cast<uint64_t*>(scratch + bytes * static_cast<size_t>(thread));
    float* maxima = reinterpret_cast<float*>(keys + n);
    for (int64_t r = m * thread / threads; r < m * (thread + 1) / threads; r++) {
      const float* x = row<const float>(a.x, r);
      const float largest = group_maxima(x, n, maxima);
      if (largest != largest) {
        refused.note(r, kNan);
        continue;
      }
      const float bound = lower_bound_of_kth(maxima, groups, k, maxima + groups);
      int64_t count = 0;
      for (int64_t g = 0; g < groups; g++) {
        if (maxima[g] < bound) continue;
        const int64_t end = g + 1 < groups ? (g + 1) * kGroup : n;
        for (int64_t i = g * kGroup; i < end; i++) {
          keys[count] = static_cast<uint64_t>(order_bits(x[i])) << 32 | (0xffffffffu - i);
          count += x[i] >= bound;
        }
      }
      sort_largest(keys, count, k);
      float* values = row<float>(a.values, r);
      int32_t* indices = row<int32_t>(a.indices, r);
      for (int64_t j = 0; j < k; j++) {
        indices[j] = static_cast<int32_t>(0xffffffffu - static_cast<uint32_t>(keys[j]));
        values[j] = x[indices[j]];
      }
    }
  });
  refused.check("top_k", "x");
}

}  // namespace PRECIS_ISA
}  // namespace precis
