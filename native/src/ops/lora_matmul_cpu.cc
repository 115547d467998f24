#include "ops/lora_matmul.h"
#include "ops/matmul_product.h"

namespace precis {
namespace PRECIS_ISA {

void lora_matmul_cpu(CpuContext& context, const precis_lora_matmul_args& a) {
  matmul_product(context, {a.x, a.w, a.y, a.alpha, a.accumulate != 0, &a.a, &a.b, a.segments,
                           a.segment_count});
}

}  // namespace PRECIS_ISA
}  // namespace precis
