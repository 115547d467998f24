#include "ops/sum_of_squares.h"

namespace precis {

void sum_of_squares_ref(const precis_sum_of_squares_args& a) {
  long double sum = 0;
  for (int64_t i = 0; i < columns(a.x); i++) {
    const double x = load_element(a.x, 0, i);
    sum += x * x;
  }
  *a.result = static_cast<double>(sum);
}

}  // namespace precis
