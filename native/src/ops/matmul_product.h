// The product that the CPU kernels of matmul and lora_matmul share.
#ifndef PRECIS_OPS_MATMUL_PRODUCT_H_
#define PRECIS_OPS_MATMUL_PRODUCT_H_

#include "ops/op.h"

namespace precis {

// y = alpha (x W' + low-rank terms) (+ y). a and b are NULL where there are no such terms.
struct MatmulProduct {
  precis_tensor x;
  precis_packed_matrix w;
  precis_tensor y;
  float alpha;
  bool accumulate;
  const precis_packed_matrix* a;
  const precis_packed_matrix* b;
  const precis_lora_segment* segments;
  int segment_count;
  precis_tensor lora_x = {}; /* the input of a; without data it is x */
  precis_tensor down = {};   /* optional */
};

PRECIS_DECLARE_CPU_KERNEL(matmul_product, MatmulProduct)

}  // namespace precis

#endif  // PRECIS_OPS_MATMUL_PRODUCT_H_
