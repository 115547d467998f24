#include "ops/dropout.h"
#include "random/dropout_mask.h"

namespace precis {

void dropout_ref(const precis_dropout_args& a) {
  const uint32_t threshold = dropout_threshold(a.probability);
  const int64_t width = columns(a.x);
  for (int64_t m = 0; m < rows(a.x); m++) {
    const DropoutRow of =
        dropout_row(static_cast<const int64_t*>(a.dropout_rows.data), m, a.offset);
    for (int64_t n = 0; n < width; n++) {
      const uint64_t index = of.row * width + n;
      const bool kept = dropout_keeps(a.seed, of.offset, index, threshold);
      const double y = kept ? load_element(a.x, m, n) / (1 - double{a.probability}) : 0;
      store_element(a.y, m, n, (a.accumulate ? load_element(a.y, m, n) : 0) + y);
    }
  }
}

}  // namespace precis
