#include "ops/convert.h"

namespace precis {

void convert_ref(const precis_convert_args& a) {
  for (int64_t r = 0; r < rows(a.x); r++) {
    for (int64_t c = 0; c < columns(a.x); c++) {
      // The conversion must not go through double, which would quiet a signaling NaN.
      const float x = a.x.dtype == PRECIS_BFLOAT16 ? bf16_to_float(row<const uint16_t>(a.x, r)[c])
                                                   : row<const float>(a.x, r)[c];
      if (a.y.dtype == PRECIS_BFLOAT16) {
        row<uint16_t>(a.y, r)[c] = float_to_bf16(x);
      } else {
        row<float>(a.y, r)[c] = x;
      }
    }
  }
}

}  // namespace precis
