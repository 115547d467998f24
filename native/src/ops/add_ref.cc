#include "ops/add.h"

namespace precis {

void add_ref(const precis_add_args& a) {
  for (int64_t m = 0; m < rows(a.x); m++) {
    for (int64_t n = 0; n < columns(a.x); n++) {
      store_element(a.y, m, n, load_element(a.y, m, n) + a.alpha * load_element(a.x, m, n));
    }
  }
}

}  // namespace precis
