#include "ops/convert.h"

namespace precis {

void convert_ref(const precis_convert_args& a) {
  for (int64_t r = 0; r < rows(a.x); r++) {
    for (int64_t c = 0; c < columns(a.x); c++) store_element(a.y, r, c, load_element(a.x, r, c));
  }
}

}  // namespace precis
