// The table of CPU kernels, one instance per instruction set.
#ifndef PRECIS_CPU_KERNELS_H_
#define PRECIS_CPU_KERNELS_H_

#include "operations.h"
#include "precis.h"

namespace precis {

struct CpuContext;

struct CpuKernels {
#define PRECIS_DECLARE_KERNEL(op) void (*op)(CpuContext&, const precis_##op##_args&);
  PRECIS_FOR_EACH_OP(PRECIS_DECLARE_KERNEL)
#undef PRECIS_DECLARE_KERNEL
};

#define PRECIS_DECLARE_ISA(isa)    \
  namespace isa {                  \
  extern const CpuKernels kernels; \
  }
PRECIS_DECLARE_ISA(portable)
PRECIS_DECLARE_ISA(avx2)
PRECIS_DECLARE_ISA(avx512)
PRECIS_DECLARE_ISA(avx512_bf16)
PRECIS_DECLARE_ISA(neon)
PRECIS_DECLARE_ISA(neon_dotprod)
PRECIS_DECLARE_ISA(neon_bf16)
#undef PRECIS_DECLARE_ISA

}  // namespace precis

#endif  // PRECIS_CPU_KERNELS_H_
