#include <cstddef>

#include "ops/lora_matmul.h"
#include "ops/matmul_product.h"

namespace precis {
namespace PRECIS_ISA {

void lora_matmul_cpu(CpuContext& context, const precis_lora_matmul_args& a) {
  if (a.down.data != nullptr && a.segment_count == 0) {
    for (int64_t m = 0; m < rows(a.down); m++) {
      __builtin_memset(row<float>(a.down, m), 0, static_cast<size_t>(columns(a.down)) * 4);
    }
  }
  matmul_product(context, {a.x, a.w, a.y, a.alpha, a.accumulate != 0, &a.a, &a.b, a.segments,
                           a.segment_count, a.lora_x, a.down});
}

}  // namespace PRECIS_ISA
}  // namespace precis
