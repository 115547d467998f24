// Checks that matmul and lora_matmul share.
#ifndef PRECIS_OPS_PRODUCT_CHECKS_H_
#define PRECIS_OPS_PRODUCT_CHECKS_H_

#include "check.h"

namespace precis {

// y = alpha x W' (+ y)
void check_product(const Check& check, const precis_tensor& x, const precis_packed_matrix& w,
                   const precis_tensor& y, int32_t accumulate);

}  // namespace precis

#endif  // PRECIS_OPS_PRODUCT_CHECKS_H_
