// The product that the CPU kernels of matmul and lora_matmul share.
#ifndef PRECIS_OPS_MATMUL_PRODUCT_H_
#define PRECIS_OPS_MATMUL_PRODUCT_H_

#include "ops/op.h"

namespace precis {

// The matrices of low-rank terms; without segments there are none.
struct LowRankWeights {
  const precis_packed_matrix* a = nullptr;
  const precis_packed_matrix* b = nullptr;
  const precis_lora_segment* segments = nullptr;
  int segment_count = 0;
};

// y = alpha (x W' + low-rank terms) (+ y). The terms are those of low for all rows, or else those
// that rows have for themselves.
struct MatmulProduct {
  precis_tensor x;
  precis_packed_matrix w;
  precis_tensor y;
  float alpha;
  bool accumulate;
  LowRankWeights low = {};
  precis_tensor lora_x = {}; /* the input of A; without data it is x */
  precis_tensor down = {};   /* optional */
  const precis_lora_rows* row_adapters = nullptr;
  int row_adapter_count = 0; /* > 0: low has no segments, and there is no down */
};

PRECIS_DECLARE_CPU_KERNEL(matmul_product, MatmulProduct)

}  // namespace precis

#endif  // PRECIS_OPS_MATMUL_PRODUCT_H_
