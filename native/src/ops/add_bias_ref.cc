#include "ops/add_bias.h"

namespace precis {

void add_bias_ref(const precis_add_bias_args& a) {
  for (int64_t m = 0; m < rows(a.y); m++) {
    for (int64_t n = 0; n < columns(a.y); n++) {
      store_element(a.y, m, n, load_element(a.y, m, n) + load_element(a.bias, 0, n));
    }
  }
}

}  // namespace precis
